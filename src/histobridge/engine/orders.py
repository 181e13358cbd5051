"""Orders for the thread that talks to the scheduler, those that are tried again after a while among them."""

import queue
import time
from dataclasses import dataclass, replace

from histobridge.core.jobs import Worker
from histobridge.core.runs import Run

FIRST_SECONDS, LONGEST_SECONDS = 5.0, 60.0
"""How long an order that failed rests at first, twice as long each time, and at most."""


@dataclass(frozen=True, slots=True)
class Order:
    """A run to hand over, and to which worker; no run: only wake the quick worker."""

    run: Run | None
    worker: Worker
    again: bool = False
    """Whether it was handed over before, and may still be where it went; then it goes on waiting if nobody answers."""

    failed: int = 0
    """How often nobody answered since."""


class Orders:
    """Filled by any thread, emptied by one."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Order | None] = queue.Queue()
        self._resting: list[tuple[float, Order]] = []

    def put(self, order: Order | None) -> None:
        """Add an order; none asks the thread to end."""
        self._queue.put(order)

    def rest(self, order: Order) -> None:
        """Give an order again after a while, longer each time."""
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2**order.failed)
        self._resting.append((time.monotonic() + seconds, replace(order, failed=order.failed + 1)))

    def get(self, seconds: float | None) -> Order | None:
        """Wait for the next order; raises `queue.Empty` if none comes in so many seconds."""
        due = min((at for at, _ in self._resting), default=None)
        left = None if due is None else max(0.0, due - time.monotonic())
        patience = min((wait for wait in (seconds, left) if wait is not None), default=None)
        try:
            return self._queue.get(timeout=patience)
        except queue.Empty:
            if due is None or due > time.monotonic():
                raise
        first = min(self._resting, key=lambda entry: entry[0])
        self._resting.remove(first)
        return first[1]
