"""The edit lock of a project: who edits, on which machine, since when."""

import getpass
import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path

import psutil
from pydantic import ValidationError

from histobridge.core.config import Config
from histobridge.core.errors import LockedError
from histobridge.core.files import read_json, write_json


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
    def stale(self) -> bool:
        """Whether the holding process is known to be gone; on another machine this cannot be known."""
        if self.host != socket.gethostname():
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.pid_started) > 2)
        except psutil.NoSuchProcess:
            return True


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
        self.held = False

    def holder(self) -> LockHolder | None:
        """Who holds the lock now, stale or not; none if it is free."""
        try:
            return LockHolder.model_validate(read_json(self.path))
        except FileNotFoundError:
            return None
        except (json.JSONDecodeError, ValidationError):
            # Torn by a crash while it was made: as good as stale, unless it is being made right now.
            age = time.time() - self.path.stat().st_mtime
            gone = 0 if age > 5 else os.getpid()
            return LockHolder(
                user="unknown", host=socket.gethostname(), pid=gone, pid_started=0, since=0, program="unknown"
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
        self.held = True

    def _link(self, fresh: Path, take_over: bool) -> None:
        """Hard-link the finished file to the lock's name, which fails if the name exists: never half-written."""
        for _ in range(5):
            try:
                os.link(fresh, self.path)
                return
            except FileExistsError:
                holder = self.holder()
                if holder is None:
                    continue
                if not (holder.stale or take_over):
                    raise LockedError(
                        f"{self.path.parent} is being edited by {holder}; close it there, or open it read-only"
                    ) from None
                # Rename before removal: of two processes that see the same stale lock only one gets it.
                stale = self.path.with_name(f".{self.path.name}-stale-{os.getpid()}")
                try:
                    self.path.replace(stale)
                except FileNotFoundError:
                    continue
                stale.unlink()
        raise LockedError(f"{self.path} could not be taken: others keep taking it; try again")

    def release(self) -> None:
        """Give the lock back; does nothing if not held."""
        if self.held:
            self.path.unlink(missing_ok=True)
            self.held = False
