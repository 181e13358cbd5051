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

from pydantic import ConfigDict, ValidationError

from histobridge.core.config import Config
from histobridge.core.disk import why
from histobridge.core.errors import LockedError, ProjectError
from histobridge.core.files import NO_LINKS, read_json, write_json
from histobridge.core.processes import identity, process_alive
from histobridge.core.versions import FORM, form_of, newer


class LockHolder(Config):
    """Who holds the lock; what a newer version says beside that is left out."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = FORM
    """Form of the file."""

    user: str
    """Login name."""

    host: str
    """Machine."""

    pid: int
    """Process."""

    pid_started: float
    """When that process was born, in seconds since 1970."""

    pid_birth: str = ""
    """The same by a clock that nobody sets, see `histobridge.core.processes.birth_of`."""

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
        """Whether the holding process is known to be gone; of another machine or newer version this is never known."""
        unknown = self.elsewhere or self.schema_version > FORM
        return not unknown and not process_alive(self.pid, self.pid_started, self.pid_birth)


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
        """Whether this object took the lock and somebody else took it from there; they may have given it back since.

        While the folder cannot be read this is not known, and not said.
        """
        try:
            return self._mine is not None and self.holder() != self._mine and self.path.parent.exists()
        except OSError:
            return False

    def holder(self) -> LockHolder | None:
        """Who holds the lock now, stale or not; none if it is free."""
        try:
            values = read_json(self.path)
        except FileNotFoundError:
            return None
        except ValueError:
            values = None
        try:
            return LockHolder.model_validate(values)
        except ValidationError:
            # The name only ever points to a finished file, so a damaged one is what a crash of the machine left.
            return LockHolder(
                schema_version=form_of(values),
                user="unknown",
                host=socket.gethostname(),
                pid=0,
                pid_started=-1e9,
                since=0,
                program="unknown",
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
            If somebody else holds it; names who and since when. Also if it was taken over from here.
        """
        if self.held:
            self.need()
            return
        mine = LockHolder(
            user=_user(), host=socket.gethostname(), since=time.time(), program=self.program, **identity()
        )
        fresh = self.path.with_name(f".{self.path.name}-{mine.pid}-{id(self)}")
        write_json(fresh, mine.model_dump())
        try:
            self._link(fresh, mine, take_over)
        finally:
            fresh.unlink(missing_ok=True)
        self._mine = mine

    def need(self) -> None:
        """Raise `LockedError` if this object does not hold the lock, or somebody took it over."""
        if not self.held:
            raise LockedError(f"{self.path.parent} is open read-only here; take the edit lock first")
        if self.taken_over:
            raise LockedError(
                f"editing {self.path.parent} was taken over by {self.holder() or 'somebody who has closed it since'}; "
                "open it again to go on from what was done there"
            )

    def _link(self, fresh: Path, mine: LockHolder, take_over: bool) -> None:
        """Give the finished file the lock's name, which fails if the name exists: never half-written."""
        for _ in range(5):
            try:
                self._name(fresh)
                return
            except FileExistsError:
                holder = self.holder()
                if holder is None:
                    continue
                if holder == mine:  # named, but the disk's answer was lost and it was asked again
                    return
                if not (holder.stale or take_over):
                    raise LockedError(self._refusal(holder)) from None
                self._clear(holder)
        raise LockedError(f"{self.path} could not be taken: others keep taking it; try again")

    def _refusal(self, holder: LockHolder) -> str:
        """Say who holds the lock, and that it is a newer version where it is one."""
        told = f"{self.path.parent} is being edited by {holder}; close it there, or wait until it is"
        if holder.elsewhere:
            told += "; if nobody is at it there any more, take over: in the window, or with --take-over"
        form = holder.schema_version
        return f"{told}. {newer(self.path, form)}" if form > FORM else told

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
            try:
                fcntl.flock(guard, fcntl.LOCK_EX)
            except OSError as error:
                raise ProjectError(
                    f"{self.path.parent} cannot be locked: {why(error)}; "
                    "move it to another disk, or mount this one with locks"
                ) from error
            yield

    def release(self) -> None:
        """Give the lock back; does nothing if not held, if somebody took it over, or if the disk cannot be written.

        On such a disk the file stays, but nobody is kept out: its holder is known to be gone with this process.
        """
        with suppress(OSError, ProjectError):
            if self._mine is not None and self.path.exists():
                self._clear(self._mine)
        self._mine = None


def _user() -> str:
    """Login name; the number of a user without one, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
