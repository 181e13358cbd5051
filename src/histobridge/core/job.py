"""A job is a generator: it yields its progress and returns its result."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a job, as shown to whoever is watching.

    Parameters
    ----------
    step, total : int
        Steps done and steps to do; ``total=0`` when unknown.
    message : str
        What is being done, in the user's words.
    metrics : mapping of str to float
        Numbers worth a curve, such as ``{"loss": 0.3}``.
    preview : mapping of str to array, optional
        Small images worth a look, (Y, X) uint8.
    """

    step: int
    total: int
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    preview: Mapping[str, Any] = field(default_factory=dict)


Job: TypeAlias = Generator[Progress, None, T]


def finish(job: Job[T], watch: Callable[[Progress], object] = lambda _: None) -> T:
    """Run `job` to its end here and return its result."""
    while True:
        try:
            watch(next(job))
        except StopIteration as stop:
            result: T = stop.value
            return result


def counted(job: Job[T], message: str, part: tuple[int, int] = (0, 1)) -> Job[T]:
    """Relabel the progress of `job` as part ``i`` of ``n`` of a larger one, on a scale of 1000 steps a part."""
    index, parts = part

    def relabel(progress: Progress, share: float) -> Progress:
        text = f"{message}: {progress.message}" if progress.message else message
        return replace(progress, step=round(1000 * (index + share)), total=1000 * parts, message=text)

    return (yield from _relabelled(job, relabel))


def scaled(job: Job[T], begin: float, end: float) -> Job[T]:
    """Relabel the progress of `job` as the part of a larger one from one share of it to another."""

    def relabel(progress: Progress, share: float) -> Progress:
        return replace(progress, step=round(1000 * (begin + (end - begin) * share)), total=1000)

    return (yield from _relabelled(job, relabel))


def standing(job: Job[T], progress: Progress) -> Job[T]:
    """Tell the same `progress` all along, so that `job` can be closed meanwhile."""
    return (yield from _relabelled(job, lambda *_: progress))


def _relabelled(job: Job[T], relabel: Callable[[Progress, float], Progress]) -> Job[T]:
    """Run a job; what it yields is told otherwise, knowing the share of the job that is done."""
    with closing(job):
        while True:
            try:
                progress = next(job)
            except StopIteration as stop:
                result: T = stop.value
                return result
            yield relabel(progress, progress.step / progress.total if progress.total else 0.0)
