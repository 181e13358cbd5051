"""Settings of terms that set the student a riddle whose answer is known without labels."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from histobridge.core.segment.terms.term_settings import Settings


class PretextSettings(Settings):
    """Of terms that set a riddle."""

    weight: NonNegativeFloat = 0.1
    """Weight of the term at full strength."""


class RotationSettings(PretextSettings):
    """Tell by how many quarter turns a crop was turned (Gidaris et al. 2018)."""

    kind: Literal["rotation"] = "rotation"
    """Which term."""


class JigsawSettings(PretextSettings):
    """Tell how the pieces of a crop were shuffled (Noroozi and Favaro 2016)."""

    kind: Literal["jigsaw"] = "jigsaw"
    """Which term."""

    grid: Literal[2, 3] = 2
    """Pieces along each side."""

    permutations: int = Field(24, ge=2, le=100)
    """Orders to tell apart, as different from each other as possible; at most 24 with a grid of 2."""


class MutualInformationSettings(PretextSettings):
    """Sort what is seen into clusters that stay the same in another look (IIC, Ji et al. 2019)."""

    kind: Literal["mutual-information"] = "mutual-information"
    """Which term."""

    clusters: int = Field(20, ge=2)
    """K, clusters to sort into."""

    heads: PositiveInt = 5
    """Ways of sorting learned at once; their mean counts."""

    stride: Literal[2, 4, 8] = 2
    """Of the decoder's features, in pixels."""

    shift: int = Field(1, ge=0, le=3)
    """Neighbours up to this many features apart shall fall into clusters that tell of each other."""

    encoder: NonNegativeFloat = 1.0
    """Weight, within the term, of the bottleneck."""

    decoder: NonNegativeFloat = 0.5
    """Weight, within the term, of the decoder."""
