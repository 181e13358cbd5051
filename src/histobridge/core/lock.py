"""The edit lock of a project: who edits, on which machine, since when."""

import errno
import fcntl
import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psutil

from histobridge.core.config import Config
from histobridge.core.errors import LockedError
from histobridge.core.files import NO_LINKS, read_json, write_json


def process_alive(pid: int, started: float) -> bool:
    """Whether the process of this number, born then (seconds since 1970), still lives on this machine."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 2
        # Where nobody reaps the dead, as in many containers, they stay as zombies.
        return bool(same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False


class LockHolder(Config):
    """Who holds the lock."""

    user: str
    """Login name."""

    host: str
    """Machine."""

    pid: int
    """Process."""

    pid_started: float
    """When that process was born, in seconds since 1970."""

    since: float
    """When the lock was taken, in seconds since 1970."""

    program: str
    """What edits: the window or a command."""

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since).strftime("%Y-%m-%d %H:%M")
        return f"{self.user} on {self.host} ({self.program}, process {self.pid}) since {since}"

    @property
    def elsewhere(self) -> bool:
        """Whether it holds the lock on another machine, where nobody here can see if it still runs."""
        return self.host != socket.gethostname()

    @property
    def stale(self) -> bool:
        """Whether the holding process is known to be gone; on another machine this cannot be known."""
        return not self.elsewhere and not process_alive(self.pid, self.pid_started)


class EditLock:
    """A lock file made with ``O_EXCL``; taken over only when its holder is gone.

    Parameters
    ----------
    path : Path
        The lock file, ``<project>/edit.lock``.
    program : str
        What to tell others who ask.
    """

    def __init__(self, path: Path, program: str = "histobridge"):
        self.path = path
        self.program = program
        self._mine: LockHolder | None = None

    @property
    def held(self) -> bool:
        """Whether this object took the lock and did not give it back."""
        return self._mine is not None

    @property
    def taken_over(self) -> bool:
        """Whether this object took the lock and somebody else has it now."""
        return self._mine is not None and self.path.exists() and self.holder() != self._mine

    def holder(self) -> LockHolder | None:
        """Who holds the lock now, stale or not; none if it is free."""
        try:
            return LockHolder.model_validate(read_json(self.path))
        except FileNotFoundError:
            return None
        except ValueError:
            # The name only ever points to a finished file, so a damaged one is what a crash of the machine left.
            return LockHolder(
                user="unknown", host=socket.gethostname(), pid=0, pid_started=-1e9, since=0, program="unknown"
            )

    def acquire(self, *, take_over: bool = False) -> None:
        """Take the lock.

        Parameters
        ----------
        take_over : bool
            Take it even from a holder that may be alive, on the user's word.

        Raises
        ------
        LockedError
            If somebody else holds it; names who and since when.
        """
        if self.held:
            return
        me = psutil.Process()
        mine = LockHolder(
            user=getpass.getuser(),
            host=socket.gethostname(),
            pid=me.pid,
            pid_started=me.create_time(),
            since=time.time(),
            program=self.program,
        )
        fresh = self.path.with_name(f".{self.path.name}-{mine.pid}-{id(self)}")
        write_json(fresh, mine.model_dump())
        try:
            self._link(fresh, take_over)
        finally:
            fresh.unlink(missing_ok=True)
        self._mine = mine

    def _link(self, fresh: Path, take_over: bool) -> None:
        """Give the finished file the lock's name, which fails if the name exists: never half-written."""
        for _ in range(5):
            try:
                self._name(fresh)
                return
            except FileExistsError:
                holder = self.holder()
                if holder is None:
                    continue
                if not (holder.stale or take_over):
                    raise LockedError(
                        f"{self.path.parent} is being edited by {holder}; close it there, or wait until it is"
                    ) from None
                self._clear(holder)
        raise LockedError(f"{self.path} could not be taken: others keep taking it; try again")

    def _name(self, fresh: Path) -> None:
        """Link the file to the lock's name; on disks without hard links (exFAT, many shares) look and rename it."""
        try:
            os.link(fresh, self.path)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with self._guarded():
                if self.path.exists():
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path)) from error
                fresh.replace(self.path)

    def _clear(self, holder: LockHolder) -> None:
        """Remove the lock of `holder`, unless somebody took it over meanwhile; one process at a time looks."""
        with self._guarded():
            if self.holder() == holder:
                self.path.unlink()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep other processes from naming and clearing locks."""
        with self.path.with_name(f".{self.path.name}-guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def release(self) -> None:
        """Give the lock back; does nothing if not held, if somebody took it over, or if the disk cannot be written.

        On such a disk the file stays, but nobody is kept out: its holder is known to be gone with this process.
        """
        with suppress(OSError):
            if self._mine is not None and self.path.exists():
                self._clear(self._mine)
        self._mine = None
