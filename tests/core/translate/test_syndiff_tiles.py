import numpy as np
import pytest
from brief_training import BRIEF, CPU, SMALL_DIFFUSION

from histobridge.core.job import finish
from histobridge.core.translate.base import look_of, translate_blocks, translate_window
from histobridge.core.translate.syndiff_learning import SynDiffLearner

WINDOWS = [(slice(y, y + 24), slice(x, x + 24)) for y in (20, 44) for x in (20, 44)]


class Counted:
    """A translator, and how many tiles its networks have made."""

    def __init__(self, pair):
        config = BRIEF.model_copy(update={"method": "syndiff", "syndiff": SMALL_DIFFUSION})
        self.translator = SynDiffLearner(config, CPU).translator(pair.instant)
        self.calls = 0
        for net in self.translator.generators.values():
            net.register_forward_hook(self.count)

    def count(self, *_):
        self.calls += 1

    @property
    def tiles(self):
        return self.calls // SMALL_DIFFUSION.diffusion_steps

    def translate(self, image, window):
        return translate_window(
            self.translator, image.__getitem__, image.shape, window, "target_to_source", look_of(image)
        )


@pytest.fixture
def counted(pair):
    return Counted(pair)


def test_windows_beside_each_other_make_no_tile_twice(pair, counted):
    """A network of four steps is slow, and halos of neighbouring windows lie over each other."""
    image = pair.tested[0]
    parts = [counted.translate(image, window) for window in WINDOWS]
    beside = counted.tiles
    alone = Counted(pair)
    whole = alone.translate(image, (slice(20, 68), slice(20, 68)))
    assert beside == alone.tiles
    assert np.array_equal(np.block([parts[:2], parts[2:]]), whole)


def test_tiles_that_touch_no_wanted_pixel_are_not_made(pair, counted):
    side, step = counted.translator.tile, counted.translator.alignment
    counted.translate(pair.tested[0], (slice(2 * step, 2 * step + 1), slice(2 * step, 2 * step + 1)))
    assert counted.tiles == (-(-side // step)) ** 2


def test_a_tile_is_made_again_of_other_pixels(pair, counted):
    for image in (pair.tested[0], pair.tested[1]):
        before = counted.tiles
        counted.translate(image, WINDOWS[0])
        assert counted.tiles > before


def test_few_tiles_are_kept(pair, counted, monkeypatch):
    image, translator = pair.tested[0], counted.translator
    counted.translate(image, WINDOWS[0])
    needed = counted.tiles
    counted.translate(image, WINDOWS[0])
    assert counted.tiles == needed
    monkeypatch.setattr("histobridge.core.translate.syndiff.KEPT_BYTES", 4 * translator.tile**2)
    counted.translate(image, WINDOWS[3])
    before = counted.tiles
    counted.translate(image, WINDOWS[0])
    assert counted.tiles > before


def test_a_job_tells_how_far_it_is_within_an_image(pair, counted, monkeypatch):
    """A large image takes minutes."""
    image, window = pair.tested[0], (slice(10, 70), slice(0, 90))
    monkeypatch.setattr("histobridge.core.translate.base.SLOW_BLOCK_PX", 30)
    said, made = [], []
    job = translate_blocks(
        counted.translator, image.__getitem__, image.shape, window, "target_to_source", look_of(image)
    )
    result = finish(job, watch=lambda progress: (said.append(progress), made.append(counted.tiles)))
    assert [(progress.step, progress.total) for progress in said] == [(step, 6) for step in range(1, 6)]
    assert 0 < made[0] < made[-1]
    assert np.array_equal(result, counted.translate(image, window))
