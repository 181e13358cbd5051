"""How long a job will take, from how long it took before on this project."""

from collections.abc import Mapping
from typing import Any

from histobridge.widgets.session import Session

SECONDS_PER_STEP = {"train-translator": 0.25, "train-segmenter": 0.15, "propose": 0.2, "finetune": 0.2}
"""Rough figures of a two-core CPU, for the first time."""


def steps_of(config: Mapping[str, Any]) -> int:
    """Training steps that a job takes; none where a route trains nothing, more where it tests two in reverse."""
    route = config.get("route", "")
    if route in ("adaptation", "model"):
        return 0
    judging = 2 * int(config.get("reverse_steps", 0)) if route == "auto" else 0
    return int(config.get("steps") or config.get("training", {}).get("steps", 0)) + judging


def estimate(session: Session, verb: str, steps: int) -> str:
    """Say the time in words, marked as an estimate, and where it comes from."""
    per_step, source = SECONDS_PER_STEP[verb], "a guess for a CPU"
    for item in session.followed.values():
        state = item.state
        known = steps_of(item.config) if item.verb == verb and state.status == "finished" else 0
        if known and state.updated > state.started > 0:
            per_step, source = (state.updated - state.started) / known, "from the last time"
    seconds = per_step * steps
    text = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"≈ {text} (estimate, {source})"
