"""A disk that forgets what was not synced: records what a program does to a folder, and builds what a crash may leave.

The model: the bytes of a file are safe once the file is synced, a name once its folder is; whatever came later may be
there, may be missing, and may be there in part. Names are seen as a journalling file system keeps them, in order, or
with any single one missing.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = 0
CALLS = ("fsync", "pwrite", "ftruncate", "replace", "rename", "link", "unlink", "remove", "rmdir", "mkdir")
DATA = ("synced", "written", "half", "zeros")
"""What may be left of bytes that were not synced."""

Tree = dict[int, dict[str, int]]
"""Names in each folder, and which file or folder each stands for."""


@dataclass(slots=True)
class Disk:
    """What lies on the disk, and what only might."""

    names: Tree = field(default_factory=lambda: {ROOT: {}})
    pending: list[tuple[tuple[int, str, int | None], ...]] = field(default_factory=list)
    synced: dict[int, bytes] = field(default_factory=dict)
    written: dict[int, bytes] = field(default_factory=dict)
    folders: set[int] = field(default_factory=lambda: {ROOT})

    def apply(self, step: tuple) -> None:
        kind, *rest = step
        if kind == "write":
            self.written[rest[0]] = rest[1]
        elif kind == "folder":
            self.folders.add(rest[0])
        elif kind == "names":
            self.pending.append(rest[0])
        elif kind == "sync" and rest[0] in self.folders:
            kept = []
            for change in self.pending:
                # A move is one change of one or two folders; it is safe with the folder that gets the name.
                if any(folder == rest[0] for folder, _, _ in change[-1:]):
                    rename(self.names, change)
                else:
                    kept.append(change)
            self.pending = kept
        elif kind == "sync":
            self.synced[rest[0]] = self.written[rest[0]]

    def trees(self, thorough: bool) -> Iterator[Tree]:
        """What the names may be."""
        count = len(self.pending)
        chosen = [self.pending[:number] for number in (range(count + 1) if thorough else {0, count})]
        if thorough:
            chosen += [self.pending[:number] + self.pending[number + 1 :] for number in range(count - 1)]
        for changes in chosen:
            tree = {folder: dict(names) for folder, names in self.names.items()}
            for change in changes:
                rename(tree, change)
            yield tree

    def content(self, file: int, how: str) -> bytes:
        before, after = self.synced.get(file, b""), self.written.get(file, b"")
        if how == "written" or before == after:
            return after
        if how == "half":
            grown = len(before) + (len(after) - len(before)) // 2
            return after[: max(grown, 0)]
        return before + bytes(max(len(after) - len(before), 0)) if how == "zeros" else before


def rename(tree: Tree, change: tuple[tuple[int, str, int | None], ...]) -> None:
    for folder, name, child in change:
        names = tree.setdefault(folder, {})
        if child is None:
            names.pop(name, None)
        else:
            names[name] = child


class Recorder:
    """Notes every change below a folder, between and at the calls that matter to a crash; what is there is safe."""

    def __init__(self, root: Path):
        self.root = root
        self.steps: list[tuple] = []
        self._lock = threading.RLock()
        self._next = ROOT
        self._ids: dict[int, int] = {}
        self._known: Tree = {}
        self._bytes: dict[int, bytes] = {}
        self.scan()
        self.steps += [("sync", identity) for identity in self._ids.values()]

    def mark(self, value: object) -> None:
        """Note what the program was told to be safe by now."""
        with self._lock:
            self.scan()
            self.steps.append(("mark", value))

    @contextmanager
    def recording(self) -> Iterator["Recorder"]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._noted(name, getattr(os, name)))
            yield self
        self.scan()

    def _noted(self, name, call):
        def noted(*arguments, **options):
            with self._lock:
                self.scan()
                result = call(*arguments, **options)
                if name == "fsync":
                    identity = self._ids.get(os.fstat(arguments[0]).st_ino)
                    if identity is not None:
                        self.steps.append(("sync", identity))
                elif name in ("replace", "rename"):
                    self._moved(*map(Path, arguments))
                self.scan()
                return result

        return noted

    def _moved(self, source: Path, target: Path) -> None:
        """A rename is one step: the old name goes and the new one comes together or not at all."""
        if self.root not in source.parents:
            return
        before, after = (self._ids[path.parent.stat().st_ino] for path in (source, target))
        child = self._known[before].pop(source.name)
        self._known[after][target.name] = child
        self.steps.append(("names", ((before, source.name, None), (after, target.name, child))))

    def scan(self) -> None:
        """Note what has changed since the last look, however it was done."""
        with self._lock:
            seen: Tree = {}
            self._look(self.root, seen)
            alive = set(seen) | {child for names in seen.values() for child in names.values()}
            for folder, names in seen.items():
                known = self._known.get(folder, {})
                for name, child in names.items():
                    if known.get(name) != child:
                        self.steps.append(("names", ((folder, name, child),)))
                for name in known.keys() - names.keys():
                    self.steps.append(("names", ((folder, name, None),)))
            self._known = seen
            self._ids = {inode: identity for inode, identity in self._ids.items() if identity in alive}

    def _look(self, folder: Path, seen: Tree) -> int:
        identity = self._identity(folder.stat().st_ino, folder=True)
        names = seen.setdefault(identity, {})
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                names[entry.name] = self._look(Path(entry.path), seen)
                continue
            names[entry.name] = child = self._identity(entry.inode(), folder=False)
            data = Path(entry.path).read_bytes()
            if self._bytes.get(child) != data:
                self._bytes[child] = data
                self.steps.append(("write", child, data))
        return identity

    def _identity(self, inode: int, *, folder: bool) -> int:
        """A number of our own: the system gives those of deleted files to new ones."""
        if inode not in self._ids:
            self._ids[inode] = self._next
            self._next += 1
            if folder:
                self.steps.append(("folder", self._ids[inode]))
        return self._ids[inode]


def crashes(steps: list[tuple], *, thorough: bool) -> Iterator[tuple[dict[str, bytes | None], object]]:
    """Every different state that a crash may leave, as path -> bytes (none: a folder), and the last mark before it."""
    disk, mark, seen = Disk(), None, set()
    for step in [("start",), *steps]:
        if step[0] == "mark":
            mark = step[1]
        disk.apply(step)
        for tree in disk.trees(thorough):
            for how in DATA:
                state = flatten(disk, tree, how)
                key = (tuple(sorted(state.items(), key=lambda item: item[0])), repr(mark))
                if hash(key) not in seen:
                    seen.add(hash(key))
                    yield state, mark


def flatten(disk: Disk, tree: Tree, how: str, folder: int = ROOT, path: str = "") -> dict[str, bytes | None]:
    state: dict[str, bytes | None] = {}
    for name, child in tree.get(folder, {}).items():
        here = f"{path}{name}"
        if child in disk.folders:
            state[here] = None
            state |= flatten(disk, tree, how, child, f"{here}/")
        else:
            state[here] = disk.content(child, how)
    return state


def lay(state: dict[str, bytes | None], folder: Path) -> None:
    """Write a state to a real folder."""
    folder.mkdir(parents=True)
    for path, data in state.items():
        if data is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).write_bytes(data)
