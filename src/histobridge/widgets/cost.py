"""How long a job will take, from how long it took before on this project."""

from histobridge.widgets.session import Session

SECONDS_PER_STEP = {"train-translator": 0.25, "train-segmenter": 0.15, "propose": 0.2, "finetune": 0.2}
"""Rough figures of a two-core CPU, for the first time."""


def estimate(session: Session, verb: str, steps: int) -> str:
    """Say the time in words, marked as an estimate, and where it comes from."""
    per_step, source = SECONDS_PER_STEP[verb], "a guess for a CPU"
    for item in session.followed.values():
        state = item.state
        if item.verb == verb and state.status == "finished" and state.updated > state.started > 0:
            asked = item.run.config
            known = asked.get("steps") or asked.get("training", {}).get("steps", 0)
            if known:
                per_step, source = (state.updated - state.started) / known, "from the last time"
    seconds = per_step * steps
    text = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"≈ {text} (estimate, {source})"
