"""Reads what was added to the event log of a run since the last look."""

import json
from typing import Any

from histobridge.core.runs import Run

POINTS = 2000
"""Lines of progress that are read at once; a training of two days writes a hundred times as many."""


class EventTail:
    """Follows one run at a time; a line that is still being written is left for the next look."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self._read = 0

    def follow(self, run: Run) -> bool:
        """Choose the run; returns whether it is another one."""
        if self.run is not None and run.path == self.run.path:
            return False
        self.run, self._read = run, 0
        return True

    def added(self) -> list[dict[str, Any]]:
        """Return the new events, the oldest first."""
        if self.run is None:
            return []
        try:
            with (self.run.path / "events.jsonl").open("rb") as stream:
                stream.seek(self._read)
                added = stream.read()
        except FileNotFoundError:
            return []
        whole = added[: added.rfind(b"\n") + 1]
        self._read += len(whole)
        found = []
        for line in _thinned(whole.splitlines()):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                found.append(event)
        return found


def _thinned(lines: list[bytes]) -> list[bytes]:
    """Leave out lines of progress, evenly, where there are more than a curve shows; the newest one stays."""
    progress = [index for index, line in enumerate(lines) if b'"kind": "progress"' in line]
    step = -(-len(progress) // POINTS) if progress else 1
    left_out = set(progress) - set(progress[::-step])
    return [line for index, line in enumerate(lines) if index not in left_out]
