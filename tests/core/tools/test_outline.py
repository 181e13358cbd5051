"""A whole outline moves by a pixel or onto the edge; nothing else does."""

import time

import numpy as np
import pytest
from fibre_fields import fibre, touching, view_of
from scipy import ndimage

from histobridge.core.delta import Owner
from histobridge.core.fibres import nested_fibres
from histobridge.core.tools.outline import thicken_axon, thicken_sheath, thin_axon, thin_sheath
from histobridge.core.tools.result import ToolError, View
from histobridge.core.tools.snap_outline import snap_outline

EVERYWHERE = np.ones((3, 3), bool)
CENTRE = (40, 40)
STEPS = (thicken_axon, thin_axon, thicken_sheath, thin_sheath)


def drawn(axon, sheath, centre=CENTRE, pair=(1, 2), shape=(80, 80)):
    return fibre(np.zeros(shape, np.uint8), centre, axon, sheath, pair)


def radius(mask):
    return np.sqrt(np.count_nonzero(mask) / np.pi)


def opened(classes, inner=1, outer=2):
    """Pixels of the axon with anything but axon or sheath beside them."""
    return (classes == inner) & ndimage.binary_dilation((classes != inner) & (classes != outer), EVERYWHERE)


@pytest.mark.parametrize("pair", [(1, 2), (7, 200)])
@pytest.mark.parametrize(
    ("step", "axon", "whole"),
    [(thicken_axon, 1, 0), (thin_axon, -1, 0), (thicken_sheath, 0, 1), (thin_sheath, 0, -1)],
)
@pytest.mark.parametrize("at", [CENTRE, (40, 54)])
def test_one_outline_moves_by_a_pixel_and_the_other_stays(step, axon, whole, pair, at):
    before = drawn(12, 6, pair=pair)
    view = view_of(before.copy(), pair)
    result = step(view, at)
    now = result.classes
    assert radius(now == pair[0]) == pytest.approx(radius(before == pair[0]) + axon, abs=0.15)
    assert radius(now > 0) == pytest.approx(radius(before > 0) + whole, abs=0.15)
    if not whole:
        np.testing.assert_array_equal(now > 0, before > 0)
    np.testing.assert_array_equal(view.classes, before)
    outside = now != before
    outside[result.near] = False
    assert not outside.any()


@pytest.mark.parametrize(("there", "back"), [(thicken_axon, thin_axon), (thicken_sheath, thin_sheath)])
def test_round_stays_round_and_back_leads_back(there, back):
    classes = before = drawn(12, 9)
    for _ in range(6):
        classes = there(view_of(classes), CENTRE).classes
    y, x = np.nonzero(classes == 1 if there is thicken_axon else classes > 0)
    assert np.hypot(y - 40, x - 40).max() == pytest.approx((18 if there is thicken_axon else 27), abs=1)
    for _ in range(6):
        classes = back(view_of(classes), CENTRE).classes
    assert np.count_nonzero(classes != before) < 0.05 * np.count_nonzero(before)


@pytest.mark.parametrize("step", [thicken_axon, thin_sheath])
def test_a_sheath_never_opens_however_often(step):
    shown = [drawn(9, 4)]

    def use_it_up():
        for _ in range(9):
            shown.append(step(view_of(shown[-1]), CENTRE).classes)

    with pytest.raises(ToolError, match="thin as can be"):
        use_it_up()
    assert not any(opened(classes).any() for classes in shown)


def test_neighbours_and_ignored_pixels_stay_and_keep_what_is_theirs():
    classes = touching()
    classes[:8] = 255
    before = nested_fibres(classes, 1, 2)
    mine = before == before[30, 25]
    now = classes
    for _ in range(4):
        now = thicken_sheath(view_of(now), (30, 25)).classes
        kept = (classes == 255) | ((classes > 0) & ~mine)
        np.testing.assert_array_equal(now[kept], classes[kept])
        after = nested_fibres(now, 1, 2)
        for place in ((30, 55), (45, 95)):
            np.testing.assert_array_equal(after == after[place], before == before[place])
    assert np.count_nonzero(now != classes) > 150


def test_a_thick_sheath_leaves_a_gap_to_a_neighbour_that_would_lose_its_own():
    classes = np.zeros((70, 110), np.uint8)
    fibre(fibre(classes, (35, 30), 6, 16), (35, 66), 8, 4)
    before = nested_fibres(classes, 1, 2)
    now = classes
    for _ in range(5):
        now = thicken_sheath(view_of(now), (35, 66)).classes
    after = nested_fibres(now, 1, 2)
    np.testing.assert_array_equal(after == after[35, 30], before == before[35, 30])


def test_a_piece_owned_by_hand_counts_to_its_fibre():
    classes = touching()
    mask = np.zeros(classes.shape, bool)
    mask[14:47, 38:46] = classes[14:47, 38:46] == 2
    rows, columns = slice(14, 47), slice(38, 46)
    view = view_of(classes, owners=(Owner((30, 25), (rows, columns), mask[rows, columns]),))
    with_owner = thicken_sheath(view, (30, 25)).classes
    without = thicken_sheath(view_of(classes), (30, 25)).classes
    assert np.count_nonzero(with_owner[:, 40:46] != classes[:, 40:46]) > np.count_nonzero(
        without[:, 40:46] != classes[:, 40:46]
    )


