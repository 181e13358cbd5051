import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.delta import Delta, Entry, encode
from histobridge.core.errors import LockedError, ProjectError
from histobridge.core.frames import frame
from histobridge.core.journal import Journal


def a_delta(number, side=5):
    """A change of every pixel of a square that starts at (number, number)."""
    window = (slice(number, number + side), slice(number, number + side))
    entry = Entry("stroke", "r000c000", window, side * side, proposal="run-1")
    new = np.full((2, side * side), number % 251, np.uint8)
    return Delta(entry, np.ones((side, side), bool), np.zeros_like(new), new)


def written(path, count):
    """Write `count` edits; returns the file's bytes and where each record ends."""
    journal = Journal(path)
    ends = []
    for number in range(count):
        journal.append(a_delta(number))
        assert journal.flush()
        ends.append(path.stat().st_size)
    journal.close()
    return path.read_bytes(), ends


def numbers(journal):
    """Which changes a journal holds; each is compared with what was written."""
    for entry in journal.entries:
        found = journal.read(entry.sequence)
        wanted = a_delta(entry.sequence - 1)
        np.testing.assert_array_equal(found.mask, wanted.mask)
        np.testing.assert_array_equal(found.old, wanted.old)
        np.testing.assert_array_equal(found.new, wanted.new)
        assert replace(entry, sequence=0, time=0) == wanted.entry
    return [entry.sequence for entry in journal.entries]


def test_edits_are_there_after_reopening(tmp_path):
    written(tmp_path / "journal.log", 12)
    assert numbers(Journal(tmp_path / "journal.log")) == list(range(1, 13))


def test_an_edit_is_on_disk_within_a_second(tmp_path):
    journal = Journal(tmp_path / "journal.log")
    journal.append(a_delta(0))
    assert journal.flush(timeout=1.0)
    assert numbers(Journal(tmp_path / "journal.log")) == [1]
    journal.close()


def test_numbers_go_on_after_those_of_the_snapshot(tmp_path):
    journal = Journal(tmp_path / "journal.log", after=40)
    assert journal.append(a_delta(0)) == 41
    journal.close()


def test_a_journal_cut_at_any_byte_keeps_all_whole_records(tmp_path):
    data, ends = written(tmp_path / "whole.log", 3)
    for length in range(len(data) + 1):
        folder = tmp_path / str(length)
        folder.mkdir()
        path = folder / "journal.log"
        path.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        end = ends[whole - 1] if whole else 0

        journal = Journal(path)
        assert numbers(journal) == list(range(1, whole + 1))
        assert journal.torn == length - end
        assert path.read_bytes() == data[:length], "reading must not change the file"

        journal.append(a_delta(whole))
        journal.close()
        assert numbers(Journal(path)) == list(range(1, whole + 2))
        assert b"".join(aside.read_bytes() for aside in journal.set_aside) == data[end:length]


def test_a_flipped_bit_costs_at_most_its_record_and_invents_nothing(tmp_path):
    data, ends = written(tmp_path / "journal.log", 3)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        path = tmp_path / "flipped.log"
        path.write_bytes(flipped)
        hit = 1 + sum(end <= position for end in ends)
        journal = Journal(path)
        assert numbers(journal) == [number for number in (1, 2, 3) if number != hit]
        assert bool(journal.torn) == (hit == 3)
        assert bool(journal.damaged) == (hit != 3)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2000), garbage=st.binary(min_size=1, max_size=80))
def test_foreign_bytes_anywhere_lose_nothing_that_can_be_read(tmp_path_factory, cut, garbage):
    folder = tmp_path_factory.mktemp("journal")
    data, ends = written(folder / "journal.log", 3)
    cut = min(cut, len(data))
    (folder / "journal.log").write_bytes(data[:cut] + garbage + data[cut:])
    inside = [number for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False), 1) if start < cut < end]
    assert numbers(Journal(folder / "journal.log")) == [number for number in (1, 2, 3) if number not in inside]


def test_edits_after_damage_are_kept_and_new_ones_follow(tmp_path):
    path = tmp_path / "journal.log"
    data = bytearray(written(path, 3)[0])
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    journal = Journal(path)
    assert len(journal.damaged) == 1
    assert journal.append(a_delta(3)) == 4
    journal.close()
    assert numbers(Journal(path)) == [1, 3, 4]
    assert path.read_bytes().startswith(bytes(data)), "the damaged stretch stays for rescue"


def test_zeros_at_the_end_as_after_a_power_cut_are_set_aside(tmp_path):
    path = tmp_path / "journal.log"
    path.write_bytes(written(path, 2)[0] + bytes(4096))
    journal = Journal(path)
    assert journal.torn == 4096
    assert journal.begin() is False
    journal.close()
    assert (tmp_path / "journal.torn-1").read_bytes() == bytes(4096)
    assert numbers(Journal(path)) == [1, 2]


