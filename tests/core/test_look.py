"""How tiles look, and which look alike."""

import numpy as np
import pytest

from histobridge.core.images.pyramid import Pyramid, halve
from histobridge.core.look import clusters, look, look_groups, novelty, standardised

WINDOW = (slice(0, 256), slice(0, 256))


def stripes(period, side=256):
    rows = np.indices((side, side))[0]
    return (128 + 60 * np.sin(2 * np.pi * rows / period)).astype(np.uint8)


def test_brighter_and_rougher_tiles_differ_in_the_features_that_say_so():
    dark, bright = (look(Pyramid([np.full((256, 256), grey, np.uint8)], [1.0]), WINDOW) for grey in (51, 102))
    np.testing.assert_allclose(dark[:5], 0.2)
    np.testing.assert_allclose(bright[:5], 0.4)
    fine, coarse = (look(Pyramid([stripes(period)], [1.0]), WINDOW) for period in (4, 32))
    assert fine[5] > coarse[5]
    assert fine[8] < coarse[8]


def test_the_range_of_the_pixel_type_does_not_matter():
    eight = look(Pyramid([stripes(16)], [1.0]), WINDOW)
    sixteen = look(Pyramid([stripes(16).astype(np.uint16) * 257], [1.0]), WINDOW)
    np.testing.assert_allclose(eight, sixteen, atol=1e-5)


def test_large_tiles_are_looked_at_on_a_coarse_level():
    class Unread:
        shape, dtype = (512, 512), np.dtype(np.uint8)

        def __getitem__(self, window):
            raise AssertionError("the finest level was read")

    coarse = halve(halve(stripes(64, 512)))
    found = look(Pyramid([Unread(), Unread(), coarse], [1.0, 2.0, 4.0]), (slice(0, 512), slice(0, 512)))
    assert np.isfinite(found).all()


def test_a_feature_that_never_varies_counts_nothing():
    found = standardised(np.array([[1.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(found, [[-1, 0], [1, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_well_separated_groups_are_found(seed):
    random = np.random.default_rng(seed)
    centres = np.array([[0, 0], [10, 0], [0, 10]])
    truth = np.repeat([0, 1, 2], 20)
    groups = clusters(centres[truth] + random.normal(0, 0.5, (60, 2)), 3, seed)
    assert len({*zip(truth.tolist(), groups.tolist(), strict=True)}) == 3
    assert len(set(groups.tolist())) == 3


def test_tiles_that_are_all_the_same_are_one_group():
    assert set(clusters(np.zeros((7, 3)), 4, 0).tolist()) == {0}


def test_looks_are_told_apart_within_images_however_much_those_differ():
    dense = np.arange(24) % 2
    images = ["a"] * 12 + ["b"] * 12
    features = standardised(np.stack((np.repeat([0.0, 100.0], 12), dense), axis=1))
    groups = look_groups(features, images, 2, 0)
    assert len({*zip(dense.tolist(), groups.tolist(), strict=True)}) == 2


def test_many_images_of_one_tile_are_told_apart_as_they_are_and_from_large_ones():
    look_of = np.arange(8) % 2 * 10.0
    features = np.concatenate((look_of, np.zeros(6)))[:, None]
    groups = look_groups(features, [*"abcdefgh", *"llllll"], 2, 0)
    assert set(groups[look_of.nonzero()[0]]).isdisjoint(groups[:8][look_of == 0])
    assert set(groups[:8]).isdisjoint(groups[8:])


def test_novelty_grows_with_the_distance_to_the_nearest_reviewed_tile():
    features = np.array([[0.0], [1.0], [2.0], [10.0]])
    found = novelty(features, np.array([[0.0], [2.0]]))
    assert found[0] == found[2] == 0
    assert 0 < found[1] < found[3] <= 1
    assert not novelty(np.zeros((3, 1)), np.zeros((1, 1))).any()
