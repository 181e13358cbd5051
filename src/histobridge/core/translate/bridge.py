"""An entropic bridge in few steps: from an image towards what a network predicts of its end, with noise on the way."""

from collections.abc import Callable

import torch
from torch import Tensor

Predict = Callable[[Tensor, int], Tensor]
"""Maps x at a step, (N, 1, Y, X), and the number of the step to a prediction of the end, (N, 1, Y, X)."""


def bridge_times(steps: int) -> tuple[float, ...]:
    """Times at which a bridge of some steps is looked at.

    Parameters
    ----------
    steps : int
        N, at least 1.

    Returns
    -------
    tuple of float
        N + 1 times: 0, then 1/2 + H(k) / (2 H(N - 1)) for k = 0 ... N - 1 with harmonic numbers H, which ends at 1;
        0 and 1 for one step.

    Notes
    -----
    The times of UNSB (Kim, Kwon, Kim and Ye 2024, arXiv 2305.15086): the first step goes half the way, later ones are
    ever shorter.
    """
    if steps == 1:
        return 0.0, 1.0
    harmonic = [0.0]
    for number in range(1, steps):
        harmonic.append(harmonic[-1] + 1 / number)
    return 0.0, *(0.5 + 0.5 * part / harmonic[-1] for part in harmonic)


def between(times: tuple[float, ...], step: int, variance: float) -> tuple[float, float]:
    """Share of the end in the mean of the next state, and the standard deviation there.

    Parameters
    ----------
    times : tuple of float
        See `bridge_times`.
    step : int
        k, the state one comes from.
    variance : float
        τ of the bridge.

    Returns
    -------
    tuple of float
        s and σ of x(k + 1) ~ N(s x₁ + (1 - s) x(k), σ²), with s = (t(k + 1) - t(k)) / (1 - t(k)) and
        σ² = s (1 - s) (1 - t(k)) τ.

    Notes
    -----
    A Brownian bridge of variance τ pinned at x(k) and x₁ (arXiv 2305.15086).
    """
    left = 1 - times[step]
    share = (times[step + 1] - times[step]) / left
    return share, (share * (1 - share) * left * variance) ** 0.5


def walk(
    predict: Predict, x: Tensor, step: int, times: tuple[float, ...], variance: float, noise: Callable[[int], Tensor]
) -> Tensor:
    """Go from the image to the state at some step.

    Parameters
    ----------
    predict : callable
        See `Predict`.
    x : Tensor, (N, 1, Y, X)
        The image, state 0.
    step : int
        Where to end; the translation is ``predict(walk(..., N - 1), N - 1)``.
    times : tuple of float
        See `bridge_times`.
    variance : float
        τ.
    noise : callable
        ``noise(k)`` is standard normal, of the shape of `x`, for the way from state k to the next.

    Returns
    -------
    Tensor, (N, 1, Y, X)
        Without gradients.
    """
    with torch.no_grad():
        for now in range(step):
            share, deviation = between(times, now, variance)
            x = torch.lerp(x, predict(x, now).to(x), share)
            if deviation > 0:
                x = x + deviation * noise(now)
    return x
