"""What speaks against a translation is seen where it is, and nowhere else."""

import numpy as np
import pytest

from histobridge.core.translate.base import look_of
from histobridge.core.translate.instant import Identity
from histobridge.core.translate.quality.evidence import RED, YELLOW, structure_picture, tile_picture
from histobridge.core.translate.quality.hallucination import hallucination_map
from histobridge.core.translate.quality.tiling import in_tiles


@pytest.fixture
def crops():
    random = np.random.default_rng(0)
    return [random.uniform(-0.2, 0.2, (side, 64)).astype(np.float32) for side in (64, 48)]


def red(picture):
    """Share of red that lies over each pixel."""
    return (picture[..., 0].astype(float) - picture[..., 2]) / (RED[0] - RED[2])


def test_an_invented_structure_is_red_where_it_is(crops):
    absent = [np.stack([np.ones_like(crop), np.zeros_like(crop)]) for crop in crops]
    found = [classes.copy() for classes in absent]
    found[1][:, 10:20, 30:40] = np.array([0.2, 0.8])[:, None, None]
    changes = [hallucination_map(one, other) for one, other in zip(absent, found, strict=True)]
    picture = structure_picture(crops, [-crop for crop in crops], changes)
    assert picture.shape == (128, 192, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[:64, :64, 0], np.rint((crops[0] + 1) * 127.5))
    np.testing.assert_array_equal(picture[64:112, 64:128, 1], np.rint((1 - crops[1]) * 127.5))
    assert not picture[112:].any()  # the second crop is lower
    stain = red(picture)
    assert (stain[74:84, 158:168] > 0.5).all()
    stain[74:84, 158:168] = 0
    assert not stain.any()


class Stepped(Identity):
    """Adds a constant to each tile of its own; as tiles of the caller start elsewhere, so do the steps."""

    def translate(self, image, direction, look, origin=(0, 0)):
        return image + np.float32(0.1 * (origin[0] // 20 % 2))


def test_what_depends_on_the_grid_is_red_and_the_worst_border_has_ticks(crops):
    looked = [
        in_tiles(translator, crops[0], "source_to_target", look_of(crops[0]), 20)
        for translator in (Identity(), Stepped())
    ]
    picture = tile_picture(looked)
    assert picture.shape == (128, 192, 3)
    assert not red(picture[:64]).any()
    torn = picture[64:, 128:]
    differs = looked[1].one != looked[1].other
    assert differs.any()
    assert not differs.all()
    worst = looked[1].joined.worst
    assert worst.axis == "row"
    ticks = (torn == YELLOW).all(axis=2)
    assert ticks.nonzero()[0].tolist() == [worst.at - 1] * 20 + [worst.at] * 20
    assert (red(torn)[differs & ~ticks] > 0.5).all()
    assert not red(torn)[~differs & ~ticks].any()
