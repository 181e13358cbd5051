"""The edits read or written last, kept in memory up to a number of bytes."""

from collections import OrderedDict

from histobridge.core.delta import Delta

CACHE_BYTES = 64 * 2**20


class Recent:
    """Edits by sequence number; the oldest go first. Its user sees to it that one thread at a time changes it."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, Delta] = OrderedDict()
        self._bytes = 0

    def get(self, sequence: int) -> Delta | None:
        """Return one edit, if it is still held."""
        return self._held.get(sequence)

    def add(self, sequence: int, delta: Delta) -> None:
        """Hold one more edit, and at most `CACHE_BYTES` in all."""
        if sequence in self._held:
            return
        self._held[sequence] = delta
        self._bytes += delta.nbytes
        while self._bytes > CACHE_BYTES:
            self._bytes -= self._held.popitem(last=False)[1].nbytes
