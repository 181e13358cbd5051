"""Settings of terms that translate images."""

from typing import Literal

from histobridge.core.segment.terms.term_settings import Settings


class SemanticConsistencySettings(Settings):
    """Say the same of a labelled image and of its translation (CyCADA, Hoffman et al. 2018; SynSeg-Net 2019)."""

    kind: Literal["semantic-consistency"] = "semantic-consistency"
    """Which term."""

    translator: str = "strong"
    """`strong`: another random look; `instant` or a translator's run: the look of the other domain."""

    labels: bool = True
    """Learn the labels on the translation too (SynSeg-Net)."""

    consistency: bool = True
    """Agree with what is said of the image itself (CyCADA)."""
