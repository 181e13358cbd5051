"""How long a job will take, from how long it took before on this project."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from histobridge.core.runs import RunState
from histobridge.core.translate.cost import cost_in_words, in_words, memory_of, seconds_of
from histobridge.core.translator_config import TrainTranslatorConfig
from histobridge.widgets.session import Session

SECONDS_PER_STEP = {"train-segmenter": 0.15, "propose": 0.2, "finetune": 0.2}
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
        known = steps_of(item.config) if item.verb == verb else 0
        if known and (took := _took(item.state)):
            per_step, source = took / known, "from the last time"
    seconds = per_step * steps
    text = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"≈ {text} (estimate, {source})"


def translator_estimate(session: Session, config: TrainTranslatorConfig) -> str:
    """Say what training a translator costs: by the last one on this project, on the same kind of device, if any."""
    for item in reversed(session.followed.values()):
        took = _took(item.state)
        if item.verb != "train-translator" or not took:
            continue
        try:
            known = TrainTranslatorConfig.model_validate(item.config)
        except ValidationError:  # of another version
            continue
        # Of another method it says little, as methods differ by what a GPU makes of them.
        if (known.method, known.device, known.processes) == (config.method, config.device, config.processes):
            seconds = took * seconds_of(config)[1] / seconds_of(known)[1]
            return f"{in_words(seconds)}, {memory_of(config):.1f} GB of memory (estimates, from the last time)"
    return cost_in_words(config)


def _took(state: RunState) -> float:
    """Seconds that a run took; 0 where it did not finish at its first attempt, as the start is that of the newest."""
    whole = state.status == "finished" and state.attempt <= 1 and state.updated > state.started > 0
    return state.updated - state.started if whole else 0.0
