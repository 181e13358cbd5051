"""The segmentation networks, by preset."""

from typing import Literal

import torch
from torch import nn

from histobridge.core.errors import InputError
from histobridge.core.loading import whole

Preset = Literal["tiny", "cpu", "gpu"]
SIZE_MULTIPLE = 16
"""Every preset maps any (Y, X) that is a multiple of this."""


def build_network(preset: Preset, channels_out: int, seed: int = 0) -> nn.Module:
    """Make an untrained network that maps (N, 1, Y, X) images to (N, K, Y, X) logits.

    All presets normalise with BatchNorm: in eval mode a pixel then depends on its neighbourhood alone, not on the
    statistics of the tile it lies in, so that tiles join.

    Parameters
    ----------
    preset : {"tiny", "cpu", "gpu"}
        MONAI UNet of 0.12 M or 1.6 M parameters, or MONAI DynUNet of 7.8 M.
    channels_out : int
        K, background included.
    seed : int
        Of the weights; the global random state is left as it was.

    Returns
    -------
    nn.Module
        On the CPU.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if preset == "tiny":
            return _unet((12, 24, 48, 96), channels_out, residual_units=1)
        if preset == "cpu":
            return _unet((16, 32, 64, 128, 256), channels_out, residual_units=2)
        if preset == "gpu":
            return _dynamic_unet((32, 64, 128, 256, 512), channels_out)
    raise InputError(f"unknown network preset {preset!r}; expected tiny, cpu or gpu")


def _unet(channels: tuple[int, ...], channels_out: int, residual_units: int) -> nn.Module:
    net: nn.Module = whole("monai.networks.nets.unet").UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=channels_out,
        channels=channels,
        strides=(2,) * (len(channels) - 1),
        num_res_units=residual_units,
        norm="batch",
    )
    return net


def _dynamic_unet(filters: tuple[int, ...], channels_out: int) -> nn.Module:
    levels = len(filters)
    net: nn.Module = whole("monai.networks.nets.dynunet").DynUNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=channels_out,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(filters),
        norm_name=("batch", {"affine": True}),
        deep_supervision=False,
    )
    return net
