"""Delete a fibre in one action."""

import numpy as np
import pytest
from fibre_fields import PAIRS, fibre, touching, view_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from histobridge.core.delta import Owner
from histobridge.core.fibres import number_fibres
from histobridge.core.synthetic import two_modalities
from histobridge.core.tools.delete import delete_fibre
from histobridge.core.tools.result import ToolError

FIELDS = two_modalities(1, 160, seed=2)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("place", [(30, 25), (30, 11)])
def test_axon_and_sheath_go_in_one_action_and_the_neighbours_keep_theirs(pair, place):
    classes = touching(pair)
    before = classes.copy()
    fibres = number_fibres(classes, pair, [])
    result = delete_fibre(view_of(classes, pair), place)
    np.testing.assert_array_equal(result.classes, np.where(fibres == fibres[30, 25], 0, before))
    np.testing.assert_array_equal(classes, before)
    assert "axon and its sheath" in result.message
    outside = np.ones(classes.shape, bool)
    outside[result.near] = False
    assert (result.classes == before)[outside].all()


def test_a_sheath_without_an_axon_goes_alone():
    classes = touching()
    classes[60:64, 5:30] = 2
    result = delete_fibre(view_of(classes), (62, 20))
    np.testing.assert_array_equal(result.classes, touching())


def test_what_the_user_has_given_to_the_fibre_goes_with_it():
    classes = touching()
    owner = Owner((30, 25), (slice(20, 41), slice(42, 46)), np.ones((21, 4), bool))
    result = delete_fibre(view_of(classes, owners=(owner,)), (30, 25))
    assert not (result.classes[20:41, 42:46] == 2).any()
    assert (delete_fibre(view_of(classes), (30, 25)).classes[29:32, 42:46] == 2).all()


def test_classes_without_a_nested_pair_lose_the_connected_pixels():
    classes = np.zeros((20, 20), np.uint8)
    classes[2:6, 2:6], classes[2:6, 6:9], classes[10:12, 10:12] = 3, 4, 3
    result = delete_fibre(view_of(classes, (0, 0)), (3, 3))
    assert not (result.classes[2:6, 2:6]).any()
    assert (result.classes[2:6, 6:9] == 4).all()
    assert (result.classes[10:12, 10:12] == 3).all()


def test_an_object_of_a_third_class_beside_a_nested_pair_goes_alone():
    classes = touching()
    classes[30, 4:9] = 5
    np.testing.assert_array_equal(delete_fibre(view_of(classes), (30, 5)).classes, touching())


@pytest.mark.parametrize(("place", "why"), [((2, 2), "no object"), ((30, 31), "no object"), ((-1, 0), "outside")])
def test_where_there_is_nothing_it_says_so(place, why):
    classes = touching()
    classes[30, 31] = 255
    with pytest.raises(ToolError, match=why):
        delete_fibre(view_of(classes), place)


def test_a_fibre_larger_than_the_first_look_goes_whole():
    classes = fibre(np.zeros((700, 700), np.uint8), (350, 350), 250, 40)
    assert not delete_fibre(view_of(classes), (350, 350)).classes.any()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_other_fibre_and_no_ignored_pixel_is_ever_touched(data):
    classes = FIELDS[data.draw(st.sampled_from([0, 1]))].classes.copy()
    y, x = (data.draw(st.integers(0, 159)) for _ in range(2))
    top, left = (data.draw(st.integers(0, 150)) for _ in range(2))
    classes[top : top + 10, left : left + 10] = 255
    fibres = number_fibres(classes, (1, 2), [])
    if not fibres[y, x]:
        with pytest.raises(ToolError):
            delete_fibre(view_of(classes), (y, x))
        return
    mine = fibres == fibres[y, x]
    result = delete_fibre(view_of(classes, fibres=fibres.astype(np.uint32)), (y, x))
    np.testing.assert_array_equal(result.classes, np.where(mine, 0, classes))
    # Derived nearby the halfway line may fall otherwise by a pixel where both axons are equally near.
    taken = (delete_fibre(view_of(classes), (y, x)).classes == 0) & (classes != 0)
    assert not (ndimage.binary_erosion(~mine, iterations=2) & taken).any()
    assert not (ndimage.binary_erosion(mine, iterations=2) & ~taken).any()
