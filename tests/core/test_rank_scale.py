"""Tiles of several magnifications are compared as tissue."""

import numpy as np
import pytest
from rank_cases import IMAGES, SHAPE, TILE, fibres, propose, rank

from histobridge.core.files import read_json, write_json
from histobridge.core.project import Project


@pytest.mark.parametrize("known", ["pixel size", "zoom"])
def test_the_same_tissue_at_another_magnification_is_nothing_unusual(tmp_path, add_arrays, known):
    """Objects are counted and measured in µm, not in pixels of each image."""
    project = Project.create(tmp_path / "project")
    random = np.random.default_rng(0)
    add_arrays(project, "target", {name: random.integers(0, 255, SHAPE).astype(np.uint8) for name in IMAGES})
    values = read_json(project.path / "project.json") | {"tile_px": TILE, "tile_overlap_px": 0}
    small = fibres(spacing=16, inner=4, outer=6)
    propose(
        project,
        {IMAGES[0]: fibres(), IMAGES[1]: fibres(), IMAGES[2]: small},
        {name: np.full(SHAPE, 240, np.uint8) for name in IMAGES},
    )
    sizes = dict(zip(IMAGES, (0.1, 0.1, 0.2), strict=True))
    for image in values["images"]:
        image["pixel_size_um"] = sizes[image["id"]] if known == "pixel size" else None
        image["zoom_override"] = None if known == "pixel size" else sizes[image["id"]]
    write_json(project.path / "project.json", values)
    queue = rank(Project.open(project.path))
    assert not [tile.reason for tile in queue.tiles if "unusual" in tile.reason]