def test_at_the_edge_of_the_tile_a_fibre_moves_as_if_it_went_on():
    before = drawn(12, 6, centre=(40, 0))
    for step in STEPS:
        now = step(view_of(before.copy()), (40, 2)).classes
        assert abs(np.count_nonzero(now[:, 0] != before[:, 0])) == 2, "one pixel at each side"


def test_a_plain_object_grows_and_shrinks():
    classes = drawn(12, 0, pair=(5, 6))
    view = View(classes, None, 0, 0)
    assert radius(thicken_sheath(view, CENTRE).classes == 5) == pytest.approx(radius(classes == 5) + 1, abs=0.15)
    assert radius(thin_sheath(view, CENTRE).classes == 5) == pytest.approx(radius(classes == 5) - 1, abs=0.15)


REFUSED = [
    (thicken_axon, drawn(12, 6), (3, 3), "no object"),
    (thicken_axon, drawn(12, 6), (99, 3), "outside the tile"),
    (thicken_axon, drawn(12, 0), CENTRE, "no sheath"),
    (thin_axon, drawn(0, 6), CENTRE, "vanish"),
    (thin_axon, np.where(drawn(12, 6) == 1, 0, drawn(12, 6)).astype(np.uint8), (40, 54), "no axon"),
    (thicken_axon, drawn(12, 1), CENTRE, "thin as can be"),
    (thin_sheath, drawn(12, 1), CENTRE, "thin as can be"),
    (thicken_sheath, np.where(drawn(12, 6) == 0, 255, drawn(12, 6)).astype(np.uint8), CENTRE, "no room"),
    (snap_outline, drawn(12, 6), CENTRE, "image"),
]


@pytest.mark.parametrize(("tool", "classes", "at", "why"), REFUSED)
def test_what_cannot_be_moved_is_refused_in_words(tool, classes, at, why):
    with pytest.raises(ToolError, match=f"Nothing was changed.*{why}"):
        tool(view_of(classes), at)


def photograph(truth, bright=(170, 60), noise=8.0):
    """What a microscope shows of a truth: sheaths of one grey, all else of another."""
    clean = np.where(truth == 2, bright[1], bright[0]).astype(float)
    return (clean + np.random.default_rng(0).normal(0, noise, truth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("bright", [(170, 60), (60, 170)])
@pytest.mark.parametrize(("axon", "sheath"), [(9, 11), (14, 3), (12, 10), (10, 6)])
def test_both_outlines_snap_onto_the_edges_of_the_sheath(axon, sheath, bright):
    truth, shown = drawn(12, 6), drawn(axon, sheath, centre=(41, 40))
    view = View(shown, photograph(truth, bright), 1, 2)
    now = snap_outline(view, CENTRE).classes
    assert np.count_nonzero(now != truth) < 0.25 * np.count_nonzero(shown != truth) + 20
    assert not opened(now).any()


def test_a_plain_object_snaps_too_and_an_empty_ring_stays_empty():
    truth, shown = drawn(12, 6), drawn(10, 9)
    image = photograph(truth)
    emptied = np.where(shown == 1, 0, shown).astype(np.uint8)
    now = snap_outline(View(emptied, image, 1, 2), (40, 54)).classes
    assert np.count_nonzero((now == 2) != (truth == 2)) < 0.3 * np.count_nonzero((shown == 2) != (truth == 2))
    assert set(np.unique(now)) == {0, 2}
    blob = np.where(drawn(15, 0) > 0, 4, 0).astype(np.uint8)
    now = snap_outline(View(blob, photograph(2 * drawn(12, 0)), 0, 0), CENTRE).classes
    assert radius(now == 4) == pytest.approx(radius(drawn(12, 0) > 0), abs=0.5)


def test_the_border_with_a_neighbour_stays_when_an_outline_snaps():
    classes = touching()
    before = nested_fibres(classes, 1, 2)
    image = photograph(classes)
    moved = np.roll(classes, 2, axis=0)
    now = snap_outline(View(moved, image, 1, 2), (32, 25)).classes
    other = np.roll(before, 2, axis=0) == before[30, 55]
    np.testing.assert_array_equal(now[other], moved[other])
    mine = before == before[30, 25]
    assert np.count_nonzero((now != classes)[mine]) < np.count_nonzero((moved != classes)[mine])


def test_every_outline_tool_is_quick_on_a_large_tile():
    generator = np.random.default_rng(0)
    classes = np.zeros((1024, 1024), np.uint8)
    for row in range(60, 1000, 90):
        for column in range(60, 1000, 90):
            small = np.zeros((90, 90), np.uint8)
            fibre(small, (45, 45), generator.uniform(12, 30), generator.uniform(5, 12))
            classes[row - 45 : row + 45, column - 45 : column + 45] = small
    image = photograph(classes)
    for tool in (*STEPS, snap_outline):
        seconds = []
        for column in (60, 420, 780):
            shifted = np.roll(classes, 2, axis=1)
            began = time.process_time()
            tool(View(shifted, image, 1, 2), (510, column + 2))
            seconds.append(time.process_time() - began)
        assert min(seconds) < 0.1, tool
