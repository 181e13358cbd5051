"""A first training without any label: pretext and contrastive terms alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from histobridge.core.job import Job
from histobridge.core.manifest import IGNORE
from histobridge.core.segment.crops import Batch
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.train import train
from histobridge.core.training_config import SegmenterTraining

FOLDER = "pretraining"


def pretrain(net: nn.Module, pool: TilePool, config: SegmenterTraining, folder: Path | None = None) -> Job[nn.Module]:
    """Train `net` in place on the pre-training terms of the config alone.

    It is the training of every segmenter on crops of which no pixel is labelled, so that the supervised loss is 0.
    Self-supervised pre-training, then the labels: Chaitanya et al. 2020 (NeurIPS), Ji et al. 2019 (ICCV). A finished
    one is read from its checkpoint.

    Parameters
    ----------
    net : nn.Module
        Maps (N, 1, Y, X) images to (N, K, Y, X) logits.
    pool : TilePool
        Images without labels; labelled ones may be among them.
    config : SegmenterTraining
        `pretrain_terms` and `pretrain_steps`; the rest as in the training that follows.
    folder : Path, optional
        Gets ``pretraining/`` with the checkpoints; none: no checkpoints.

    Yields
    ------
    Progress
        After every optimizer step.

    Returns
    -------
    nn.Module
        `net`, in eval mode.
    """
    phase = config.model_copy(update={"terms": config.pretrain_terms, "steps": config.pretrain_steps, "average": 0.0})
    place = None if folder is None else folder / FOLDER
    if place is not None:
        place.mkdir(exist_ok=True)
    trained: nn.Module = yield from train(net, _Unlabelled(pool), phase, place, unlabelled=pool)
    return trained


class _Unlabelled:
    """Crops of a pool as batches that nobody has labelled."""

    def __init__(self, pool: TilePool):
        self._pool = pool

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of `size` crops forever."""
        for crops in self._pool.batches(size):
            image = crops.weak
            yield image, torch.full_like(image[:, 0], IGNORE, dtype=torch.int64), torch.zeros_like(image[:, 0])

    def state(self) -> dict[str, Any]:
        """Nothing: the pool is saved by the training."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Do nothing."""
        del state