def test_a_second_writer_is_refused_until_the_first_closes(tmp_path):
    first, second = Journal(tmp_path / "journal.log"), Journal(tmp_path / "journal.log")
    first.append(a_delta(0))
    with pytest.raises(LockedError, match="edited elsewhere"):
        second.append(a_delta(0))
    first.close()
    assert second.append(a_delta(1)) == 2, "the second has read what the first wrote"
    second.close()
    assert numbers(Journal(tmp_path / "journal.log")) == [1, 2]


def test_records_of_a_newer_version_are_refused_and_left_alone(tmp_path):
    first = replace(a_delta(0), entry=replace(a_delta(0).entry, sequence=1))
    data = frame(encode(first).replace(b'"format":1', b'"format":9'))
    (tmp_path / "journal.log").write_bytes(data)
    with pytest.raises(ProjectError, match="newer"):
        Journal(tmp_path / "journal.log")
    assert (tmp_path / "journal.log").read_bytes() == data


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_disk_is_reported_and_loses_nothing(tmp_path, monkeypatch, call):
    journal = Journal(tmp_path / "journal.log")
    journal.append(a_delta(0))
    assert journal.flush()
    with monkeypatch.context() as broken:
        broken.setattr(os, call, no_space)
        for number in (1, 2):
            journal.append(a_delta(number))
        assert not journal.flush()
        assert journal.error is not None
        assert journal.error.errno == errno.ENOSPC
        assert journal.pending == 2
        assert numbers(journal) == [1, 2, 3], "still readable from memory"
        with pytest.raises(ProjectError, match="2 edits could not be written"):
            journal.close()
    assert journal.flush()
    assert journal.error is None
    assert journal.pending == 0
    journal.close()
    assert numbers(Journal(tmp_path / "journal.log")) == [1, 2, 3]


def test_a_write_that_stops_half_way_is_done_again(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.log")
    pwrite, room = os.pwrite, [30]

    def little_room(descriptor, data, offset):
        if not room[0]:
            no_space()
        count = pwrite(descriptor, data[: min(7, room[0])], offset)
        room[0] -= count
        return count

    monkeypatch.setattr(os, "pwrite", little_room)
    journal.append(a_delta(0))
    assert not journal.flush()
    room[0] = 10**6
    journal.append(a_delta(1))
    assert journal.flush()
    journal.close()
    assert numbers(Journal(tmp_path / "journal.log")) == [1, 2]


def test_a_folder_that_cannot_be_written_keeps_edits_in_memory_until_it_can(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "labels" / "journal.log")
    with monkeypatch.context() as broken:
        broken.setattr(os, "open", no_space)
        journal.append(a_delta(0))
        assert not journal.flush()
        assert journal.pending == 1
    assert journal.flush()
    journal.close()
    assert numbers(Journal(journal.path)) == [1]


def test_append_does_not_wait_for_a_slow_disk(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.log")
    journal.begin()
    free, fsync = threading.Event(), os.fsync

    def slow(descriptor):
        free.wait(60)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    for number in range(5):
        journal.append(a_delta(number))
    assert journal.pending == 5
    assert not journal.flush(timeout=0.01)
    free.set()
    assert journal.flush()
    journal.close()


def test_an_edit_that_rots_on_disk_is_an_error_not_a_wrong_answer(tmp_path):
    path = tmp_path / "journal.log"
    data = bytearray(written(path, 1)[0])
    journal = Journal(path)
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ProjectError, match="unreadable"):
        journal.read(1)
    with pytest.raises(ProjectError, match="no readable edit"):
        journal.read(99)


PAINTER = """
import sys
from pathlib import Path
import numpy as np
from histobridge.core.delta import Delta, Entry
from histobridge.core.journal import Journal

journal = Journal(Path(sys.argv[1]))
for number in range(10**6):
    window = (slice(number, number + 5), slice(number, number + 5))
    new = np.full((2, 25), number % 251, np.uint8)
    entry = Entry("stroke", "r000c000", window, 25, proposal="run-1")
    journal.append(Delta(entry, np.ones((5, 5), bool), np.zeros_like(new), new))
    assert journal.flush()
    sys.stdout.write(f"{number + 1}\\n")
    sys.stdout.flush()
"""


def test_every_stroke_reported_before_a_kill_is_there_after_it(tmp_path):
    path = tmp_path / "journal.log"
    with subprocess.Popen([sys.executable, "-c", PAINTER, str(path)], stdout=subprocess.PIPE, text=True) as painter:
        reported = [int(painter.stdout.readline()) for _ in range(40)]
        painter.send_signal(signal.SIGKILL)
        reported += [int(line) for line in painter.stdout.read().splitlines()]
    journal = Journal(path)
    found = numbers(journal)
    assert found[: len(reported)] == reported
    assert journal.append(a_delta(len(found))) == len(found) + 1, "the lock went with the process"
    journal.close()
