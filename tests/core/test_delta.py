import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histobridge.core.delta import Delta, Entry, decode, encode

WINDOW = (slice(10, 12), slice(20, 22))
MASK = np.array([[1, 0], [1, 1]], bool)


@settings(deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.data())
def test_a_delta_survives_encoding(mask, data):
    count = int(mask.sum())
    old, new = (data.draw(arrays(np.uint8, (2, count))) for _ in range(2))
    entry = Entry(
        "ignore", "r001c002", (slice(7, 7 + mask.shape[0]), slice(9, 9 + mask.shape[1])), count, 3, "run", 1.5, 8
    )
    found = decode(encode(Delta(entry, mask, old, new)))
    assert found.entry == entry
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_array_equal(found.old, old)
    np.testing.assert_array_equal(found.new, new)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_what_is_no_delta_is_refused(payload):
    with pytest.raises(ValueError, match="not a journal record"):
        decode(payload)


@pytest.mark.parametrize("wrong", [np.zeros((2, 3), np.int64), np.zeros((2, 4), np.uint8), np.zeros(3, np.uint8)])
def test_a_delta_that_could_not_be_read_back_is_never_made(wrong):
    good = np.zeros((2, 3), np.uint8)
    entry = Entry("stroke", "r000c000", WINDOW, 3)
    with pytest.raises(ValueError, match="expected"):
        Delta(entry, MASK, good, wrong)
    with pytest.raises(ValueError, match="does not fill"):
        Delta(entry, MASK[:1], good, good)


def test_a_window_that_holds_part_of_a_delta_gets_that_part():
    new = np.array([[1, 2, 3], [2, 2, 2]], np.uint8)
    delta = Delta(Entry("stroke", "r000c000", WINDOW, 3), MASK, np.zeros_like(new), new)
    labels = np.zeros((2, 3, 3), np.uint8)
    for _ in range(2):
        delta.apply((slice(11, 14), slice(19, 22)), labels)
        assert labels.tolist() == [[[0, 2, 3], [0, 0, 0], [0, 0, 0]], [[0, 2, 2], [0, 0, 0], [0, 0, 0]]]
    delta.apply((slice(0, 3), slice(20, 23)), labels)
    assert int(labels[0].sum()) == 5


def test_taking_back_leaves_pixels_that_have_changed_since():
    new = np.array([[1, 2, 3], [2, 2, 2]], np.uint8)
    delta = Delta(Entry("stroke", "r000c000", WINDOW, 3, sequence=4), MASK, np.zeros_like(new), new)
    current = np.zeros((2, 2, 2), np.uint8)
    delta.apply(WINDOW, current)
    current[0, 1, 0] = 9
    back = delta.reverted(current, "undo")
    assert (back.entry.kind, back.entry.of, back.entry.pixels) == ("undo", 4, 2)
    back.apply(WINDOW, current)
    assert current[0].tolist() == [[0, 0], [9, 0]]
