"""Drawn fibres: discs in rings, with gaps, with class values of one's choice."""

from dataclasses import dataclass

import numpy as np
import pytest

from histobridge.core.tools.result import View


@dataclass
class Scene:
    """A tile to draw fibres in."""

    classes: np.ndarray
    inner: int = 1
    outer: int = 2
    image: np.ndarray | None = None

    @property
    def view(self) -> View:
        return View(self.classes, self.image, self.inner, self.outer)

    def distance(self, centre) -> np.ndarray:
        y, x = np.indices(self.classes.shape)
        return np.hypot(y - centre[0], x - centre[1])

    def axon(self, centre, radius) -> "Scene":
        self.classes[self.distance(centre) < radius] = self.inner
        return self

    def ring(self, centre, radius, thickness, gap_px=0.0) -> "Scene":
        """A ring from `radius` outwards, open to the right over `gap_px` pixels of its inner outline."""
        distance = self.distance(centre)
        y, x = np.indices(self.classes.shape)
        in_gap = (abs(y - centre[0]) < gap_px / 2) & (x > centre[1])
        self.classes[(distance >= radius) & (distance < radius + thickness) & ~in_gap] = self.outer
        return self

    def fibre(self, centre, radius, thickness, gap_px=0.0) -> "Scene":
        return self.axon(centre, radius).ring(centre, radius, thickness, gap_px)


@pytest.fixture
def scene():
    """Make an empty tile of a shape, with class values."""

    def empty(shape=(80, 80), inner=1, outer=2):
        return Scene(np.zeros(shape, np.uint8), inner, outer)

    return empty
