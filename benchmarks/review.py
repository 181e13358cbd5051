"""What benchmarks of reviewing share: which tiles may be reviewed, the simulated annotator, copies of a project."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from folders import read_set
from histobridge.core.annotator import AnnotatorConfig, Effort, correct_tile
from histobridge.core.corrections import TileEdit
from histobridge.core.files import read_json, write_json
from histobridge.core.manifest import IGNORE, ImageRecord
from histobridge.core.metrics import dice
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run
from histobridge.core.tiles import Tile, tile_grid
from pairs import Pair

MOST_SHARED = 0.5
"""A tile of which an earlier one shows more than this share is left out."""

MARGIN_PX = 16
"""Native pixels around tiles that may be reviewed that are not scored either: fibres do not end at a border."""


def regular_tiles(record: ImageRecord, tile_px: int) -> list[Tile]:
    """Tiles of the grid without overlap, less the last of a row or column where it was moved onto its neighbour."""
    grid = tile_grid(record.shape, tile_px, 0)
    return [
        tile for index, tile in enumerate(grid) if all(_shared(tile, other) <= MOST_SHARED for other in grid[:index])
    ]


def pool(record: ImageRecord, tile_px: int) -> list[Tile]:
    """Tiles that may be reviewed: every second one, as on a chessboard. What lies outside of them is scored."""
    return [tile for tile in regular_tiles(record, tile_px) if (tile.row + tile.column) % 2 == 0]


def _shared(tile: Tile, other: Tile) -> float:
    sides = [
        max(0, min(a.stop, b.stop) - max(a.start, b.start)) / (a.stop - a.start)
        for a, b in zip(tile.window, other.window, strict=True)
    ]
    return sides[0] * sides[1]


def truths(pair: Pair) -> dict[str, np.ndarray]:
    """Class values of each target image, by its id; they stand for the annotator's knowledge, and score."""
    return {Path(row["file"]).stem: pair.truth(row["file"]) for row in read_set(pair.target)}


def scored_truth(truth: np.ndarray, tiles: list[Tile]) -> np.ndarray:
    """The truth without tiles and their surroundings, which are unknown (255)."""
    scored = truth.copy()
    for tile in tiles:
        rows, columns = (slice(max(0, side.start - MARGIN_PX), side.stop + MARGIN_PX) for side in tile.window)
        scored[rows, columns] = IGNORE
    return scored


def class_scores(pair: Pair, predicted: np.ndarray, truth: np.ndarray) -> Iterator[tuple[str, float]]:
    """Dice of each class of the target."""
    for spec in pair.target_classes:
        yield spec.name, round(dice(predicted, truth, spec.value, ignore=IGNORE), 5)


def correct(project: Project, run: Run, image_id: str, tile: Tile, truth: np.ndarray, seed: int) -> Effort:
    """Let the annotator correct one tile of a proposal and accept it; the same strokes whatever came before."""
    proposed, _ = read_proposal(project, run.id, image_id, tile.window)
    store = project.labels(image_id)
    try:
        edit = TileEdit(store, tile, proposed, run.id)
        rng = np.random.default_rng([seed, tile.row, tile.column, *image_id.encode()])
        return correct_tile(edit, truth[tile.window], AnnotatorConfig(), rng)
    finally:
        store.close()


def linked_copy(project: Project, runs: set[str], path: Path, tile_px: int) -> Project:
    """Copy a project with some of its runs, files being links since none is ever written in place.

    Its tiles are of another size.
    """
    shutil.rmtree(path, ignore_errors=True)

    def ignored(folder: str, names: list[str]) -> set[str]:
        unwanted = set(names) - runs if Path(folder) == project.path / "runs" else set()
        return unwanted | {name for name in names if name.endswith(".lock")}

    shutil.copytree(project.path, path, ignore=ignored, copy_function=os.link)
    values = read_json(path / "project.json")
    write_json(path / "project.json", values | {"tile_px": tile_px, "tile_overlap_px": 0})
    return Project.open(path)
