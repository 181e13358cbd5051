"""Which processor a network runs on."""

from collections.abc import Mapping

import torch

from histobridge.core.errors import InputError

QUICK_BYTES = 2 * 2**30
"""Free GPU memory that a quick job asks for; it predicts crops with a network that is trained in more."""

CACHE_SHARE = 0.25
"""Of the free GPU memory, for images to draw crops from."""


def choose_device(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu`` or ``cuda``; raise `InputError` if a GPU is asked for and there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device: {name!r} was asked for, but torch finds no CUDA GPU here; choose auto or cpu")
    return torch.device(name)


def quick_device() -> tuple[str, str]:
    """Choose where a quick job runs, which may come while a training fills the GPU.

    Returns
    -------
    device : {"cpu", "cuda"}
        The GPU if there is one with enough free memory.
    words : str
        What the user should know of it; empty if nothing.
    """
    if not torch.cuda.is_available():
        return "cpu", ""
    free, _ = torch.cuda.mem_get_info()
    if free >= QUICK_BYTES:
        return "cuda", ""
    return "cpu", f"on the CPU, as GPU memory is short ({free / 1e9:.1f} GB free)"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device is faster in bfloat16 than in float32.

    GPUs that compute in it by themselves are, and processors that multiply matrices in it (AMX). A processor with no
    more than the vector instructions (AVX512-BF16) is slower, one without any six to ten times.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and processor_features().get("amx_bf16", False)


def processor_features() -> Mapping[str, bool]:
    """What torch finds in the processor, by name of the instructions; nothing where it is too old to tell."""
    told: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return told


def cache_device(device: torch.device, needed: int) -> torch.device:
    """Choose where images are kept that crops are drawn from: on the device that computes, if enough is free there.

    Parameters
    ----------
    device : torch.device
        What computes.
    needed : int
        Bytes of the images.
    """
    if device.type != "cuda":
        return device
    free, _ = torch.cuda.mem_get_info(device)
    return device if needed <= CACHE_SHARE * free else torch.device("cpu")
