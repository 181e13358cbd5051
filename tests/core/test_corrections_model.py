import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from histobridge.core.corrections import TileEdit, tile_status
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

SHAPE = (40, 64)
TILES = tile_grid(SHAPE, tile=32, overlap=8)


class EditsAgainstNumpy(RuleBasedStateMachine):
    """Random work on random tiles, compared with a model made of two arrays and lists."""

    tiles = st.integers(0, len(TILES) - 1)

    @initialize(seed=st.integers(0, 9))
    def start(self, seed):
        self.folder = tempfile.TemporaryDirectory()
        self.store = LabelStore(Path(self.folder.name) / "labels", SHAPE, writable=True)
        self.labels = np.zeros((2, *SHAPE), np.uint8)
        self.undoable = {tile.id: [] for tile in TILES}
        self.redoable = {tile.id: [] for tile in TILES}
        self.new_proposal(seed)

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def opened(self, index):
        tile = TILES[index]
        return tile, TileEdit(self.store, tile, self.proposal[tile.window], self.run)

    def shown(self):
        return np.where(self.labels[1] == 0, self.proposal, self.labels[0])

    def step(self, tile, new, stack=None):
        """Do in the model what a user's step does, and remember how to take it back."""
        where = (new != self.labels).any(axis=0)
        if stack is None:
            self.redoable[tile.id].clear()
            stack = self.undoable[tile.id]
        stack.append((where, self.labels.copy(), new))
        self.labels = new

    @rule(seed=st.integers(0, 99))
    def new_proposal(self, seed):
        self.run = f"run-{seed}"
        self.proposal = np.random.default_rng(seed).integers(0, 3, SHAPE, dtype=np.uint8)

    @rule(index=tiles, corner=st.tuples(st.integers(0, 31), st.integers(0, 31)), size=st.integers(1, 20), value=tiles)
    def stroke(self, index, corner, size, value):
        tile, edit = self.opened(index)
        area = tuple(slice(start, start + size) for start in corner)
        painted = edit.classes
        painted[area] = value
        count = edit.commit(painted)
        shown = self.shown()
        wanted = shown.copy()
        wanted[tile.window][area] = value
        changed = wanted != shown
        assert count == changed.sum()
        if count:
            self.step(tile, np.where(changed, np.stack((wanted, np.full_like(wanted, 2))), self.labels))

    @rule(index=tiles)
    def accept(self, index):
        tile, edit = self.opened(index)
        inside = np.zeros(SHAPE, bool)
        inside[tile.window] = True
        open_pixels = inside & (self.labels[1] == 0)
        before = edit.status
        assert edit.accept() == open_pixels.sum()
        if open_pixels.any() or before != "accepted":
            shown = self.shown()
            self.step(tile, np.where(open_pixels, np.stack((shown, np.ones_like(shown))), self.labels))

    @rule(index=tiles, row=st.integers(0, 31))
    def ignore(self, index, row):
        tile, edit = self.opened(index)
        mask = np.zeros((32, 32), bool)
        mask[row] = True
        whole = np.zeros(SHAPE, bool)
        whole[tile.window] = mask
        whole &= self.labels[1] != 3
        assert edit.ignore(mask) == whole.sum()
        if whole.any():
            shown = self.shown()
            self.step(tile, np.where(whole, np.stack((shown, np.full_like(shown, 3))), self.labels))

    def revert(self, tile, source, target):
        where, old, new = source.pop()
        still = where & (self.labels == new).all(axis=0)
        self.step(tile, np.where(still, old, self.labels), target)

    @rule(index=tiles)
    def undo(self, index):
        tile, edit = self.opened(index)
        assert edit.can_undo == bool(self.undoable[tile.id])
        if edit.undo() is not None:
            self.revert(tile, self.undoable[tile.id], self.redoable[tile.id])

    @rule(index=tiles)
    def redo(self, index):
        tile, edit = self.opened(index)
        assert edit.can_redo == bool(self.redoable[tile.id])
        if edit.redo() is not None:
            self.revert(tile, self.redoable[tile.id], self.undoable[tile.id])

    @rule(index=tiles)
    def skip(self, index):
        self.opened(index)[1].skip()

    @rule()
    def snapshot(self):
        self.store.snapshot()

    @rule()
    def close_and_open(self):
        self.store.close()
        self.store = LabelStore(self.store.folder, SHAPE, writable=True)

    @rule()
    def another_reader_agrees(self):
        assert self.store.journal.flush()
        reader = LabelStore(self.store.folder, SHAPE)
        np.testing.assert_array_equal(np.stack(reader.read((slice(0, 40), slice(0, 64)))), self.labels)
        assert [tile_status(reader, tile) for tile in TILES] == [tile_status(self.store, tile) for tile in TILES]
        assert reader.reviewed_fraction() == np.count_nonzero(self.labels[1]) / self.labels[1].size

    @invariant()
    def stored_is_as_modelled(self):
        if hasattr(self, "store"):
            assert self.store.reviewed_fraction() == np.count_nonzero(self.labels[1]) / self.labels[1].size
            np.testing.assert_array_equal(np.stack(self.store.read((slice(0, 40), slice(0, 64)))), self.labels)

    @rule(index=tiles)
    def shown_is_as_modelled(self, index):
        tile, edit = self.opened(index)
        np.testing.assert_array_equal(edit.classes, self.shown()[tile.window])


EditsAgainstNumpy.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestEditsAgainstNumpy = EditsAgainstNumpy.TestCase
