"""Drop features on their way from a network's encoder to its decoder."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from histobridge.core.errors import InputError
from histobridge.core.loading import whole


@contextmanager
def dropped_features(net: nn.Module, share: float) -> Iterator[None]:
    """Let a U-Net drop whole feature maps of its encoder, of all resolutions, at random.

    What remains is scaled up so that the mean stays. Inside the encoder nothing is dropped: only what the decoder gets
    of it.

    Parameters
    ----------
    net : nn.Module
        MONAI's UNet or DynUNet.
    share : float
        Of the maps to drop, in [0, 1).

    Raises
    ------
    InputError
        If the network is neither.
    """
    skip = whole("monai.networks.layers.simplelayers").SkipConnection
    layer = whole("monai.networks.nets.dynunet").DynUNetSkipLayer
    handles: list[Any] = []
    for module in net.modules():
        if isinstance(module, skip):
            deepest = not any(isinstance(inner, skip) for inner in module.submodule.modules())
            handles.append(module.register_forward_hook(partial(_drop_joined, share, deepest)))
        elif isinstance(module, layer):
            deepest = not isinstance(module.next_layer, layer)
            handles.append(module.upsample.register_forward_pre_hook(partial(_drop_handed_over, share, deepest)))
    if not handles:
        raise InputError("terms: unimatch drops features of a U-Net, and this network is none; choose fixmatch")
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _drop_joined(share: float, deepest: bool, module: nn.Module, inputs: Any, joined: torch.Tensor) -> torch.Tensor:
    """Drop the encoder's part of what a skip connection joins; of the deepest, all is the encoder's."""
    del module
    own = joined.shape[1] if deepest else inputs[0].shape[1]
    return torch.cat([functional.dropout2d(joined[:, :own], share), joined[:, own:]], dim=1)


def _drop_handed_over(share: float, deepest: bool, module: nn.Module, inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop of the two inputs of a decoder's block what the encoder hands over; of the deepest, both."""
    del module
    below, beside = inputs
    return functional.dropout2d(below, share) if deepest else below, functional.dropout2d(beside, share)
