"""The check of the fibre rules: what is looked at again, and when there is nothing to look at. No viewer."""

from types import SimpleNamespace

import numpy as np
import pytest

from histobridge.core.delta import Owner
from histobridge.core.tools.result import View
from histobridge.widgets.rule_watch import RuleWatch


def two_fibres():
    y, x = np.indices((70, 90))
    classes = np.zeros((70, 90), np.uint8)
    for column in (28, 58):
        away = np.hypot(y - 35, x - column)
        classes[(away < 15) & (classes != 1)] = 2
        classes[away < 8] = 1
    return classes


def given(axon, columns):
    """All of the sheath within some columns belongs to one axon."""
    return Owner(axon, (slice(0, 70), columns), np.ones((70, columns.stop - columns.start), bool))


@pytest.fixture
def watch(qtbot):
    """A rule watch on a tile whose labels, owners and classes the test sets; what it asks for is done at once."""
    pair = [SimpleNamespace(value=1), SimpleNamespace(value=2)]
    tile = SimpleNamespace(classes=two_fibres(), owners=(), pair=pair, checks=0)

    def later(work, done):
        tile.checks += 1
        done(work())

    manifest = SimpleNamespace(nested_pair=lambda: tile.pair)
    known = {}
    kept = SimpleNamespace(place=lambda _: known, stay=lambda _, **values: known.update(values))
    session = SimpleNamespace(project=SimpleNamespace(manifest=manifest, path="nerve"), remembered=kept, later=later)
    canvas = SimpleNamespace(labels=None, overlays=SimpleNamespace(end_marks=lambda: None))
    bench = SimpleNamespace(view=lambda: View(tile.classes, None, 1, 2, owners=tile.owners))
    made = RuleWatch(session, canvas, SimpleNamespace(place="tile", edit=object()), bench)
    qtbot.addWidget(made)
    return made, tile


def test_other_owners_are_looked_at_also_when_they_are_as_many_and_no_pixel_has_changed(watch):
    made, tile = watch
    made.refresh()
    made.check()
    assert made.found == ()
    tile.owners = (given((35, 28), slice(44, 90)),)  # all of the second sheath: its axon has none of its own left
    made.check()
    first = {each.at for each in made.found}
    assert first
    tile.owners = (given((35, 58), slice(0, 43)),)  # taken back, and the first sheath given to the second axon
    made.check()
    assert {each.at for each in made.found} != first
    tile.owners = ()
    made.check()
    assert made.found == ()
    checks = tile.checks
    made.check()
    assert tile.checks == checks, "nothing has changed"


def test_without_a_class_inside_another_nothing_is_checked_and_nothing_is_offered(watch, qtbot):
    made, tile = watch
    tile.pair = None
    made.refresh()
    assert made.isHidden()
    qtbot.wait(0)
    assert (tile.checks, made.found, made.says.text()) == (0, (), "")
    assert not made.go_button.isEnabled()


def test_switched_off_it_stays_off_also_the_next_time(watch):
    made, tile = watch
    made.refresh()
    assert made.on.isChecked()
    made.on.click()
    made.on.setChecked(True)
    made.refresh()
    assert not made.on.isChecked(), "as remembered"
    made.check()
    assert tile.checks == 0
