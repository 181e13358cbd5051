"""Loss on the labelled pixels only."""

import torch
from torch.nn import functional

from histobridge.core.manifest import IGNORE

SMOOTH = 1e-5


def masked_dice_ce(logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy plus soft Dice over labelled pixels.

    The mask acts on the probabilities (masked logits would become a uniform guess that counts), so the loss of a
    partly labelled batch equals the loss of its labelled part. Dice is taken over the whole batch and averaged over
    the foreground classes.

    Parameters
    ----------
    logits : torch.Tensor
        (N, K, Y, X) float; channel 0 is background.
    labels : torch.Tensor
        (N, Y, X) int64 in [0, K); 255 is unlabelled.
    weight : torch.Tensor
        (N, Y, X) float >= 0; how much a pixel counts.

    Returns
    -------
    torch.Tensor
        Scalar; 0 with a gradient of 0 when nothing is labelled.
    """
    labelled = labels != IGNORE
    weight = torch.where(labelled, weight, 0.0)
    labels = torch.where(labelled, labels, 0)
    log_probabilities = functional.log_softmax(logits, dim=1)
    surprise = -log_probabilities.gather(1, labels[:, None])[:, 0]
    cross_entropy = (weight * surprise).sum() / weight.sum().clamp_min(SMOOTH)

    predicted = log_probabilities.exp()[:, 1:]
    truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:]
    weight = weight[:, None]
    overlap = (weight * predicted * truth).sum(dim=(0, 2, 3))
    size = (weight * (predicted + truth)).sum(dim=(0, 2, 3))
    dice = (2 * overlap + SMOOTH) / (size + SMOOTH)
    return cross_entropy + (1 - dice).mean()
