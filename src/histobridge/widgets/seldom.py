"""Do something often asked for only now and then."""

import time
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class Seldom(QObject):
    """Acts when asked, at most once in an interval; the last time it was asked is never lost.

    Parameters
    ----------
    act : callable
    interval_s : float
        Seconds between two acts, at least.
    clock : callable
        Seconds from any start.
    later : callable, optional
        ``later(ms)`` makes `now` be called then; a timer if not given.
    """

    def __init__(
        self,
        act: Callable[[], object],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[int], object] | None = None,
    ):
        super().__init__()
        self._act, self._interval_s, self._clock = act, interval_s, clock
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.now)
        self._later = later or self._timer.start
        self._last: float | None = None
        self._waiting = False

    def ask(self) -> None:
        """Act now if the last time is long enough ago, else as soon as it is."""
        if self._waiting:
            return
        left = 0.0 if self._last is None else self._last + self._interval_s - self._clock()
        if left <= 0:
            self.now()
        else:
            self._waiting = True
            self._later(int(1000 * left) + 1)

    def now(self) -> None:
        """Act at once."""
        self._waiting = False
        self._last = self._clock()
        self._act()
