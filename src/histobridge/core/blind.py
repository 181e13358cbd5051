"""Blind checks: some reviewed tiles are shown again, with or without a proposal, to see how far answers agree."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from histobridge.core.config import Config
from histobridge.core.effort import effort_by_tile, read_effort
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.heads import Key
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE, ImageRecord
from histobridge.core.metrics import dice
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal
from histobridge.core.states import IGNORED, MODEL
from histobridge.core.tiles import Window

FILE, FOLDER = "blind.json", "blind"
Check = Literal["again", "without"]
KINDS: tuple[Check, ...] = ("again", "without")


class BlindChecks(Config):
    """Which tiles are checked; ``blind.json`` of the project."""

    on: bool = False
    """Whether tiles are shown again."""

    twice: float = Field(0.1, ge=0, le=1)
    """Share of the accepted tiles that are shown again as they were at first, with the same proposal."""

    without: float = Field(0.05, ge=0, le=1)
    """Share of the accepted tiles that are shown again without a proposal; those take long."""

    after: NonNegativeInt = 8
    """A tile comes again when so many others were accepted since."""

    seed: int = 0
    """Decides which tiles."""

    @model_validator(mode="after")
    def _fit(self) -> "BlindChecks":
        if self.twice + self.without > 1:
            raise ValueError(f"twice {self.twice} and without {self.without} are more than all tiles; lower one")
        return self


@dataclass(frozen=True, slots=True)
class Due:
    """A tile that shall be shown again now, and how."""

    key: Key
    check: Check


class Agreement(Config):
    """How far two answers for one tile agree."""

    image: str
    """Id of the image."""

    tile: str
    """Id of the tile."""

    check: Check
    """``again``: both with a proposal, or both without. ``without``: only the first with one."""

    dice: dict[str, float]
    """Dice of the two answers by name of the class, 0 to 1."""

    compared: float
    """Share of the pixels of the tile that were decided both times and ignored at neither."""

    seconds: tuple[float, float]
    """Active seconds of the first and of the second time; 0 where none were logged."""


def read_checks(project: Project) -> BlindChecks:
    """Read which tiles are checked; none, unless somebody has chosen so.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    path = project.path / FILE
    try:
        return BlindChecks.model_validate(read_json(path))
    except FileNotFoundError:
        return BlindChecks()
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} cannot be read ({error}); choose the blind checks again") from error


def write_checks(project: Project, checks: BlindChecks) -> None:
    """Choose which tiles are checked; raises `LockedError` if somebody else edits the project."""
    with project.editing():
        write_json(project.path / FILE, checks.model_dump(mode="json"))


def drawn(checks: BlindChecks, key: Key) -> Check | None:
    """Draw whether and how a tile is shown again.

    Every tile has a number between 0 and 1 that depends on its ids and the seed alone, so the answer depends neither on
    the order of the tiles nor on how many there are.
    """
    if not checks.on:
        return None
    digest = hashlib.sha256("/".join((str(checks.seed), *key)).encode()).digest()
    number = int.from_bytes(digest[:8], "big") / 2**64
    if number < checks.without:
        return "without"
    return "again" if number < checks.without + checks.twice else None


def due_check(checks: BlindChecks, accepted: Mapping[Key, float], given: Collection[Key]) -> Due | None:
    """Choose the tile that shall be shown again now, if there is one.

    Parameters
    ----------
    checks : BlindChecks
    accepted : mapping of (image, tile) to float
        When each accepted tile of the target was accepted, in seconds since 1970.
    given : collection of (image, tile)
        Tiles that were shown again already.

    Returns
    -------
    Due or None
        Of the tiles that were drawn, and after which enough others were accepted, the earliest.
    """
    order = sorted(accepted, key=lambda key: (accepted[key], key))
    for key in order[: max(0, len(order) - checks.after)]:
        check = drawn(checks, key)
        if check is not None and key not in given:
            return Due(key, check)
    return None


def answers(project: Project, image: str) -> LabelStore:
    """Open the labels that were painted in the blind checks of an image; the image's own labels are another file.

    Parameters
    ----------
    project : Project
    image : str

    Returns
    -------
    LabelStore
        In ``blind/<domain>/<image>`` of the project; writable if the edit lock is held.
    """
    record = project.image(image)
    folder = project.path / FOLDER / record.domain / record.id
    return LabelStore(folder, record.shape, writable=project.lock.held)


