"""Order the tiles that wait for review: the job `rank`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histobridge.core.config import RankConfig
from histobridge.core.errors import ProjectError
from histobridge.core.files import write_json
from histobridge.core.holdout import MOST_COVERED, within
from histobridge.core.images.working import zoom_of
from histobridge.core.job import Job, Progress
from histobridge.core.labels import LabelStore
from histobridge.core.look import Features, look, look_groups, novelty, standardised
from histobridge.core.manifest import ImageRecord
from histobridge.core.matching import load_matching
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.queue import FILE, Queue, QueuedTile
from histobridge.core.runs import Run
from histobridge.core.states import MODEL
from histobridge.core.stopping import when_to_stop
from histobridge.core.tile_measures import Measures, measure_tile
from histobridge.core.tiles import Tile
from histobridge.core.turns import Entrant, take_turns
from histobridge.core.worth import AT_RANDOM, Worth, weigh

DECIDED_SHARE = 0.9
"""A tile in which so much is accepted, corrected or ignored does not wait any more."""

MOST_REVIEWED = 200
"""At most so many reviewed tiles are looked at, to tell what looks new."""

REASONS_TOLD = 3
CELL_PX = 256
WAITING, COVERED, SKIPPED, DECIDED = range(4)


@dataclass(frozen=True, slots=True)
class Place:
    """One tile of one image; `standing` is one of WAITING, COVERED, SKIPPED, DECIDED."""

    record: ImageRecord
    tile: Tile
    standing: int

    def entrant(self, look_group: int = 0, score: float = 0.5) -> Entrant:
        """Itself, waiting for its turn."""
        return Entrant(self.record.subject, self.record.id, self.tile.id, look_group, score)


def rank_tiles(project: Project, run: Run, config: RankConfig) -> Job[dict[str, Any]]:
    """Order the tiles of the target that nobody has decided yet, with the reason for each.

    Reads proposals tile by tile and images on a coarse level, so memory does not grow with the images.

    Parameters
    ----------
    project : Project
    run : Run
        Gets ``queue.json``, see `histobridge.core.queue`.
    config : RankConfig

    Yields
    ------
    Progress
        After every tile.

    Returns
    -------
    dict
        Number of ``tiles`` queued, ``left_out`` since they were too many to look at, ``reviewed``, number of
        ``strata`` (looks of images), ``next``: the first tiles with reasons, ``stop``: what going on is likely to gain.

    Raises
    ------
    ProjectError
        If nothing is proposed yet, or a file is damaged.
    """
    proposals, other = _settled(project, run, config)
    places = _places(project)
    reviewed = [place for place in places if place.standing == DECIDED]
    candidates = [place for place in places if place.standing != DECIDED]
    places = _some(reviewed, config.seed, MOST_REVIEWED) + _some(candidates, config.seed, config.most_tiles)
    features: list[Features] = []
    measures: list[Measures] = []
    images = {name: project.pixels(name) for name in {place.record.id for place in places}}
    scale = _working_um(project, proposals)
    stores = {name: project.labels(name) for name in images}
    try:
        for index, place in enumerate(places):
            features.append(look(images[place.record.id], place.tile.window))
            measures.append(_measured(project, place, stores[place.record.id], (proposals, other), scale))
            yield Progress(index + 1, len(places), f"looking at the tiles of {place.record.id}")
    finally:
        for store in stores.values():
            store.close()
    waiting, ordered = _ordered(project, config, places, features, measures) if places else ([], [])
    stop = when_to_stop(project, config.seconds_per_tile)
    queue = Queue(order=config.order, proposals=proposals, tiles=tuple(ordered), stop=stop)
    write_json(run.path / FILE, queue.model_dump(mode="json"))
    return {
        "tiles": len(ordered),
        "left_out": len(candidates) - len(ordered),
        "reviewed": len(reviewed),
        "strata": len({entrant.stratum for entrant in waiting}),
        "next": [tile.model_dump(include={"image", "tile", "reason"}) for tile in ordered[:REASONS_TOLD]],
        "stop": stop.words,
    }


def _settled(project: Project, run: Run, config: RankConfig) -> tuple[str, str]:
    """The proposals to look at, and those of another route to compare with; the same when the job is resumed."""
    base = project.need("proposals", config.proposals, "propose labels on the Labels page first")
    others = [
        other.id
        for other in project.runs("propose")
        if other.state().status == "finished" and _route(other) not in ("model", _route(base))
    ]
    images = [record.id for record in project.images("target")]
    # The one that covers most images; of several the latest.
    known = {other: sum(has_proposal(project, other, image) for image in images) for other in others}
    found = config.other or max(others, key=lambda other: (known[other], other), default="")
    settled = run.settle(proposals=base.id, other=project.run(found).id if found else "")
    return settled["proposals"], settled["other"]


def _route(run: Run) -> str:
    return str(run.state().result.get("route", run.config["route"]))


def _places(project: Project) -> list[Place]:
    """All tiles of the target with what was decided about them."""
    found = []
    for record in project.images("target"):
        tiles = project.tiles(record)
        store = project.labels(record.id)
        try:
            standings = _standings(store, tiles)
        finally:
            store.close()
        decided = {(t.row, t.column) for t, standing in zip(tiles, standings, strict=True) if standing == DECIDED}
        grid = {(tile.row, tile.column): tile for tile in tiles}
        for tile, standing in zip(tiles, standings, strict=True):
            covered = standing == WAITING and _is_covered(tile, grid, decided)
            found.append(Place(record, tile, COVERED if covered else standing))
    return found


def _standings(store: LabelStore, tiles: Sequence[Tile]) -> list[int]:
    """What was decided about the tiles of one image; pixels are read only where something was."""
    touched = np.zeros([length // CELL_PX + 1 for length in store.shape], bool)
    for window in store.corrections():
        touched[_cells(window)] = True
    found = []
    for tile in tiles:
        status = store.history(tile.id).status
        if status in ("accepted", "skipped"):
            found.append(DECIDED if status == "accepted" else SKIPPED)
        elif touched[_cells(tile.window)].any() and (store.read(tile.window)[1] != MODEL).mean() >= DECIDED_SHARE:
            found.append(DECIDED)
        else:
            found.append(WAITING)
    return found


def _cells(window: tuple[slice, slice]) -> tuple[slice, slice]:
    """Cells of `CELL_PX` that a window of native pixels touches."""
    rows, columns = (slice(side.start // CELL_PX, (side.stop - 1) // CELL_PX + 1) for side in window)
    return rows, columns


def _is_covered(tile: Tile, grid: dict[tuple[int, int], Tile], decided: set[tuple[int, int]]) -> bool:
    """Whether a neighbour that is decided, or comes before in the grid, shows most of a tile."""
    here = tile.row, tile.column
    around = [(here[0] + row, here[1] + column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    return any(
        _share(tile, grid[place].window) > MOST_COVERED
        for place in around
        if place in grid and place != here and (place < here or place in decided)
    )


def _share(tile: Tile, window: tuple[slice, slice]) -> float:
    """Share of the pixels of a tile that lie in a window."""
    rows, columns = within(window, tile.window)
    return float((rows.stop - rows.start) * (columns.stop - columns.start) / (tile.shape[0] * tile.shape[1]))


def _some(places: Sequence[Place], seed: int, most: int) -> list[Place]:
    """At most so many, all images in turn; what waits comes before what is covered or was skipped."""
    chosen: list[Place] = []
    for standing in sorted({place.standing for place in places}):
        group = [place for place in places if place.standing == standing]
        if len(chosen) + len(group) > most:
            turns = take_turns([place.entrant() for place in group], (), seed, 0.0, most - len(chosen))
            group = [group[index] for index in sorted(turns)]
        chosen += group
    return chosen


def _working_um(project: Project, proposals: str) -> float:
    """µm per working pixel of the target when it was proposed; 1 where nobody knows any more."""
    try:
        matching = project.run(str(project.run(proposals).state().result.get("matching", "")))
    except ProjectError:
        return 1.0
    return load_matching(project, matching.id).target_working_um


def _measured(project: Project, place: Place, store: LabelStore, runs: tuple[str, str], working_um: float) -> Measures:
    """Measure what is open of a tile, by the proposals of the first run, compared with those of the other."""
    record, window, (proposals, other) = place.record, place.tile.window, runs
    if place.standing == DECIDED or not has_proposal(project, proposals, record.id):
        return Measures()
    classes, confidence = read_proposal(project, proposals, record.id, window)
    compared = read_proposal(project, other, record.id, window)[0] if has_proposal(project, other, record.id) else None
    # An image whose pixel size is unknown was proposed with a zoom of its own.
    known = record.zoom_override is not None or record.pixel_size_um is not None
    size_um = zoom_of(record, working_um) * working_um if known else working_um
    is_open = store.read(window)[1] == MODEL if store.exists else None
    return measure_tile(classes, confidence, compared, project.manifest, size_um, is_open)


def _ordered(
    project: Project,
    config: RankConfig,
    places: Sequence[Place],
    features: Sequence[Features],
    measures: Sequence[Measures],
) -> tuple[list[Entrant], list[QueuedTile]]:
    """Entrants of all tiles that wait, and the queue; `places` begin with what is decided."""
    looks = standardised(np.stack(features))
    groups = look_groups(looks, [place.record.id for place in places], config.looks, config.seed).tolist()
    first = sum(place.standing == DECIDED for place in places)
    new = novelty(looks[first:], looks[:first]) if 0 < first < len(places) else None
    worths = weigh(measures[first:], new, nested=project.manifest.nested_pair() is not None)
    shown = [place.entrant(group) for place, group in zip(places[:first], groups, strict=False)]
    waiting = [
        place.entrant(group, worth.score)
        for place, group, worth in zip(places[first:], groups[first:], worths, strict=True)
    ]
    order: list[int] = []
    for standing in (WAITING, COVERED, SKIPPED):
        inside = [index for index, place in enumerate(places[first:]) if place.standing == standing]
        before = [*shown, *(waiting[index] for index in order)]
        if config.order == "entropy":
            order += sorted(inside, key=lambda index: -(measures[first + index].uncertainty or 0.0))
        else:
            sharpness = config.sharpness if config.order == "queue" else 0.0
            turns = take_turns([waiting[index] for index in inside], before, config.seed, sharpness)
            order += [inside[turn] for turn in turns]
    return waiting, [_queued(places[first + index], worths[index], config) for index in order]


def _queued(place: Place, worth: Worth, config: RankConfig) -> QueuedTile:
    reason = {"queue": worth.reason, "random": AT_RANDOM, "entropy": "the model is least sure here"}[config.order]
    if place.standing != WAITING:
        reason = "skipped before" if place.standing == SKIPPED else "mostly shown by a neighbouring tile"
    parts = {name: round(part, 4) for name, part in worth.parts.items()}
    return QueuedTile(
        image=place.record.id, tile=place.tile.id, score=round(worth.score, 4), reason=reason, parts=parts
    )
