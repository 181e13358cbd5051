"""Settings of terms that mix images."""

from typing import Literal

from pydantic import Field, PositiveFloat

from histobridge.core.segment.terms.term_settings import Settings


class MixUpSettings(Settings):
    """Learn from blends of two labelled images, with the labels of both (Zhang et al. 2018)."""

    kind: Literal["mixup"] = "mixup"
    """Which term."""

    alpha: PositiveFloat = 0.2
    """The share of the first image is drawn from Beta(alpha, alpha): the smaller, the nearer to one of the two."""


class InterpolationSettings(Settings):
    """Of a blend of two images without labels say the blend of what a teacher says (Verma et al. 2019)."""

    kind: Literal["interpolation"] = "interpolation"
    """Which term."""

    alpha: PositiveFloat = 0.2
    """The share of the first image is drawn from Beta(alpha, alpha): the smaller, the nearer to one of the two."""


class CutMixSettings(Settings):
    """Learn from images with a box of another image pasted in (Yun et al. 2019; French et al. 2020)."""

    kind: Literal["cutmix"] = "cutmix"
    """Which term."""

    images: Literal["labelled", "unlabelled"] = "unlabelled"
    """Mix images with their labels, or images without labels, for which a teacher, the running average, answers."""

    threshold: float = Field(0.97, ge=0, lt=1)
    """Without labels: the term counts in proportion to the pixels of which the teacher is surer than this."""
