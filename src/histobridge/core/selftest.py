"""A job without images: shows that the engine works, and what it does when a job dies."""

import os
import signal
import time
from typing import Any

from histobridge.core.config import SelfTestConfig
from histobridge.core.errors import InputError
from histobridge.core.files import read_json, write_json
from histobridge.core.job import Job, Progress
from histobridge.core.project import Project
from histobridge.core.runs import Run


def selftest(_project: Project, run: Run, config: SelfTestConfig) -> Job[dict[str, Any]]:
    """Count to `config.steps`, with checkpoints; crash, fail, hang or eat memory where the config says so."""
    checkpoint = run.path / "checkpoint.json"
    first = read_json(checkpoint)["step"] if checkpoint.exists() else 0
    threads = _torch_threads() if config.use_torch else 0
    eaten: list[bytearray] = []
    for step in range(first + 1, config.steps + 1):
        time.sleep(config.seconds_per_step)
        # Bit by bit, so that whoever watches the memory has a chance to.
        for _ in range(config.allocate_mb // 10):
            eaten.append(bytearray(b"\1") * 10_000_000)
            time.sleep(0.01)
        if step == config.fail_at_step:
            raise InputError(f"failed at step {step}, as asked")
        if step == config.hang_at_step:
            run.log("hanging", step=step)
            time.sleep(60)
        if step == config.crash_at_step:
            _crash(run, config.crashes)
        if step % config.checkpoint_every == 0:
            write_json(checkpoint, {"step": step})
            run.log("checkpoint", step=step)
        try:
            yield Progress(step, config.steps, "counting", {"seconds": config.seconds_per_step})
        except GeneratorExit:
            if config.stop_seconds:
                time.sleep(config.stop_seconds)
                (run.path / "written-when-stopped").touch()
            raise
    return {
        "resumed_from": first,
        "pid": os.getpid(),
        "niceness": os.nice(0),
        "torch_threads": threads,
    }


def _crash(run: Run, times: int) -> None:
    """Die at once, unless that happened `times` times already."""
    record = run.path / "crashes"
    before = len(record.read_bytes()) if record.exists() else 0
    if before < times:
        record.write_bytes(b"x" * (before + 1))
        os.kill(os.getpid(), signal.SIGKILL)


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()
