"""Teach a trained segmenter to know more classes."""

import torch

from histobridge.core.manifest import ClassSpec
from histobridge.core.segment.model import Segmenter
from histobridge.core.segment.networks import build_network

RARE = 2.0
"""How far below the others the logits of a new class begin: it is not seen everywhere before it is learned."""


def grow(segmenter: Segmenter, specs: tuple[ClassSpec, ...], seed: int) -> Segmenter:
    """Give a segmenter output channels for classes it does not know, behind its own.

    The logits of the classes it knows stay as they are: new channels feed nothing into old ones.

    Parameters
    ----------
    segmenter : Segmenter
        Left as it is.
    specs : tuple of ClassSpec
        Classes to know; those it knows already are skipped.
    seed : int
        Of the new weights.

    Returns
    -------
    Segmenter
        On the same device; `segmenter` itself if it knows all.
    """
    new = [spec for spec in specs if spec.value not in segmenter.card.values]
    if not new:
        return segmenter
    classes = (*segmenter.card.classes, *(spec.name for spec in new))
    values = (*segmenter.card.values, *(spec.value for spec in new))
    net = build_network(segmenter.card.preset, len(values) + 1, seed)
    known = segmenter.net.state_dict()
    grown = {name: _grown(fresh, known[name]) for name, fresh in net.state_dict().items()}
    last = [name for name, tensor in grown.items() if name.endswith("bias") and tensor.shape != known[name].shape][-1]
    grown[last][-len(new) :] -= RARE
    net.load_state_dict(grown)
    device = next(segmenter.net.parameters()).device
    return Segmenter(net.to(device), segmenter.card.model_copy(update={"classes": classes, "values": values}))


def _grown(fresh: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Put known weights into the corner of larger fresh ones."""
    grown = fresh.clone()
    if fresh.ndim > 1 and fresh.shape[1] > known.shape[1] and fresh.shape[0] > known.shape[0]:
        # Output channels by input channels: the known ones must not see the new.
        grown[: known.shape[0], known.shape[1] :] = 0
    grown[tuple(slice(size) for size in known.shape)] = known.to(fresh.device)
    return grown
