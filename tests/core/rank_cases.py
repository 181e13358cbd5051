"""Proposals of drawn fibres, and their ranking."""

from types import SimpleNamespace

import numpy as np

from histobridge.core.config import ProposeConfig, RankConfig
from histobridge.core.perform import perform
from histobridge.core.proposals import write_proposal
from histobridge.core.queue import read_queue
from histobridge.core.runs import RunState

TILE = 64
SHAPE = (192, 192)
IMAGES = ("rat1-a", "rat2-a", "rat3-a")


def fibres(shape=SHAPE, inner=8, outer=12, spacing=32):
    """Round fibres on a grid, with radii in pixels: 0 background, 1 axon, 2 myelin."""
    rows, columns = np.indices(shape)
    distance = np.hypot(rows % spacing - spacing / 2, columns % spacing - spacing / 2)
    return np.where(distance < inner, 1, np.where(distance < outer, 2, 0)).astype(np.uint8)


def tile_window(row, column):
    return slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE)


def propose(project, classes, confidence, route="tutorship", wanted=None):
    """Write a finished proposing run; `classes` and `confidence` are arrays by image."""
    run = project.create_run("propose", ProposeConfig(route=route))
    for name in wanted or classes:
        part = SimpleNamespace(labels=lambda window, name=name: (classes[name][window], confidence[name][window]))
        for _ in write_proposal(run.path, name, part, classes[name].shape):
            pass
    run.write_state(RunState(status="finished", result={"route": route}))
    return run


def rank(project, **config):
    run = project.create_run("rank", RankConfig(**config))
    perform(run)
    return read_queue(run)
