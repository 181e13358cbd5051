"""What was done in one tile, in order: what undo takes back next, and where the tile stands."""

from dataclasses import dataclass, field
from typing import Literal

from histobridge.core.delta import Entry, Kind

TileStatus = Literal["open", "proposed", "corrected", "accepted", "skipped"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the user did, and the newest edit that applied it."""

    kind: Kind
    sequence: int


@dataclass(slots=True)
class TileHistory:
    """Undo and redo of one tile, rebuilt from its journal entries."""

    undoable: list[Step] = field(default_factory=list)
    redoable: list[Step] = field(default_factory=list)
    proposal: str = ""
    """Run whose proposal was last merged."""

    skipped: int = 0
    """Sequence number of the last skip."""

    def add(self, entry: Entry) -> None:
        """Take the next entry of the tile; entries must come in order."""
        if entry.kind == "undo":
            self._move(entry, self.undoable, self.redoable)
        elif entry.kind == "redo":
            self._move(entry, self.redoable, self.undoable)
        elif entry.kind == "skip":
            self.skipped = entry.sequence
        elif entry.kind == "merge":
            self.proposal = entry.proposal
        else:
            self.undoable.append(Step(entry.kind, entry.sequence))
            self.redoable.clear()

    @property
    def accepted(self) -> bool:
        """Whether the user has accepted the tile and not taken that back."""
        return any(step.kind == "accept" for step in self.undoable)

    @property
    def status(self) -> TileStatus:
        """Where the tile stands; a skip counts until the next correction, acceptance always."""
        if self.accepted:
            return "accepted"
        newest = self.undoable[-1].sequence if self.undoable else 0
        if self.skipped > newest:
            return "skipped"
        if newest:
            return "corrected"
        return "proposed" if self.proposal else "open"

    @staticmethod
    def _move(entry: Entry, source: list[Step], target: list[Step]) -> None:
        """Move the step that `entry` reverts; it is the last one, unless records between were lost."""
        for index in reversed(range(len(source))):
            if source[index].sequence == entry.of:
                target.append(Step(source.pop(index).kind, entry.sequence))
                return
