"""How far a segmenter that learns along can be trusted with what translations are held to."""

import torch
from torch import Tensor

from histobridge.core.manifest import IGNORE

HALF = 0.6
"""Dice at which a segmenter is trusted by half."""

STEEPNESS = 8
"""Power of the Dice. A segmenter at 0.7, as one of myelin is soon, has 0.77; one at 0.4, as of mitochondria, 0.04."""


def trust_in(found: Tensor, wanted: Tensor, channels: int) -> Tensor:
    """Say how far a segmenter is trusted, by how well it does where labels are at hand.

    Parameters
    ----------
    found : Tensor, (N, Y, X) int64
        Channels that it finds; 0 is background.
    wanted : Tensor, (N, Y, X) int64
        Those of the labels; 255 where there is none.
    channels : int
        How many there are, background with them.

    Returns
    -------
    Tensor
        Scalar in [0, 1]: D⁸ / (D⁸ + 0.6⁸), D the mean Dice of the foreground channels that the labels have; 0 where
        they have none, since nothing shows then that the segmenter finds anything.
    """
    known = wanted != IGNORE
    foreground = torch.arange(1, channels, device=wanted.device)[:, None, None, None]
    true, marked = wanted == foreground, (found == foreground) & known
    sizes = true.sum(dim=(1, 2, 3))
    dice = 2 * (true & marked).sum(dim=(1, 2, 3)) / (sizes + marked.sum(dim=(1, 2, 3))).clamp_min(1)
    shown = sizes > 0
    mean = (dice * shown).sum() / shown.sum().clamp_min(1)
    return mean**STEEPNESS / (mean**STEEPNESS + HALF**STEEPNESS)
