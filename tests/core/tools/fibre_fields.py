"""Small fields of fibres whose right answers are known."""

import numpy as np

from histobridge.core.tools.result import View

PAIRS = [(1, 2), (7, 200)]


def view_of(classes, pair=(1, 2), **more):
    return View(classes, None, *pair, **more)


def fibre(classes, centre, radius, thickness, pair=(1, 2)):
    """Draw a round fibre: an axon of `radius` in a sheath of `thickness`, which never covers an axon."""
    distance = np.hypot(*(grid - place for grid, place in zip(np.indices(classes.shape), centre, strict=True)))
    classes[(distance <= radius + thickness) & (classes != pair[0])] = pair[1]
    classes[distance <= radius] = pair[0]
    return classes


def touching(pair=(1, 2)):
    """Two fibres whose sheaths have run together, axons at (30, 25) and (30, 55), and a third one far off."""
    classes = np.zeros((70, 110), np.uint8)
    for centre in ((30, 25), (30, 55), (45, 95)):
        fibre(classes, centre, 8, 8, pair)
    return classes


def at(classes, *places):
    return [int(classes[place]) for place in places]
