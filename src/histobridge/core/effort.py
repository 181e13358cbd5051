"""What reviewing costs: active seconds, strokes, clicks and changed pixels of every tile, logged and exported."""

import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import NonNegativeFloat, NonNegativeInt, ValidationError

from histobridge.core.config import Config
from histobridge.core.delta import Entry
from histobridge.core.errors import LockedError
from histobridge.core.files import append_json_lines, read_json_lines, write_bytes
from histobridge.core.heads import Key, TileHead, read_heads
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal

FILE = "effort.jsonl"
IDLE_S = 15.0
"""Of a longer gap between two acts of the user only so much counts."""

PAINTING = ("stroke", "own")
"""Journalled events of a brush or a tool."""


class Effort(Config):
    """One spell of work on one tile, or all of it: a line of ``effort.jsonl``."""

    image: str
    """Id of the image."""

    tile: str
    """Id of the tile."""

    check: str = ""
    """Kind of blind check, see `histobridge.core.blind`; empty: the tile itself."""

    time: NonNegativeFloat = 0.0
    """Seconds since 1970, at the end of the spell."""

    seconds: NonNegativeFloat = 0.0
    """Active time; of a gap without any act only the first 15 s count."""

    strokes: NonNegativeInt = 0
    """Finished strokes and uses of a tool."""

    undos: NonNegativeInt = 0
    """Steps taken back or done again."""

    clicks: NonNegativeInt = 0
    """Presses of a mouse button, strokes included."""

    keys: NonNegativeInt = 0
    """Presses of a key."""

    pixels: NonNegativeInt = 0
    """Pixels changed by strokes, each time it happened."""


@dataclass(slots=True)
class Spell:
    """What a `Meter` has counted; see `Effort`."""

    seconds: float = 0.0
    clicks: int = 0
    keys: int = 0


class Meter:
    """Counts the active seconds, clicks and key presses of a user.

    Parameters
    ----------
    clock : callable
        Seconds from any start, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._last: float | None = None
        self._spell = Spell()

    def act(self, clicks: int = 0, keys: int = 0) -> None:
        """Note that the user did something, such as moving the mouse."""
        now = self._clock()
        if self._last is not None:
            self._spell.seconds += min(now - self._last, IDLE_S)
        self._last = now
        self._spell.clicks += clicks
        self._spell.keys += keys

    def take(self) -> Spell:
        """Return what was counted since the last time."""
        spell, self._spell = self._spell, Spell()
        return spell

    def pause(self) -> None:
        """Count no time until the next act."""
        self._last = None


def edits_of(entries: Iterable[Entry], tile: str) -> dict[str, int]:
    """Count what a journal says was done in one tile: ``strokes``, ``undos`` and changed ``pixels``.

    To leave pixels out is a stroke that changes none. What only confirms what was proposed is no stroke.
    """
    inside = [entry for entry in entries if entry.tile == tile]
    painted = [entry for entry in inside if entry.kind in PAINTING]
    strokes = [entry for entry in painted if entry.kind == "own" or entry.pixels > entry.same]
    return {
        "strokes": len(strokes) + sum(entry.kind == "ignore" for entry in inside),
        "undos": sum(entry.kind in ("undo", "redo") for entry in inside),
        "pixels": sum(entry.pixels - entry.same for entry in strokes),
    }


def append_effort(project: Project, spells: Iterable[Effort], *, durable: bool = False) -> None:
    """Write spells to the log of a project.

    Parameters
    ----------
    project : Project
        Whose edit lock the caller holds.
    spells : iterable of Effort
    durable : bool
        Wait until they are on the disk; else they survive the program, not the machine.

    Raises
    ------
    LockedError
        If the lock is not held.
    OSError
        If they cannot be written.
    """
    if not project.lock.held:
        raise LockedError(f"{project.path} is open read-only here; its effort is logged by whoever edits it")
    lines = [spell.model_dump(mode="json", exclude_defaults=True) for spell in spells]
    if lines:
        append_json_lines(project.path / FILE, lines, durable=durable)


def read_effort(project: Project) -> Iterator[Effort]:
    """Read all spells of a project in the order they were written; torn or strange lines are left out."""
    for line in read_json_lines(project.path / FILE):
        try:
            yield Effort.model_validate(line)
        except ValidationError:
            continue


def effort_by_tile(spells: Iterable[Effort], *, checks: bool = False) -> dict[Key, Effort]:
    """Add up the spells of each tile.

    Parameters
    ----------
    spells : iterable of Effort
    checks : bool
        Add up those of blind checks instead of those of the tiles themselves.

    Returns
    -------
    dict of (image, tile) to Effort
        `time` is that of the newest spell.
    """
    sums: dict[Key, Effort] = {}
    for spell in spells:
        if bool(spell.check) != checks:
            continue
        key = (spell.image, spell.tile)
        before = sums.get(key)
        if before is not None:
            added = ("seconds", "strokes", "undos", "clicks", "keys", "pixels")
            total: dict[str, Any] = {name: getattr(before, name) + getattr(spell, name) for name in added}
            spell = spell.model_copy(update=total | {"time": max(before.time, spell.time)})
        sums[key] = spell
    return sums


def effort_rows(project: Project) -> list[dict[str, Any]]:
    """List every tile of the target, and of the source those worked on, with where it stands and what it cost.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of dict
        ``image``, ``subject``, ``domain``, ``tile``; ``top_px``, ``left_px``, ``height_px``, ``width_px`` in native
        pixels; ``status``; ``active_seconds``, ``strokes``, ``undos``, ``clicks``, ``keys``, ``changed_pixels``;
        ``last`` worked on, ISO 8601 in UTC, empty if never.

    Raises
    ------
    ProjectError
        If a journal cannot be read.
    """
    spent = effort_by_tile(read_effort(project))
    active = project.active("proposals")
    proposals = active.id if active else ""
    rows = []
    for record in project.images():
        heads = read_heads(project, record.id)
        proposed = record.domain == "target" and has_proposal(project, proposals, record.id)
        for tile in project.tiles(record):
            effort = spent.get((record.id, tile.id))
            if record.domain == "source" and effort is None:
                continue
            about = {"image": record.id, "subject": record.subject, "domain": record.domain, "tile": tile.id}
            sides = {"top_px": tile.window[0].start, "left_px": tile.window[1].start}
            sides |= {"height_px": tile.shape[0], "width_px": tile.shape[1]}
            rows.append(about | sides | _costs(heads.get(tile.id, TileHead()), effort, proposed=proposed))
    return rows


def _costs(head: TileHead, effort: Effort | None, *, proposed: bool) -> dict[str, Any]:
    status = "proposed" if head.status == "open" and proposed else head.status
    effort = effort or Effort(image="", tile="")
    last = datetime.fromtimestamp(effort.time, UTC).isoformat(timespec="seconds") if effort.time else ""
    return {
        "status": status,
        "active_seconds": round(effort.seconds, 1),
        "strokes": effort.strokes,
        "undos": effort.undos,
        "clicks": effort.clicks,
        "keys": effort.keys,
        "changed_pixels": effort.pixels,
        "last": last,
    }


def write_effort_table(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the rows of `effort_rows` as CSV, in UTF-8; a file of this name is replaced.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    rows = list(rows)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]) if rows else ["image", "tile"])
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, stream.getvalue().encode("utf-8"))
