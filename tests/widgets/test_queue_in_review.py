"""Review by the queue: why each tile is shown, which comes next, and when to stop."""

import pytest
from window_fakes import proposed, say, submitted, tuned

from histobridge.core.config import RankConfig
from histobridge.core.files import write_json
from histobridge.core.queue import Queue, QueuedTile
from histobridge.core.sample import make_sample_project
from histobridge.core.stopping import Gain

STOP = Gain(
    low=0.0, mean=0.002, high=0.004, verdict="stop", words="about +0.2 points of Dice (estimated): you can stop"
)


@pytest.fixture
def sample(tmp_path):
    """A project of four target images of one tile each, with proposals."""
    project = make_sample_project(tmp_path / "nerve", fields=4, size=64)
    proposed(project, project.images("target"))
    return project


@pytest.fixture
def ranked(sample):
    """Write a finished ranking: images by their number, in order, with a reason each."""

    def make(*order, **values):
        images = [record.id for record in sample.images("target")]
        tiles = [QueuedTile(image=images[n], tile="r000c000", score=0.5, reason=f"reason {n}") for n in order]
        run = sample.create_run("rank", RankConfig())
        queue = Queue(order="queue", tiles=tiles, **values)
        write_json(run.path / "queue.json", queue.model_dump(mode="json"))
        say(run, "finished")
        return run

    return make


@pytest.fixture
def review(make_window, sample):
    def make():
        _, window = make_window(sample)
        window.go("review", domain="target")
        return window, window.page("review")

    return make


def number(window, page):
    """Which of the images is open."""
    return [record.id for record in window.session.project.images("target")].index(page.desk.place.image)


def test_tiles_come_by_the_queue_with_reasons_and_an_estimate_when_to_stop(review, ranked):
    ranked(2, 0, 3, stop=STOP)
    window, page = review()
    assert page.queue.reason.text() == "Why this tile: reason 2"
    assert page.where.text().startswith("Tile 1 of 3 in the queue.")
    assert "you can stop" in page.queue.stop.text()
    assert "estimated" in page.queue.stop.text()
    seen = [number(window, page)]
    for button in (page.next_button, page.next_button, page.next_button):
        button.click()
        seen.append(number(window, page))
    assert seen == [2, 0, 3, 3]
    assert "last tile" in page.where.text()
    page.back_button.click()
    page.back_button.click()
    assert number(window, page) == 2
    page.back_button.click()
    assert "first tile" in page.where.text()
    page.accept_button.click()
    assert number(window, page) == 0
    page.skip_button.click()
    assert number(window, page) == 3


def test_without_the_queue_tiles_come_image_by_image_and_still_have_reasons(review, ranked):
    ranked(2, 0, 3)
    window, page = review()
    page.queue.by_queue.click()
    assert page.where.text().startswith("Tile 3 of 4.")
    page.back_button.click()
    assert number(window, page) == 1
    assert page.queue.reason.text().startswith("Not in the queue")
    page.next_button.click()
    page.next_button.click()
    assert number(window, page) == 3
    assert page.queue.reason.text() == "Why this tile: reason 3"
    assert not window.session.remembered.place(window.session.project.path)["by_queue"]
    page.domains["source"].click()
    assert page.queue.isHidden(), "source tiles are in no queue"
    page.next_button.click()
    places = [record.id for record in window.session.project.images("source")]
    assert page.desk.place.image == places[1]


def test_a_new_queue_begins_with_its_first_tile_and_back_still_goes_back(review, ranked):
    ranked(0, 1, 2, 3)
    window, page = review()
    page.accept_button.click()
    assert number(window, page) == 1
    ranked(3, 2)
    window.session.poll()
    assert number(window, page) == 1
    page.next_button.click()
    assert number(window, page) == 3
    page.back_button.click()
    page.back_button.click()
    assert number(window, page) == 0
    assert page.chip.text() == "accepted"
    page.queue.reason.setText("short")
    low = page.queue.reason.heightForWidth(300)
    page.queue.reason.setText("Why this tile: sheaths unusually thin: mean g-ratio 0.81, and more")
    assert page.queue.reason.heightForWidth(300) == low, "the page does not jump when reasons change"


def test_without_a_ranking_the_page_says_so_and_offers_one(review, engine):
    window, page = review()
    assert page.queue.reason.text() == "The tiles are in no order yet."
    assert not page.queue.by_queue.isEnabled()
    assert number(window, page) == 0
    page.queue.order_button.click()
    assert [verb for verb, _ in submitted(window, engine)] == ["rank"]
    assert not page.queue.order_button.isEnabled()
    assert page.queue.order_button.text() == "Ordering…"


def test_tiles_are_ordered_by_themselves_after_a_proposal_and_after_a_training(review, sample, engine):
    window, _ = review()
    proposed(sample, sample.images("target"))
    window.session.poll()
    assert [verb for verb, _ in submitted(window, engine)] == ["rank"]
    say(window.session.newest("rank").run, "running")
    tuned(sample, 0.7, 0.8)
    window.session.poll()
    assert [verb for verb, _ in submitted(window, engine)] == ["rank", "rank"]
    tuned(sample, 0.7, 0.8)
    window.session.poll()
    assert len(engine.submitted) == 2


def test_a_damaged_queue_is_told_and_tiles_come_image_by_image(review, ranked):
    (ranked(2, 0).path / "queue.json").write_text("{")
    window, page = review()
    assert "rank the tiles again" in page.trouble.text()
    assert number(window, page) == 0
