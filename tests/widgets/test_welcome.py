"""The first run: nothing is open yet, and there are three ways in. No viewer."""

from types import SimpleNamespace

from qtpy.QtWidgets import QLabel, QPushButton

from histobridge.core.project import Project
from histobridge.widgets.session import Session
from histobridge.widgets.welcome import Welcome


def test_the_first_run_says_what_this_is_for_and_later_ones_list_the_last_projects(qtbot, engine, tmp_path):
    asked = []
    bar = SimpleNamespace(
        **{f"ask_{name}": lambda name=name: asked.append(name) for name in ("new", "open", "sample")},
        open_asked=SimpleNamespace(emit=asked.append),
    )
    session = Session(engine)
    welcome = Welcome(session, bar)
    qtbot.addWidget(welcome)
    welcome.show()

    def seen(kind):
        return [made for made in welcome.findChildren(kind) if made.isVisible()]

    assert "proposes labels for the images that have none" in " ".join(made.text() for made in seen(QLabel))
    assert "Recent" not in [made.text() for made in seen(QLabel)]
    for made in seen(QPushButton):
        made.click()
    assert asked == ["new", "open", "sample"]
    project = Project.create(tmp_path / "nerve")
    session.open(project)
    session.close_project()
    welcome.refresh()
    qtbot.waitUntil(lambda: "Recent" in [made.text() for made in seen(QLabel)])
    next(made for made in welcome.findChildren(QPushButton) if made.text() == "nerve").click()
    assert asked[3:] == [project.path]
    session.close()
