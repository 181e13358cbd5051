import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from histobridge.core.tools.fill import fill_inner, preview_fill
from histobridge.core.tools.pick import accept_object
from histobridge.core.tools.result import View
from histobridge.core.tools.ring import close_ring
from histobridge.core.tools.sheath import grow_sheath
from histobridge.core.tools.smooth import smooth

DATA = Path(__file__).parents[4] / "shared" / "data" / "myelin-sem-rat"
AXON, MYELIN = 1, 2
pytestmark = pytest.mark.skipif(not (DATA / "index.csv").exists(), reason="the shared images are not here")


@pytest.fixture(scope="module")
def tile():
    """Image and truth of a piece of SEM."""
    from PIL import Image

    pieces = []
    for kind in ("images", "masks"):
        with Image.open(DATA / kind / "rat2_data5.png") as image:
            pieces.append(np.array(image)[200:600, 300:700].astype(np.uint8))
    return pieces


@pytest.fixture(scope="module")
def fibres(tile):
    """Places in six whole fibres, and their masks."""
    image, truth = tile
    regions, count = ndimage.label(truth == AXON)
    found = []
    for number in range(1, count + 1):
        y, x = np.nonzero(regions == number)
        if len(y) > 200 and min(y.min(), x.min(), 399 - y.max(), 399 - x.max()) > 40:
            middle = int(np.hypot(y - y.mean(), x - x.mean()).argmin())
            place = int(y[middle]), int(x[middle])
            found.append((place, accept_object(View(truth, image, AXON, MYELIN), place)))
    assert len(found) >= 6
    return found[:6]


def agreement(first, second):
    """Share of both masks that lies in the other or beside it."""
    wide = [ndimage.binary_dilation(mask) for mask in (first, second)]
    return ((first & wide[1]).sum() + (second & wide[0]).sum()) / (first.sum() + second.sum())


def test_a_gap_cut_into_a_real_sheath_is_closed_where_the_sheath_was(tile, fibres):
    image, truth = tile
    y, x = np.indices(truth.shape)
    scores = []
    for number, (place, fibre) in enumerate(fibres):
        turn = np.arctan2(y - place[0], x - place[1]) - number
        gap = fibre & (truth == MYELIN) & (np.cos(turn) > math.cos(0.35))
        opened = np.where(gap, 0, truth).astype(np.uint8)
        result = close_ring(View(opened, image, AXON, MYELIN), place)
        scores.append(agreement(result.classes != opened, gap))
    assert np.mean(scores) > 0.8


def test_a_real_axon_is_filled_or_its_leak_shown(tile, fibres):
    image, truth = tile
    for place, fibre in fibres:
        emptied = np.where(fibre & (truth == AXON), 0, truth).astype(np.uint8)
        filled = fill_inner(View(emptied, image, AXON, MYELIN), place)
        assert agreement(filled.classes != emptied, fibre & (truth == AXON)) > 0.95
        emptied[place[0], place[1] :][fibre[place[0], place[1] :]] = 0
        assert preview_fill(View(emptied, image, AXON, MYELIN), place).leak.any()


def test_a_sheath_grown_around_a_real_axon_is_about_as_large_as_the_true_one(tile, fibres):
    image, truth = tile
    scores = []
    for place, fibre in fibres:
        sheath = fibre & (truth == MYELIN)
        bare = np.where(sheath, 0, truth).astype(np.uint8)
        grown = grow_sheath(View(bare, image, AXON, MYELIN), place)
        scores.append(agreement(grown.classes != bare, sheath))
    assert np.mean(scores) > 0.7


def test_smoothing_a_real_fibre_moves_its_outline_by_little(tile, fibres):
    image, truth = tile
    for place, fibre in fibres:
        result = smooth(View(truth, image, AXON, MYELIN), place, 2)
        changed = result.classes != truth
        assert changed.sum() < 0.12 * fibre.sum()
        assert (fibre | (truth == 0))[changed].all()
