"""How long a file that another machine changes has not changed, without trusting that machine's clock."""

import os
import secrets
import time
from pathlib import Path


class Silence:
    """Looks at one file now and then.

    Parameters
    ----------
    path : Path
        Changed by whoever shall be seen to live.
    """

    def __init__(self, path: Path):
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._since = 0.0

    def seconds(self) -> float:
        """Return how long the file has been as it is; without end if it is not there.

        At the first look by the clock of the disk that holds it, from then on by this machine's own, which nobody sets.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return float("inf")
        now, stamp = time.monotonic(), (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            seen = 0.0 if self._stamp else max(0.0, _time_of_disk(self.path.parent) - found.st_mtime)
            self._stamp, self._since = stamp, now - seen
        return now - self._since


def _time_of_disk(folder: Path) -> float:
    """Ask the disk of a folder for the time; this machine's where nothing can be written there."""
    # Named as what a killed writer leaves, see `files.remove_torn`.
    probe = folder / f".clock-{secrets.token_hex(6)}"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return time.time()
