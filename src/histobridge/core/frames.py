"""Framing of an append-only file: each record carries its length and a digest, so that damage is found and passed."""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO

MAGIC = b"\xf1HBj"
_HEADER = struct.Struct("<4sI8s")
HEADER_BYTES = _HEADER.size
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One stretch of the file: a whole record, or bytes that are none (`payload` is none)."""

    offset: int
    length: int
    payload: bytes | None


def frame(payload: bytes) -> bytes:
    """Wrap a payload as magic, length, digest of both, payload."""
    return _HEADER.pack(MAGIC, len(payload), _digest(payload)) + payload


def read_frame(stream: BinaryIO, offset: int, size: int) -> bytes | None:
    """Read the payload of the record at `offset` of a file of `size` bytes; none if there is no whole, valid one."""
    stream.seek(offset)
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    magic, length, digest = _HEADER.unpack(header)
    if magic != MAGIC or offset + HEADER_BYTES + length > size:
        return None
    payload = stream.read(length)
    return payload if len(payload) == length and _digest(payload) == digest else None


def scan(stream: BinaryIO) -> Iterator[Frame]:
    """Read all records in order; stretches that are no record come as frames without payload.

    After damage, reading goes on at the next place where a valid record starts. A last frame without payload is a torn
    tail.
    """
    size = stream.seek(0, io.SEEK_END)
    offset, bad = 0, -1
    while offset < size:
        payload = read_frame(stream, offset, size)
        if payload is None:
            bad = offset if bad < 0 else bad
            offset = _next_magic(stream, offset + 1, size)
            continue
        if bad >= 0:
            yield Frame(bad, offset - bad, None)
            bad = -1
        yield Frame(offset, HEADER_BYTES + len(payload), payload)
        offset += HEADER_BYTES + len(payload)
    if bad >= 0:
        yield Frame(bad, size - bad, None)


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however many calls the system needs."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _digest(payload: bytes) -> bytes:
    """Digest of length and payload; the length is in it so that a flipped length is never believed."""
    return blake2b(struct.pack("<I", len(payload)) + payload, digest_size=8).digest()


def _next_magic(stream: BinaryIO, start: int, size: int) -> int:
    while start < size:
        stream.seek(start)
        block = stream.read(_BLOCK)
        found = block.find(MAGIC)
        if found >= 0:
            return start + found
        if len(block) < _BLOCK:
            break
        start += len(block) - len(MAGIC) + 1
    return size
