"""Fine-tune on little without losing what is known: frozen statistics, weights kept near their start, replay."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

TILES_TO_TRUST = 4
TILES_TO_FORGET = 8
LEAST_REPLAY = 0.1


@contextmanager
def frozen_statistics(net: nn.Module) -> Iterator[None]:
    """Let every BatchNorm of `net` normalise by its running statistics, and leave those alone, also while training.

    Batches of a fine-tuning are crops of a few tiles and of the source. Their statistics differ from image to image
    of the target; running means that follow them shift the activations of all other images. Affine weights go on
    learning, and training and prediction compute the same function.

    Parameters
    ----------
    net : nn.Module
        Networks without BatchNorm are left as they are.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(_to_eval) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _to_eval(norm: nn.Module, _: Any) -> None:
    norm.eval()


def share_of_the_way(tiles: float, single: float) -> float:
    """How far the weights go from the start to the fine-tuned ones.

    Parameters
    ----------
    tiles : float
        Reviewed tiles learned from; a tile that is begun counts as much as is reviewed of it.
    single : float
        Share with one tile or less, 0 to 1.

    Returns
    -------
    float
        Rises evenly from `single` with one tile to 1 with four and more.
    """
    return single + (1 - single) * _beyond_one(tiles, TILES_TO_TRUST)


def replay_share(tiles: float, start: float) -> float:
    """Share of a batch that replays the source.

    Parameters
    ----------
    tiles : float
        Reviewed tiles learned from; a tile that is begun counts as much as is reviewed of it.
    start : float
        Share with one tile or less, 0 to 1.

    Returns
    -------
    float
        Falls evenly from `start` with one tile to 0.1 with eight and more; a smaller start stays.
    """
    least = min(start, LEAST_REPLAY)
    return start + (least - start) * _beyond_one(tiles, TILES_TO_FORGET)


def _beyond_one(tiles: float, enough: int) -> float:
    """Where between one tile, 0, and enough, 1."""
    return min(1.0, max(0.0, (tiles - 1) / (enough - 1)))


def weights_of(net: nn.Module) -> dict[str, torch.Tensor]:
    """Copy parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def go_back(net: nn.Module, start: Mapping[str, torch.Tensor], share: float) -> None:
    """Move the weights of a fine-tuned network back towards its start, in place.

    Parameters
    ----------
    net : nn.Module
        Fine-tuned, on any device.
    start : mapping of str to torch.Tensor
        From `weights_of` before.
    share : float
        Of the way from the start that is kept, 0 to 1.

    Notes
    -----
    θ = θ_start + share (θ_tuned - θ_start), in parameters and buffers alike: Wortsman et al. 2022, WiSE-FT,
    arXiv:2109.01903. Between a network and its fine-tuned self the loss has no hill, and the mean of both forgets
    less of what the few new labels do not show.
    """
    mixed = {}
    for name, tuned in net.state_dict().items():
        before = start[name].to(tuned.device)
        mixed[name] = torch.lerp(before, tuned, share) if tuned.is_floating_point() else tuned
    net.load_state_dict(mixed)
