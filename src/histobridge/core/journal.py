"""The append-only journal of label edits: read at opening, written and synced by one thread."""

import errno
import fcntl
import itertools
import os
import threading
from bisect import bisect_right
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from time import monotonic
from time import time as now

from histobridge.core.delta import Delta, Entry, decode, encode, entry_after
from histobridge.core.disk import need_same_file, why
from histobridge.core.errors import LockedError, ProjectError
from histobridge.core.files import fsync, write_bytes
from histobridge.core.frames import frame, read_frame, scan, write_at
from histobridge.core.recent import Recent


class Journal:
    """All edits of one image in order; see ``docs/decisions/0002-journal-format.md``.

    Opening reads it and changes nothing. Writing takes a lock on the file, so a second writer is refused.

    Parameters
    ----------
    path : Path
        ``journal.log``; it need not exist.
    after : int
        Sequence number that new edits must exceed, whatever the file says: that of the snapshot.

    Attributes
    ----------
    entries : list of Entry
        All readable edits, those not yet on disk included, by rising sequence number.
    damaged : list of tuple of int
        (offset, bytes) of unreadable stretches with readable edits after them.
    torn : int
        Bytes of an unfinished or unreadable end.
    set_aside : list of Path
        Where this object has moved such ends.
    error : OSError or None
        Why the newest attempt to write failed.
    """

    def __init__(self, path: Path, after: int = 0):
        self.path = path
        self.error: OSError | None = None
        self.set_aside: list[Path] = []
        self._after = after
        # What is missing now may be made, below the last of these; if that one goes, it may come back as a disk does.
        above = (path.parent, *path.parent.absolute().parents)
        self._made = above[: 1 + next(number for number, folder in enumerate(above) if folder.exists())]
        self._changed = threading.Condition(threading.RLock())
        self._queue: dict[int, Delta] = {}
        self._recent = Recent()
        self._thread: threading.Thread | None = None
        self._descriptor = -1
        self.torn = 0
        self._end = 0
        self._load()

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        """Highest sequence number given out."""
        return max(self._after, self.entries[-1].sequence if self.entries else 0)

    def since(self, sequence: int) -> list[Entry]:
        """All edits after one of them, in order."""
        with self._changed:
            return self.entries[bisect_right(self.entries, sequence, key=attrgetter("sequence")) :]

    def read(self, sequence: int) -> Delta:
        """Read one edit with its pixels; raises `ProjectError` if it is not there or unreadable."""
        with self._changed:
            delta = self._queue.get(sequence) or self._recent.get(sequence)
            place = self._places.get(sequence)
        return delta or self._read_file(sequence, place)

    # -- writing ---------------------------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Get ready to write: lock the file, read what others wrote meanwhile, set a torn end aside.

        Returns
        -------
        bool
            Whether `entries` was read anew. An `OSError` is kept in `error`; writing is then tried again later.

        Raises
        ------
        LockedError
            If somebody else writes this journal.
        """
        with self._changed:
            try:
                return self._open()
            except BlockingIOError as error:
                raise LockedError(f"{self.path} is being edited elsewhere; close it there first") from error
            except OSError as error:
                self.error = error
                return False

    def append(self, delta: Delta, time: float = 0.0) -> int:
        """Take one edit, of `time` or now, and return its number at once; it is on disk a moment later, see `flush`."""
        self.begin()
        with self._changed:
            sequence = self.last + 1
            delta = replace(delta, entry=replace(delta.entry, sequence=sequence, time=time or now()))
            self._queue[sequence] = delta
            self.entries.append(delta.entry)
            self._start()
        return sequence

    @property
    def begun(self) -> bool:
        """Whether this object has edits to write or keeps others from writing."""
        return self._descriptor >= 0 or bool(self._queue)

    @property
    def pending(self) -> int:
        """Edits not yet on disk."""
        return len(self._queue)

    @property
    def trouble(self) -> str:
        """Why pending edits are not on disk, in words."""
        return why(self.error) if self.error else "the disk is slow"

    def unsaved(self) -> list[Delta]:
        """Edits not yet on disk, in order."""
        with self._changed:
            return list(self._queue.values())

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every edit is on disk; false if `timeout` seconds were too short or `error` says why not."""
        until = monotonic() + timeout
        with self._changed:
            # An attempt under way may have looked at the disk before this call; if it fails, another one is due.
            if under_way := self._thread:
                self._changed.wait_for(lambda: self._thread is not under_way, timeout)
            self._start()
            self._changed.wait_for(lambda: not self._queue or self._thread is None, until - monotonic())
            return not self._queue

    def close(self) -> None:
        """Write what is pending and let others write; raises `ProjectError` and stays open if that fails."""
        if not self.flush():
            raise ProjectError(
                f"{self.pending} edits could not be written to {self.path}: {self.trouble}; make room or "
                "mend the disk, then try again"
            )
        self.abandon()

    def abandon(self) -> None:
        """Let others write, and forget edits that are not on disk; they must be safe elsewhere."""
        with self._changed:
            if self._thread is None:
                self._queue.clear()
                self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _start(self) -> None:
        """Start the writer thread if there is something to write; it ends by itself when all is written."""
        if self._queue and self._thread is None:
            # Not a daemon: the interpreter waits for it at exit, so that the last strokes are written.
            self._thread = threading.Thread(target=self._write, name=f"journal {self.path.parent.name}")
            self._thread.start()

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    batch = list(self._queue.values())
                    if not batch:
                        self._thread = None
                        return
                self._write_batch(batch)
                self.error = None
        except OSError as error:
            self.error = error
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None
                self._changed.notify_all()

    def _write_batch(self, batch: list[Delta]) -> None:
        """Write and sync; after a failure all of it is written again at the same place."""
        with self._changed:
            self._open()
            try:
                need_same_file(self._descriptor, self.path)
            except OSError:
                self._let_go()
                raise
        records = [frame(encode(delta)) for delta in batch]
        write_at(self._descriptor, b"".join(records), self._end)
        os.fsync(self._descriptor)
        with self._changed:
            starts = itertools.accumulate(map(len, records), initial=self._end)
            for delta, record, start in zip(batch, records, starts, strict=False):
                sequence = delta.entry.sequence
                self._places[sequence] = (start, len(record))
                self._recent.add(sequence, delta)
                del self._queue[sequence]
            self._end += sum(map(len, records))

    def _open(self) -> bool:
        if self._descriptor >= 0:
            return False
        known = self._end + self.torn
        if not known:
            self._made[-1].stat()
            self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | (0 if known else os.O_CREAT), 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            grown = os.fstat(descriptor).st_size != known
            if grown and self._queue:
                raise OSError(errno.ESTALE, "somebody else has changed the journal meanwhile", str(self.path))
            if grown:
                self._load()
            if self.torn:
                self._set_aside(descriptor)
            for folder in self._made:
                fsync(folder)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return grown

    def _set_aside(self, descriptor: int) -> None:
        """Move the torn end to a file of its own, so that nothing is deleted."""
        numbers = itertools.count(1)
        aside = next(path for n in numbers if not (path := self.path.with_name(f"journal.torn-{n}")).exists())
        write_bytes(aside, os.pread(descriptor, self.torn, self._end))
        os.ftruncate(descriptor, self._end)
        os.fsync(descriptor)
        self.set_aside.append(aside)
        self.torn = 0

    # -- the file --------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        self.entries: list[Entry] = []
        self.damaged: list[tuple[int, int]] = []
        self.torn = 0
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0
        gap: tuple[int, int] | None = None
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for found in scan(stream):
                entry = entry_after(found.payload, self.entries)
                if entry is None:
                    gap = (gap[0], gap[1] + found.length) if gap else (found.offset, found.length)
                    continue
                if gap:
                    self.damaged.append(gap)
                    gap = None
                self.entries.append(entry)
                self._places[entry.sequence] = (found.offset, found.length)
                self._end = found.offset + found.length
        self.torn = gap[1] if gap else 0

    def _read_file(self, sequence: int, place: tuple[int, int] | None) -> Delta:
        if place is None:
            raise ProjectError(f"{self.path} has no readable edit {sequence}")
        try:
            with self.path.open("rb") as stream:
                payload = read_frame(stream, place[0], sum(place))
        except OSError as error:
            raise ProjectError(f"{self.path} cannot be read: {why(error)}") from error
        if payload is None:
            raise ProjectError(f"{self.path} has become unreadable at edit {sequence}; check the disk")
        try:
            delta = decode(payload)
        except ValueError as error:
            raise ProjectError(f"{self.path}: {error}") from error
        with self._changed:
            self._recent.add(sequence, delta)
        return delta
