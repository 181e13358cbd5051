"""Labels whose edits cannot be written: kept in memory, tried again, saved elsewhere if the user wants."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

from histobridge.core.errors import InputError, ProjectError
from histobridge.core.labels import LabelStore
from histobridge.core.project import Project
from histobridge.core.unsaved import ENDING, bring_back, read_unsaved, save_elsewhere

PATIENCE_S = 3.0
"""So long an edit may take to reach the disk before the user is told."""


def rescue_folder() -> Path:
    """Folder of the user's own where edits go that had to be left behind."""
    return user_state_path("histobridge") / "unsaved"


class KeptStores:
    """Stores of images that were put away: being brought up to date in the background, or waiting for the disk."""

    def __init__(self) -> None:
        self.stores: list[LabelStore] = []
        self._changing = threading.Lock()
        self._closing: dict[LabelStore, threading.Thread] = {}
        self._updating: dict[LabelStore, threading.Thread] = {}

    def bring_up_to_date(self, store: LabelStore) -> None:
        """Write the edits of a store that stays open into its arrays, without waiting."""
        if not store.journal.begun or store in self._updating:
            return
        thread = threading.Thread(target=self._update, args=(store,), name=f"labels {store.folder.name}")
        with self._changing:
            self._updating[store] = thread
        thread.start()

    def _update(self, store: LabelStore) -> None:
        with suppress(OSError, ProjectError):  # they stay in the journal, or in memory
            store.snapshot()
        with self._changing:
            del self._updating[store]

    def progress(self) -> tuple[int, int] | None:
        """Parts written so far and to write, of all stores that are being brought up to date; none if none is."""
        with self._changing:
            parts = [store.written for store in (*self._closing, *self._updating)]
        return (sum(done for done, _ in parts), sum(of for _, of in parts)) if parts else None

    def wait(self, seconds: float) -> bool:
        """Wait until no store is being brought up to date, so long at most; returns whether that is so."""
        end = time.monotonic() + seconds
        with self._changing:
            threads = (*self._closing.values(), *self._updating.values())
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        return self.progress() is None

    def put_away(self, store: LabelStore) -> None:
        """Close a store without waiting, since that takes seconds after many edits of a large image.

        It is kept as long as that lasts, and longer if its edits cannot be written now.
        """
        if not store.journal.begun:
            store.close()
            return
        # Not a daemon: the interpreter waits for it at exit.
        thread = threading.Thread(target=self._close, args=(store,), name=f"labels {store.folder.name}")
        with self._changing:
            self.stores.append(store)
            self._closing[store] = thread
        thread.start()

    def _close(self, store: LabelStore) -> None:
        # Without room for a snapshot the edits are still all in the journal.
        with suppress(OSError, ProjectError):
            if self._is_mine(store):
                store.snapshot()
        with self._changing:
            if not self._is_mine(store):
                return
            del self._closing[store]
            if not store.journal.pending:
                store.journal.close()
                self.stores.remove(store)

    def _is_mine(self, store: LabelStore) -> bool:
        """Whether this thread is the one to close a store: it may have been opened again meanwhile."""
        return self._closing.get(store) is threading.current_thread()

    def newest(self, store: LabelStore) -> LabelStore:
        """Return the kept store of the same labels, which has more edits than the disk; else `store` itself."""
        with self._changing:
            for kept in self.stores:
                if kept.folder == store.folder:
                    self.stores.remove(kept)
                    self._closing.pop(kept, None)
                    return kept
        return store

    def tidy(self) -> None:
        """Let go of stores whose edits have reached the disk by now."""
        with self._changing:
            ready = [store for store in self.stores if store not in self._closing and not store.journal.pending]
            self.stores = [store for store in self.stores if store not in ready]
        for store in ready:
            self.put_away(store)

    def close(self) -> None:
        """Close all stores; raises `ProjectError` if edits still cannot be written."""
        for thread in (*self._closing.values(), *self._updating.values()):
            thread.join()
        for store in list(self.stores):
            store.close()
            self.stores.remove(store)


class UnsavedEdits:
    """All edits of the open project that are not on disk; holds no Qt object, so that it works while a window dies."""

    def __init__(self) -> None:
        self.kept = KeptStores()
        self._sources: list[Callable[[], LabelStore | None]] = []
        self._elsewhere: dict[Path, int] = {}

    def watch(self, source: Callable[[], LabelStore | None]) -> None:
        """Count the edits of the store that `source` returns, if it has one open."""
        self._sources.append(source)

    @property
    def _opened(self) -> list[LabelStore]:
        return [store for source in self._sources if (store := source()) is not None]

    @property
    def stores(self) -> list[LabelStore]:
        """Stores with edits that are not on disk."""
        return [store for store in (*self._opened, *self.kept.stores) if store.journal.pending]

    def bring_up_to_date(self) -> None:
        """Write the edits of all open labels into their arrays, without waiting."""
        for store in self._opened:
            self.kept.bring_up_to_date(store)

    def count(self) -> int:
        """Edits that are neither in the project nor in a file elsewhere."""
        return sum(
            delta.entry.sequence > self._elsewhere.get(store.folder, 0)
            for store in self.stores
            for delta in store.journal.unsaved()
        )

    def trouble(self) -> str:
        """Why edits are not in the project; empty if they are, or soon will be."""
        for store in self.stores:
            waiting = store.journal.unsaved()
            if store.journal.error or (waiting and time.time() - waiting[0].entry.time > PATIENCE_S):
                return store.journal.trouble
        return ""

    def retry(self) -> None:
        """Try again to write, without waiting for it."""
        for store in self.stores:
            store.journal.flush(timeout=0.0)
        self.kept.tidy()

    def save_elsewhere(self, project: Project, folder: Path) -> list[Path]:
        """Write them to files in `folder`, see `core.unsaved`.

        Raises
        ------
        OSError
            If those of some store cannot be written there either; those of the others are, all the same.
        """
        files, trouble = [], None
        for store in self.stores:
            last = store.journal.last
            try:
                file = save_elsewhere(store, project, folder)
            except OSError as error:
                trouble = error
                continue
            if file is not None:
                files.append(file)
                self._elsewhere[store.folder] = last
        if trouble is not None:
            raise trouble
        return files

    def rescue(self, project: Project) -> None:
        """Leave what cannot be written in the user's own folder, where the next start finds it, and let go of it."""
        if self.count():
            with suppress(OSError):
                self.save_elsewhere(project, rescue_folder())
        for store in self.stores:
            if store.journal.last <= self._elsewhere.get(store.folder, 0):
                store.journal.abandon()
        self._elsewhere.clear()  # Numbers of edits begin where the project ends, which does not have these.


def rescued(project: Project) -> list[Path]:
    """Files of edits of a project that were left in the user's own folder, oldest first."""
    found = []
    for path in sorted(rescue_folder().glob(f"*{ENDING}"), key=lambda path: path.stat().st_mtime):
        with suppress(InputError):
            if read_unsaved(path).project == project.path:
                found.append(path)
    return found


def bring_all_back(project: Project, paths: list[Path]) -> int:
    """Bring the edits of files back, and remove those files that lay in the user's own folder."""
    count = 0
    for path in paths:
        count += bring_back(project, path)
        if path.parent == rescue_folder():
            path.unlink()
    return count
