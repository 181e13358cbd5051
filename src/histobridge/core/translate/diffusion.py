"""The few-step diffusion of SynDiff: how images are noised, and how noise is taken back step by step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FIRST_TIME = 1e-3
FIRST_VARIANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Schedule:
    """Coefficients of a variance-preserving diffusion in T large steps; see `vp_schedule`."""

    kept: Tensor
    """(T + 1,) share of the signal that one step keeps, sqrt(1 - beta)."""

    added: Tensor
    """(T + 1,) standard deviation of the noise that one step adds, sqrt(beta)."""

    signal: Tensor
    """(T + 1,) share of the clean image left after all steps so far."""

    noise: Tensor
    """(T + 1,) standard deviation of the noise collected so far; `signal`² + `noise`² = 1."""

    from_clean: Tensor
    """(T,) weight of the clean image in the mean of x_t given x_(t + 1)."""

    from_noisy: Tensor
    """(T,) weight of x_(t + 1) there."""

    spread: Tensor
    """(T,) standard deviation there; 0 at t = 0."""

    @property
    def steps(self) -> int:
        """T."""
        return len(self.spread)

    def pair(self, clean: Tensor, step: Tensor, noise: Tensor, more: Tensor) -> tuple[Tensor, Tensor]:
        """Noise images to two neighbouring times.

        Parameters
        ----------
        clean : Tensor, (N, 1, Y, X)
            In [-1, 1].
        step : Tensor, (N,) int64
            t in 0 ... T - 1.
        noise, more : Tensor, (N, 1, Y, X)
            Standard normal, independent.

        Returns
        -------
        tuple of Tensor
            x_t = signal[t] clean + noise[t] e and x_(t + 1) = kept[t + 1] x_t + added[t + 1] e', (N, 1, Y, X).
        """
        now = _at(self.signal, step) * clean + _at(self.noise, step) * noise
        return now, _at(self.kept, step + 1) * now + _at(self.added, step + 1) * more

    def earlier(self, clean: Tensor, noisy: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """Draw x_t from q(x_t | x_0, x_(t + 1)), a normal distribution.

        Parameters
        ----------
        clean : Tensor, (N, 1, Y, X)
            x_0, known or predicted.
        noisy : Tensor, (N, 1, Y, X)
            x_(t + 1).
        step : Tensor, (N,) int64
            t.
        noise : Tensor, (N, 1, Y, X)
            Standard normal; without effect at t = 0.

        Returns
        -------
        Tensor, (N, 1, Y, X)
        """
        mean = _at(self.from_clean, step) * clean + _at(self.from_noisy, step) * noisy
        return mean + _at(self.spread, step) * noise


def _at(table: Tensor, step: Tensor) -> Tensor:
    return table[step][:, None, None, None]


def vp_schedule(
    steps: int = 4, device: torch.device | str = "cpu", lowest: float = 0.1, highest: float = 20.0
) -> Schedule:
    """Coefficients of the variance-preserving process, read at T + 1 times from 0.001 to 1.

    With a_t the share of the signal's variance left, log a(t) = -t² (b₁ - b₀) / 2 - t b₀ (Song et al. 2021, arXiv
    2011.13456, eq. 29 and 33), beta_t = 1 - a_t / a_(t - 1), and beta_0 = 1e-8. Posterior as in DDPM (arXiv 2006.11239,
    eq. 7) over the T large steps.

    Parameters
    ----------
    steps : int
        T; SynDiff takes 4 (arXiv 2207.08208).
    device : torch.device or str
        Where the coefficients lie.
    lowest, highest : float
        b₀ and b₁, rates of the noise at both ends.

    Returns
    -------
    Schedule
        float32, computed in float64.
    """
    times = torch.arange(steps + 1, dtype=torch.float64) / steps * (1 - FIRST_TIME) + FIRST_TIME
    left = torch.exp(-0.5 * times**2 * (highest - lowest) - times * lowest)
    beta = torch.cat([torch.tensor([FIRST_VARIANCE], dtype=torch.float64), 1 - left[1:] / left[:-1]])
    signal = torch.cumprod(1 - beta, 0).sqrt()
    now, after = torch.cumprod(torch.cat([torch.ones(1, dtype=torch.float64), 1 - beta[1:]]), 0).unfold(0, 2, 1).T
    tables = (
        (1 - beta).sqrt(),
        beta.sqrt(),
        signal,
        (1 - signal**2).sqrt(),
        beta[1:] * now.sqrt() / (1 - after),
        (1 - now) * (1 - beta[1:]).sqrt() / (1 - after),
        (beta[1:] * (1 - now) / (1 - after)).sqrt(),
    )
    return Schedule(*(table.to(device, torch.float32) for table in tables))


def sample(
    predict: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    schedule: Schedule,
    source: Tensor,
    noise: Callable[[int], Tensor],
    latent: Callable[[int], Tensor],
) -> Tensor:
    """Translate by taking noise back in T steps, the source image beside it.

    Parameters
    ----------
    predict : callable
        Maps x_(t + 1) (N, 1, Y, X), the source, t (N,) and latent (N, Z) to a prediction of x_0, (N, 1, Y, X).
    schedule : Schedule
    source : Tensor, (N, 1, Y, X)
        In [-1, 1].
    noise : callable
        ``noise(T)`` starts the chain, ``noise(t)`` is added on arriving at t = T - 1 ... 1; each (N, 1, Y, X).
    latent : callable
        ``latent(t)`` is the latent of the prediction that leads to t, (N, Z).

    Returns
    -------
    Tensor, (N, 1, Y, X)
        x_0.
    """
    x = noise(schedule.steps)
    for now in reversed(range(schedule.steps)):
        step = torch.full((len(source),), now, device=source.device)
        clean = predict(x, source, step, latent(now))
        x = schedule.earlier(clean, x, step, noise(now) if now else torch.zeros_like(x))
    return x
