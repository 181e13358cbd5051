"""Give a piece of the border to the axon it belongs to."""

import numpy as np
import pytest
from fibre_fields import PAIRS, fibre, touching, view_of
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.corrections import TileEdit
from histobridge.core.fibres import number_fibres
from histobridge.core.labels import LabelStore
from histobridge.core.synthetic import two_modalities
from histobridge.core.tiles import tile_grid
from histobridge.core.tools.own import own
from histobridge.core.tools.pick import accept_object
from histobridge.core.tools.result import ToolError

FIELD = two_modalities(1, 160, seed=2)[0].classes


def thick_and_thin(pair=(1, 2)):
    """A fibre with a thick sheath (14 px) at (40, 30) that touches one with a thin sheath (4 px) at (40, 66)."""
    classes = np.zeros((80, 90), np.uint8)
    fibre(classes, (40, 66), 10, 4, pair)
    return fibre(classes, (40, 30), 10, 14, pair)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_thin_neighbour_keeps_a_sheath_of_its_usual_thickness(pair):
    classes = thick_and_thin(pair)
    before = number_fibres(classes, pair, [])
    assert before[40, 50] == before[40, 66], "halfway is wrong here"
    result = own(view_of(classes, pair), (40, 30), (40, 50))
    np.testing.assert_array_equal(result.classes, classes)
    after = number_fibres(classes, pair, [], result.owners)
    assert (after[40, 41:52] == after[40, 30]).all()
    assert (after[40, 52:56] == after[40, 66]).all()
    assert (after[40, 77:81] == after[40, 66]).all(), "the far side is nobody's business"


def test_the_clicked_place_always_goes():
    classes = thick_and_thin()
    result = own(view_of(classes), (40, 30), (40, 54))
    after = number_fibres(classes, (1, 2), [], result.owners)
    assert after[40, 54] == after[40, 30]


def test_a_sheath_without_an_axon_goes_as_a_whole():
    classes = touching()
    classes[58:66, 20:40] = 2
    result = own(view_of(classes), (30, 25), (60, 30))
    after = number_fibres(classes, (1, 2), [], result.owners)
    assert (after[58:66, 20:40] == after[30, 25]).all()


def test_a_piece_can_be_given_and_given_back():
    classes = thick_and_thin()
    first = own(view_of(classes), (40, 30), (40, 50)).owners
    second = own(view_of(classes, owners=first), (40, 66), (40, 50)).owners
    after = number_fibres(classes, (1, 2), [], first + second)
    assert after[40, 50] == after[40, 66]


def test_an_object_is_accepted_with_what_it_was_given():
    classes = thick_and_thin()
    owners = own(view_of(classes), (40, 30), (40, 50)).owners
    assert accept_object(view_of(classes, owners=owners), (40, 30))[40, 50]
    assert not accept_object(view_of(classes), (40, 30))[40, 50]


@pytest.mark.parametrize(
    ("axon", "sheath", "why"),
    [
        ((2, 2), (40, 50), "inside the axon"),
        ((40, 30), (40, 30), "click on the sheath"),
        ((40, 30), (40, 18), "already"),
        ((40, 30), (40, 78), "does not border"),
    ],
)
def test_what_cannot_be_owned_says_so(axon, sheath, why):
    with pytest.raises(ToolError, match=why):
        own(view_of(thick_and_thin()), axon, sheath)


def test_classes_without_a_nested_pair_have_no_owners():
    with pytest.raises(ToolError, match="inside another"):
        own(view_of(thick_and_thin(), (0, 0)), (40, 30), (40, 50))


def test_through_the_journal_it_is_one_step_that_survives_more_painting(tmp_path):
    classes = thick_and_thin()
    store = LabelStore(tmp_path, (100, 120), writable=True)
    (tile,) = tile_grid((100, 120))
    edit = TileEdit(store, tile)
    painted = edit.classes
    painted[10:90, 20:110] = classes
    edit.commit(painted)
    result = own(view_of(edit.classes, owners=edit.owners), (50, 50), (50, 70))
    edit.commit(result.classes, result.near, owners=result.owners)
    painted = edit.classes
    painted[30:34, 40:60] = 0
    edit.commit(painted)
    fibres = number_fibres(edit.classes, (1, 2), [], edit.owners)
    assert fibres[50, 70] == fibres[50, 50]
    edit.undo()
    edit.undo()
    fibres = number_fibres(edit.classes, (1, 2), [], edit.owners)
    assert fibres[50, 70] == fibres[50, 86]
    store.close()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_only_the_neighbours_sheath_ever_changes_hands(data):
    fibres = number_fibres(FIELD, (1, 2), [])
    axons, sheaths = np.argwhere(FIELD == 1), np.argwhere(FIELD == 2)
    axon = tuple(map(int, axons[data.draw(st.integers(0, len(axons) - 1))]))
    near = sheaths[np.argsort(np.hypot(*(sheaths - axon).T))]
    sheath = tuple(map(int, near[data.draw(st.integers(0, 600))]))
    try:
        result = own(view_of(FIELD, fibres=fibres.astype(np.uint32)), axon, sheath)
    except ToolError:
        return
    after = number_fibres(FIELD, (1, 2), [], result.owners)
    assert after[sheath] == fibres[axon]
    changed = after != fibres
    assert (FIELD[changed] == 2).all()
    assert set(fibres[changed]) == {fibres[sheath]}
    assert set(after[changed]) == {fibres[axon]}
