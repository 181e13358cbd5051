"""How fast networks learn in the course of a training."""

WARM_UP_STEPS = 20
POLYNOMIAL_POWER = 0.9


def learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the full learning rate at `step`, counted from 1: warm-up, then polynomial decay."""
    return float(min(1.0, step / WARM_UP_STEPS) * (1 - (step - 1) / steps) ** POLYNOMIAL_POWER)
