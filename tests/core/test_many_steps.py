"""Undo and redo of more than a thousand steps of one tile, with the program closed in between."""

import numpy as np

from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

SHAPE = (48, 40)
(TILE,) = tile_grid(SHAPE)
STEPS = 1200


def opened(folder):
    return TileEdit(LabelStore(folder, SHAPE, writable=True), TILE)


def step(edit, random):
    """One small edit of any kind: a dab, a filled box, a box left out, one object accepted."""
    row, column = random.integers(0, 40), random.integers(0, 32)
    area = (slice(row, row + random.integers(1, 8)), slice(column, column + random.integers(1, 8)))
    kind = random.integers(0, 10)
    if kind == 0:
        mask = np.zeros(SHAPE, bool)
        mask[area] = True
        return edit.ignore(mask) or edit.accept_only(mask)
    painted = edit.classes
    painted[area] = (painted[row, column] + kind) % 5
    return edit.commit(painted)


def look(edit):
    return np.stack((edit.classes, edit.state))


def test_twelve_hundred_edits_are_taken_back_and_done_again_one_by_one_across_restarts(tmp_path):
    edit, random = opened(tmp_path), np.random.default_rng(7)
    looks = [look(edit)]
    while len(looks) <= STEPS:
        if step(edit, random):
            looks.append(look(edit))
    edit.store.close()

    edit = opened(tmp_path)
    assert np.array_equal(look(edit), looks[STEPS])
    for number in reversed(range(STEPS)):
        if number == STEPS // 2:
            edit.store.close()
            edit = opened(tmp_path)
        edit.undo()
        assert np.array_equal(look(edit), looks[number])
    assert not edit.can_undo
    edit.store.close()

    edit = opened(tmp_path)
    for number in range(1, STEPS + 1):
        edit.redo()
        assert np.array_equal(look(edit), looks[number])
    assert not edit.can_redo
    edit.store.close()
    assert np.array_equal(look(opened(tmp_path)), looks[STEPS])
