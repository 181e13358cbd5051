"""The page Labels: the route in words, the choice made for the user, and its reason."""

import pytest
from window_fakes import proposed, submitted

from histobridge.core.choice import Evidence, decide, write_choice

EVIDENCE = {
    "tutorship": Evidence(consistency=0.82, reverse=0.71, enclosure=0.92, size=0.81, g_ratio=0.77),
    "adaptation": Evidence(consistency=0.6, reverse=0.55, enclosure=0.61, size=0.7),
}


@pytest.fixture
def chosen(make_window, sample):
    """A window on the page Labels after a route was chosen."""

    def make(agreement=0.6):
        run = proposed(sample, sample.images("target"), route="auto")
        write_choice(run, decide(EVIDENCE, agreement))
        _, window = make_window(sample)
        window.go("labels")
        return window.page("labels")

    return make


def test_the_route_is_chosen_for_the_user_unless_she_says_otherwise(make_window, sample, matched, engine):
    _, window = make_window(sample)
    window.go("labels")
    page = window.page("labels")
    texts = [radio.text() for radio in page.routes.radios.values()]
    assert texts == ["choose for me", "tutorship", "adaptation", "both, fused", "a model you have"]
    assert page.routes.route == "auto"
    page.routes.radios["fused"].click()
    assert "averaged" in page.routes.says.text()
    page.start_button.click()
    ((_, config),) = submitted(window, engine)
    assert config["route"] == "fused"


def test_the_route_is_remembered(make_window, sample, tmp_path):
    _, window = make_window(sample)
    window.go("labels")
    window.page("labels").routes.radios["adaptation"].click()
    window.session.close_project()
    window.create_project(tmp_path / "other")
    window.go("labels")
    assert window.page("labels").routes.route == "auto"
    window.open_project(sample.path)
    assert window.page("labels").routes.route == "adaptation"


def test_the_translator_is_asked_for_only_where_one_is_used(make_window, sample, matched):
    _, window = make_window(sample)
    window.go("labels")
    page = window.page("labels")
    assert not page.translator_row.isHidden()
    page.routes.radios["model"].click()
    assert page.translator_row.isHidden()
    assert page.cost.text() == "≈ seconds an image (estimate)"


def test_the_chosen_route_and_its_reason_are_told_with_the_evidence_marked_as_estimated(chosen):
    page = chosen()
    assert page.chosen.text().startswith("Chosen for you: tutorship. Tutorship is more plausible:")
    rows = page.evidence.rows()
    assert rows[0] == ["Estimated", "tutorship", "adaptation"]
    assert ["Closed rings", "0.92", "0.61"] in rows
    assert ["g-ratios", "0.77", "–"] in rows


def test_a_tie_is_told_as_both_fused(chosen):
    assert chosen(agreement=0.95).chosen.text().startswith("Chosen for you: both, fused. The routes agree")


def test_without_a_choice_there_is_no_table(make_window, sample):
    proposed(sample, sample.images("target"))
    _, window = make_window(sample)
    window.go("labels")
    page = window.page("labels")
    assert page.result.text().startswith("Tutorship with Instant, 2 image(s)")
    assert page.chosen.text() == ""
    assert page.evidence.isHidden()


def test_a_damaged_choice_is_told_on_the_page(make_window, sample):
    run = proposed(sample, sample.images("target"), route="auto")
    (run.path / "choice.json").write_text("{")
    _, window = make_window(sample)
    window.go("labels")
    assert "propose labels again" in window.page("labels").trouble.text()
