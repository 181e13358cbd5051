import numpy as np
import pytest
from brief_training import BRIEF, CPU, SMALL_DIFFUSION

from histobridge.core.translate.base import look_of, translate_window
from histobridge.core.translate.syndiff import SynDiff
from histobridge.core.translate.syndiff_learning import SynDiffLearner


@pytest.fixture
def diffusion(pair):
    config = BRIEF.model_copy(update={"method": "syndiff", "syndiff": SMALL_DIFFUSION})
    return SynDiffLearner(config, CPU).translator(pair.instant)


def translated(translator, image, window):
    return translate_window(translator, image.__getitem__, image.shape, window, "target_to_source", look_of(image))


def test_windows_beside_each_other_make_no_tile_twice(pair, diffusion, monkeypatch):
    """A network of four steps is slow, and halos of neighbouring windows lie over each other."""
    image, places = pair.tested[0], []
    fresh = diffusion.with_seed(3)
    make = SynDiff._tile

    def counted(self, source, direction, origin):
        places.append(origin)
        return make(self, source, direction, origin)

    monkeypatch.setattr(SynDiff, "_tile", counted)
    windows = [(slice(y, y + 24), slice(x, x + 24)) for y in (20, 44) for x in (20, 44)]
    parts = [translated(fresh, image, window) for window in windows]
    assert len(places) == len(set(places))
    whole = translated(diffusion.with_seed(3), image, (slice(20, 68), slice(20, 68)))
    assert np.array_equal(np.block([parts[:2], parts[2:]]), whole)
    before = len(places)
    translated(fresh, image[::-1], windows[0])
    assert len(places) > before


def test_few_tiles_are_kept(pair, diffusion, monkeypatch):
    monkeypatch.setattr("histobridge.core.translate.syndiff.KEPT_BYTES", 3 * 4 * diffusion.tile**2)
    fresh = diffusion.with_seed(4)
    translated(fresh, pair.tested[0], (slice(0, 96), slice(0, 96)))
    assert len(fresh._made) == 3
