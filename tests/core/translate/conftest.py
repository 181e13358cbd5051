"""Two modalities of dark and bright rings, with the truth."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.job import finish
from histobridge.core.translate.base import Translator, look_of
from histobridge.core.translate.crops import Labelled
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learn import train_pair

SMALL = TrainTranslatorConfig(method="cyclegan", steps=100, crop_px=64, channels=8, blocks=2, device="cpu")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rings(random: np.random.Generator, count: int, size: int = 128) -> NDArray[np.int_]:
    """Draw a label map (Y, X): 0 background, 1 inside, 2 ring."""
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), int)
    for _ in range(200):
        radius, centre = random.uniform(7, 13), random.uniform(0, size, 2)
        distance = np.hypot(y - centre[0], x - centre[1])
        if count and not labels[distance < radius + 2].any():
            labels[distance < radius] = 2
            labels[distance < 0.65 * radius] = 1
            count -= 1
    return labels


def draw_source(labels, random):
    """Dark rings with bright insides and fine noise."""
    grey = np.array([0.1, 0.6, -0.8])[labels] + random.normal(0, 0.12, labels.shape)
    return np.clip(grey, -1, 1).astype(np.float32)


def draw_truth(labels):
    """Bright rings with dark insides, blurred."""
    return ndimage.gaussian_filter(np.array([-0.5, -0.8, 0.7])[labels], 1.2).astype(np.float32)


def draw_target(labels, random):
    """Draw the truth under coarse noise."""
    noise = ndimage.gaussian_filter(random.normal(0, 0.3, labels.shape), 1.0)
    return np.clip(draw_truth(labels) + noise, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Pair:
    """Training images of both domains, and source images whose translation is known."""

    source: list[NDArray[np.float32]]
    target: list[NDArray[np.float32]]
    tested: list[NDArray[np.float32]]
    truth: list[NDArray[np.float32]]
    instant: Instant
    maps: list[NDArray[np.uint8]]
    """Labels of the source."""

    @property
    def labelled(self) -> list[Labelled]:
        """The source with its labels."""
        return [Labelled(*both) for both in zip(self.source, self.maps, strict=True)]

    def error(self, translator: Translator) -> float:
        """Mean absolute difference from the truth."""
        differences = [
            np.abs(translator.translate(image, "source_to_target", look_of(image)) - truth).mean()
            for image, truth in zip(self.tested, self.truth, strict=True)
        ]
        return float(np.mean(differences))


@pytest.fixture(scope="session")
def pair() -> Pair:
    random = np.random.default_rng(0)
    source, maps = [], []
    for _ in range(6):
        maps.append(rings(random, 14).astype(np.uint8))
        source.append(draw_source(maps[-1], random))
    target = [draw_target(rings(random, 8), random) for _ in range(6)]
    tested = [rings(random, 10) for _ in range(3)]
    looks = [np.mean([look_of(field) for field in fields], axis=0) for fields in (source, target)]
    return Pair(
        source,
        target,
        [draw_source(labels, random) for labels in tested],
        [draw_truth(labels) for labels in tested],
        Instant(True, *looks),
        maps,
    )


@pytest.fixture(scope="session")
def small() -> TrainTranslatorConfig:
    return SMALL


@pytest.fixture(scope="session")
def trained(pair) -> CycleGan:
    return finish(train_pair(pair.source, pair.target, pair.instant, SMALL))