def proposal_shown(project: Project, record: ImageRecord, tile: str, check: str) -> str:
    """Return the run whose proposal a tile is shown with; empty: without any.

    Parameters
    ----------
    project : Project
    record : ImageRecord
    tile : str
        Id of the tile.
    check : str
        Kind of blind check; empty: none, the newest proposal is shown.

    Returns
    -------
    str
        When shown again: the run that it was reviewed with, if that is still there.
    """
    if record.domain != "target" or check == "without":
        return ""
    if check == "again":
        store = project.labels(record.id)
        first = store.history(tile).proposal
        store.close()
        if has_proposal(project, first, record.id):
            return first
    active = project.active("proposals")
    return active.id if active and has_proposal(project, active.id, record.id) else ""


def answered(project: Project) -> list[tuple[ImageRecord, str]]:
    """List the checks that were decided, accepted or skipped, as image and tile id."""
    found = []
    for record in project.images("target"):
        if not (project.path / FOLDER / record.domain / record.id).exists():
            continue
        store = answers(project, record.id)
        tiles = {entry.tile for entry in store.journal.entries}
        found += [(record, tile) for tile in sorted(tiles) if store.history(tile).status in ("accepted", "skipped")]
        store.close()
    return found


def measure_agreement(project: Project) -> list[Agreement]:
    """Compare the two answers for every tile that was accepted twice, as they are now.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of Agreement
        In the order of images and tiles.

    Raises
    ------
    ProjectError
        If labels cannot be read.
    """
    spells = list(read_effort(project))
    spent, spent_again = effort_by_tile(spells), effort_by_tile(spells, checks=True)
    found = []
    for record, tile_id in answered(project):
        tile = next((tile for tile in project.tiles(record) if tile.id == tile_id), None)
        first, second = project.labels(record.id), answers(project, record.id)
        histories = [store.history(tile_id) for store in (first, second)]
        if tile is not None and all(history.accepted for history in histories):
            scores, compared = _compare(first, second, tile.window, {c.name: c.value for c in project.classes})
            key = (record.id, tile_id)
            seconds = tuple(each[key].seconds if key in each else 0.0 for each in (spent, spent_again))
            proposed = {bool(history.proposal) for history in histories}
            check = "again" if len(proposed) == 1 else "without"
            values: dict[str, Any] = {"image": record.id, "tile": tile_id, "check": check, "seconds": seconds}
            found.append(Agreement(dice=scores, compared=compared, **values))
        for store in (first, second):
            store.close()
    return found


def _compare(
    first: LabelStore, second: LabelStore, window: Window, values: Mapping[str, int]
) -> tuple[dict[str, float], float]:
    """Dice of each class where both answers are known, and the share of such pixels."""
    (one, state), (other, other_state) = first.read(window), second.read(window)
    known = ~(np.isin(state, (MODEL, IGNORED)) | np.isin(other_state, (MODEL, IGNORED)))
    truth = np.where(known, one, IGNORE)
    scores = {name: dice(other, truth, value, ignore=IGNORE) for name, value in values.items()}
    return scores, float(known.mean())


def told(agreements: Sequence[Agreement]) -> list[str]:
    """Say in words how far answers agree, a line for each kind of check; empty without any."""
    lines = []
    for kind, words in (("again", "Shown twice"), ("without", "With and without a proposal")):
        of_kind = [agreement for agreement in agreements if agreement.check == kind]
        if not of_kind:
            continue
        names = list(of_kind[0].dice)
        means = ", ".join(f"{name} {np.mean([each.dice[name] for each in of_kind]):.2f}" for name in names)
        tiles = "1 tile" if len(of_kind) == 1 else f"{len(of_kind)} tiles"
        line = f"{words}, {tiles}: Dice {means}"
        timed = [each.seconds for each in of_kind if min(each.seconds) > 0]
        if timed:
            first, second = np.mean(timed, axis=0)
            line += f"; {first:.0f} s the first time, {second:.0f} s the second"
        lines.append(line)
    return lines
