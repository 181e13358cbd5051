"""How threads of one computation wait for each other."""

import os


def yield_while_waiting() -> None:
    """Let threads that wait for the others of one computation sleep, instead of keeping their core busy.

    By default they spin for milliseconds. Beside another busy program, or at low priority, they spin away the time
    that the thread they wait for needs: a training step of 60 ms took 1.5 s so, and 56 ms with sleeping threads (two
    threads on two cores, one of them busy, niceness 10; alone there was no difference). What the user has set is kept.
    OpenMP reads this once, when it is loaded, so call it before torch is.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
