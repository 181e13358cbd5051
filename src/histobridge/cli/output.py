"""What the command writes: results to stdout, progress to stderr."""

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from histobridge.core.job import Progress

OK, FAILED, BAD_INPUT, PARTLY, STOPPED = 0, 1, 2, 3, 130
"""Exit codes."""

LINE_SECONDS = 5.0
TELLING = 0.01
"""Share of the work that has to be done before time left is told: the first step starts much that is slow."""
BAR_SECONDS = 0.1
BAR_WIDTH = 20
MOST_SHOWN = 12
"""Longer lists are told by their length."""


@dataclass(frozen=True)
class Outcome:
    """What a verb came to: the same facts as JSON and as lines for people."""

    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    code: int = OK


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Write the outcome to stdout: one JSON object, or lines; what went wrong goes to stderr."""
    if as_json:
        values = {"ok": outcome.code == OK, "exit_code": outcome.code, **outcome.values}
        sys.stdout.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")
        return
    stream = sys.stdout if outcome.code in (OK, PARTLY) or "error" not in outcome.values else sys.stderr
    stream.write("".join(f"{line}\n" for line in outcome.lines))


def table(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Lines of a table with one column per key; numbers to the right."""
    rows = list(rows)
    if not rows:
        return []
    names = list(rows[0])
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(names, *cells, strict=True)]
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    return [
        "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in (names, *cells)
    ]


def facts(result: Mapping[str, Any]) -> list[str]:
    """Lines for what a job returned; long rows of numbers are for `--json`."""
    lines = []
    for name, value in result.items():
        if isinstance(value, list | tuple) and not value:
            continue
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            lines.append(f"{words}: {', '.join(f'{key} {_cell(item)}' for key, item in value.items()) or '-'}")
        elif not isinstance(value, list | tuple):
            lines.append(f"{words}: {_cell(value)}")
        elif isinstance(value[0], Mapping):
            lines += [f"{words}:", *table([_scalars(row) for row in value])]
        elif len(value) <= MOST_SHOWN:
            lines.append(f"{words}: {', '.join(map(_cell, value))}")
        else:
            lines.append(f"{words}: {len(value)} values")
    return lines


def _scalars(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not isinstance(value, list | tuple | dict)}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def clock(seconds: float) -> str:
    """Write seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressLine:
    """Show progress: one line that is redrawn on a terminal, plain lines now and then elsewhere.

    Parameters
    ----------
    title : str
        What is being done.
    stream : text stream, optional
        Where to; stderr if not given.
    """

    def __init__(self, title: str, stream: TextIO | None = None):
        self._title = title
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._first: tuple[float, float] | None = None
        self._due = 0.0
        self._drawn = False

    def __call__(self, progress: Progress) -> None:
        """Show one step, no more often than useful."""
        now = time.monotonic()
        if now < self._due and (not progress.total or progress.step < progress.total):
            return
        self._due = now + (BAR_SECONDS if self._terminal else LINE_SECONDS)
        text = self._text(progress, now)
        if self._terminal:
            # A line that wraps could not be redrawn.
            self._stream.write("\r\x1b[K" + text[: shutil.get_terminal_size().columns - 1])
            self._drawn = True
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def _text(self, progress: Progress, now: float) -> str:
        """One line: bar, share, what, numbers, time left."""
        share = min(progress.step / progress.total, 1.0) if progress.total else 0.0
        if self._first is None or share < self._first[1]:
            self._first = (now, share)
        done = round(share * BAR_WIDTH)
        bar = f"[{'#' * done}{'.' * (BAR_WIDTH - done)}] {share:4.0%} " if progress.total else ""
        text = f"{bar}{self._title}"
        if progress.message:
            text += f": {progress.message}"
        text += "".join(f", {name} {value:.3g}" for name, value in progress.metrics.items())
        since, start = self._first
        if start + TELLING <= share < 1:
            text += f", {clock((now - since) * (1 - share) / (share - start))} left"
        return text

    def close(self) -> None:
        """End the line that is being redrawn."""
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._drawn = False
