"""Tensors and plain values of an interrupted training in one file, without pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from histobridge.core.errors import ProjectError
from histobridge.core.files import write_bytes

NAME = "checkpoint.safetensors"


def save_checkpoint(folder: Path, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
    """Replace the checkpoint in `folder`.

    Tensors and values share one file (the values are JSON in its header), so that a crash never leaves the tensors
    of one step beside the values of another.

    Parameters
    ----------
    folder : Path
        Existing folder.
    tensors : mapping of str to torch.Tensor
        Any shape, dtype and device; loaded back on the CPU.
    values : mapping of str to JSON value
        Step, state of random generators and the like.
    """
    write_bytes(folder / NAME, save(copied(tensors), metadata={"values": json.dumps(dict(values))}))


def copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy tensors as safetensors wants them: on the CPU, each in memory of its own, also where networks share one."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def forget_checkpoint(folder: Path) -> None:
    """Remove the checkpoint in `folder`, if there is one."""
    (folder / NAME).unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read the checkpoint in `folder`.

    Parameters
    ----------
    folder : Path
        Where `save_checkpoint` wrote.

    Returns
    -------
    tuple of dict or None
        Tensors on the CPU and values; none if there is no checkpoint.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            values: dict[str, Any] = json.loads((stored.metadata() or {})["values"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise ProjectError(
            f"{path} is damaged ({error}); delete it to start this training from its beginning"
        ) from error
    return tensors, values


def prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name tensors as ``<prefix>/<name>``, so that several parts share one checkpoint."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def part(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take the tensors named by `prefixed` with the same prefix, under their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Flatten the moments of an Adam-like optimizer to ``<parameter number>.<name>``; hyperparameters stay out."""
    state: dict[int, dict[str, torch.Tensor]] = optimizer.state_dict()["state"]
    return {f"{number}.{name}": tensor for number, moments in state.items() for name, tensor in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put back what `optimizer_tensors` took; `optimizer` keeps its own hyperparameters.

    Moments lie in memory as their parameters do (channels last, say), which a fused optimizer insists on.
    """
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, moment = name.split(".", 1)
        state.setdefault(int(number), {})[moment] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape and moment.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
