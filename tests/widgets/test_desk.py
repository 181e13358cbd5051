"""What the desk makes of painted pixels."""

import numpy as np

from histobridge.core.states import CORRECTED, IGNORED


def test_an_ignored_pixel_painted_in_the_class_under_it_is_corrected(make_window, sample):
    viewer, window = make_window(sample)
    window.go("review", domain="target")
    desk = window.page("review").desk
    labels = viewer.layers["labels"].data
    labels[10:20] = 255
    assert desk.commit() == 10 * labels.shape[1]
    labels[10:15] = 0
    assert desk.commit() == 5 * labels.shape[1]
    state = desk.edit.state
    assert np.all(state[10:15] == CORRECTED)
    assert np.all(state[15:20] == IGNORED)
    assert desk.commit() == 0
    desk.undo()
    assert np.all(labels[10:20] == 255)
