"""The processes that train one translator together, each on a GPU of its own; alone unless an engine gathered them.

Every process draws the same batch and computes its own share of it, so that a training gives the same weights on any
number of processes, but for rounding and for losses that look at a batch as a whole (`ladder.WHOLE_BATCH`), and a
checkpoint of one process is that of all.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from histobridge.core.errors import InputError

MEETING = timedelta(minutes=3)
"""How long a process waits for the others to start."""

PATIENCE = timedelta(hours=1)
"""How long others wait while the first process chooses and saves a checkpoint."""

STEP = timedelta(minutes=10)
"""How long gradients of others are waited for; on GPUs nothing else tells that another process has failed."""

_patient: list[distributed.ProcessGroup] = []
"""The group in which is waited for the first process, while several train together."""


@contextmanager
def gathered(meeting: Path, rank: int, size: int, device: str = "auto") -> Iterator[None]:
    """Train together with others while this is open.

    Parameters
    ----------
    meeting : Path
        File that does not exist yet, in a folder that all processes see; here they find each other.
    rank : int
        Number of this process, 0 for the one that shows progress and writes.
    size : int
        How many there are.
    device : {"auto", "cpu", "cuda"}
        Where they are to train; `auto` takes a GPU where there is one.

    Raises
    ------
    InputError
        If some have a GPU and others have none; they could not talk to each other.
    RuntimeError
        If they do not find each other.
    """
    store = distributed.FileStore(str(meeting), size)  # type: ignore[attr-defined]
    store.set_timeout(MEETING)
    store.set(f"here/{rank}", "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    store.wait([f"here/{other}" for other in range(size)])
    kinds = [store.get(f"here/{other}").decode() for other in range(size)]
    if len(set(kinds)) > 1:
        raise InputError(
            f"processes: {size} found, but only {kinds.count('cuda')} of them have a GPU of their own; ask for as many "
            "as there are GPUs, or set device to cpu"
        )
    backend = "cpu:gloo,cuda:nccl" if kinds[rank] == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=STEP)
    try:
        _patient.append(distributed.new_group(backend="gloo", timeout=PATIENCE))
        yield
    finally:
        _patient.clear()
        distributed.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return distributed.get_rank() if _several() else 0


def size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if _several() else 1


def agreed(yes: bool) -> bool:
    """Whether all processes say yes."""
    if not _several():
        return yes
    votes = torch.tensor(int(yes))
    distributed.all_reduce(votes, distributed.ReduceOp.MIN, group=_patient[0])
    return bool(votes)


def told(yes: bool = True) -> bool:
    """What the first process says, in all of them."""
    if not _several():
        return yes
    word = torch.tensor(int(yes))
    distributed.broadcast(word, 0, group=_patient[0])
    return bool(word)


def whole(mine: Tensor) -> Tensor:
    """Join the tensors of all processes along their first axis, in order; all have one shape."""
    if not _several():
        return mine
    found = [torch.empty_like(mine) for _ in range(size())]
    distributed.all_gather(found, mine.contiguous())
    return torch.cat(found)


def together(side: nn.Module) -> nn.Module:
    """Let the gradients of a module be averaged over all processes."""
    return DistributedDataParallel(side) if _several() else side


def apart(side: nn.Module) -> AbstractContextManager[None]:
    """Leave the gradients of a module from `together` to this process as long as this is open."""
    if not isinstance(side, DistributedDataParallel):
        return nullcontext()
    left: AbstractContextManager[None] = side.no_sync()
    return left


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
