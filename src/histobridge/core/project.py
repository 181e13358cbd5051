"""One project folder: its file, its images, its runs, its lock."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from histobridge.core.adopting import adopt
from histobridge.core.config import Config, Domain
from histobridge.core.errors import InputError, ProjectError, wrong_fields
from histobridge.core.files import read_json, write_json
from histobridge.core.lock import EditLock
from histobridge.core.manifest import (
    MYELINATED_FIBRE,
    SCHEMA_VERSION,
    ClassSpec,
    ImageRecord,
    Manifest,
    RunKind,
    image_folder,
    label_folder,
)
from histobridge.core.runs import Run
from histobridge.core.versions import form_of, newer

if TYPE_CHECKING:
    from histobridge.core.images.pyramid import Pyramid
    from histobridge.core.labels import LabelStore
    from histobridge.core.tiles import Tile

SHOWN_IDS = 8
KIND_OF_VERB: dict[str, RunKind] = {
    "train-segmenter": "segmenter",
    "match": "matching",
    "train-translator": "translator",
    "import-translator": "translator",
    "propose": "proposals",
}


class Project:
    """A folder that holds everything, readable by many, edited by one.

    Use `Project.create` or `Project.open`. Reading needs no lock; everything that changes the manifest or the labels
    does, see `editing`.
    """

    def __init__(self, path: Path, manifest: Manifest):
        self.path = path
        self.manifest = manifest
        self.lock = EditLock(path / "edit.lock")
        self.take_over = False  # the lock from whoever has it, on the user's word

    @classmethod
    def create(cls, path: Path, name: str = "", classes: Iterable[ClassSpec] = MYELINATED_FIBRE) -> Self:
        """Make a new project folder.

        Parameters
        ----------
        path : Path
            A folder that does not exist or is empty.
        name : str
            Shown in the window; empty: the folder's name.
        classes : iterable of ClassSpec

        Raises
        ------
        InputError
            If the folder has something in it, or the classes do not go together.
        """
        path = Path(path).absolute()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} is not an empty folder; choose a new name, or open it if it is a project")
        try:
            manifest = Manifest(name=name or path.name, classes=tuple(classes))
        except ValidationError as error:
            raise InputError(f"no project was made: {wrong_fields(error)}") from error
        if not manifest.classes:
            raise InputError("no project was made: classes holds none, at least one expected; name what is labelled")
        made = [path / folder for folder in ("images", "labels", "runs")]
        try:
            for folder in made:
                folder.mkdir(parents=True, exist_ok=True)
            write_json(path / "project.json", manifest.model_dump(mode="json"))
        except OSError:
            for folder in made:  # else the next try would find a folder that is not empty
                with suppress(OSError):
                    folder.rmdir()
            raise
        return cls(path, manifest)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing project for reading.

        Raises
        ------
        ProjectError
            If there is none, it is damaged, or a newer version made it.
        """
        path = Path(path).absolute()
        return cls(path, _read_manifest(path))

    def refresh(self) -> None:
        """Read the manifest again, which another process may have changed."""
        self.manifest = _read_manifest(self.path)

    # -- editing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def editing(self, program: str = "histobridge") -> Iterator[Self]:
        """Hold the edit lock for a while; raises `LockedError` if somebody else does, or took it over from here."""
        already = self.lock.held
        self.lock.program = program
        self.lock.acquire(take_over=self.take_over)
        try:
            self.refresh()
            yield self
        finally:
            if not already:
                self.lock.release()

    def _write(self, **changes: Any) -> None:
        self.lock.need()
        try:
            manifest = Manifest.model_validate(self.manifest.model_dump() | changes)
        except ValidationError as error:
            raise InputError(f"{self.name} stays as it was: {wrong_fields(error)}") from error
        write_json(self.path / "project.json", manifest.model_dump(mode="json"))
        self.manifest = manifest

    def set_classes(self, classes: Iterable[ClassSpec]) -> None:
        """Replace the class table; raises `InputError` if a name or value is used twice or an enclosing class lacks."""
        self._write(classes=[spec.model_dump() for spec in classes])

    def update_image(self, image_id: str, **changes: Any) -> ImageRecord:
        """Change fields of one image, such as ``pixel_size_um``, and return it; raises `InputError` for wrong ones."""
        (changed,) = self.update_images([image_id], **changes)
        return changed

    def update_images(self, image_ids: Iterable[str], **changes: Any) -> list[ImageRecord]:
        """Change the same fields of several images, of all or none, and return them; see `update_image`."""
        changed = {}
        for image_id in image_ids:
            try:
                changed[image_id] = ImageRecord.model_validate(self.image(image_id).model_dump() | changes)
            except ValidationError as error:
                raise InputError(f"image {image_id} stays as it was: {wrong_fields(error)}") from error
        self._write(images=[changed.get(record.id, record).model_dump() for record in self.manifest.images])
        return list(changed.values())

    def pin(self, kind: RunKind, run_id: str) -> None:
        """Choose the active run of a kind by hand; an empty id goes back to the latest."""
        if run_id:
            self.run(run_id)
        active = {name: run for name, run in self.manifest.active.items() if name != kind}
        self._write(active=active | ({kind: run_id} if run_id else {}))

    def adopt(self, run: Run) -> list[ImageRecord]:
        """Take the images that an import run has staged into the project, see `histobridge.core.adopting.adopt`."""
        return adopt(self, run)

    def add_records(self, records: Iterable[ImageRecord]) -> None:
        """List images whose folders are in place; all at once, as the manifest is written whole each time."""
        self._write(images=[known.model_dump() for known in (*self.manifest.images, *records)])

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Shown in the window."""
        return self.manifest.name

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """All classes."""
        return self.manifest.classes

    def classes_of(self, domain: Domain) -> tuple[ClassSpec, ...]:
        """Classes that occur in one domain."""
        return tuple(spec for spec in self.manifest.classes if domain in spec.domains)

    def images(self, domain: Domain | None = None) -> list[ImageRecord]:
        """All images, or those of one domain."""
        return [record for record in self.manifest.images if domain in (None, record.domain)]

    def image(self, image_id: str) -> ImageRecord:
        """One image by its id; raises `ProjectError` if there is none."""
        for record in self.manifest.images:
            if record.id == image_id:
                return record
        known = ", ".join(record.id for record in self.manifest.images[:SHOWN_IDS])
        more = ", ..." if len(self.manifest.images) > SHOWN_IDS else ""
        remedy = f"choose among {known}{more}" if known else "add images first"
        raise ProjectError(f"{self.name} has no image {image_id!r}; {remedy}")

    def tiles(self, record: ImageRecord) -> "tuple[Tile, ...]":
        """Grid of editable windows of one image."""
        from histobridge.core.tiles import tile_grid

        return tile_grid(record.shape, self.manifest.tile_px, self.manifest.tile_overlap_px)

    def pixels(self, image_id: str) -> "Pyramid":
        """Open the pixels of one image, lazily."""
        from histobridge.core.images.pyramid import Pyramid

        record = self.image(image_id)
        where = self.resolve(record.reference) if record.reference else image_folder(self.path, record)
        return Pyramid.open(where).narrowed(record.dtype)

    def labels(self, image_id: str) -> "LabelStore":
        """Open the labels of one image; writing needs the lock."""
        from histobridge.core.labels import LabelStore

        record = self.image(image_id)
        return LabelStore(label_folder(self.path, record), record.shape, writable=self.lock.held)

    def resolve(self, reference: str) -> Path | str:
        """Turn a stored path, relative to the project and not to a link to it, or URL into one that can be opened."""
        return reference if "://" in reference else Path(os.path.normpath(self.path.resolve() / reference))

    def create_run(self, verb: str, config: Config) -> Run:
        """Make the folder of a new job."""
        return Run.create(self.path / "runs", verb, config)

    def runs(self, verb: str = "") -> list[Run]:
        """All runs in the order they were made, or those of one job; without those of `damaged_runs`."""
        found = self._run_folders(f"*-{verb}-*" if verb else "*")
        return [run for run in found if not run.problem() and verb in ("", run.verb)]

    def damaged_runs(self) -> dict[str, str]:
        """Why nothing can be done with some runs, by their ids."""
        return {run.id: problem for run in self._run_folders("*") if (problem := run.problem())}

    def _run_folders(self, pattern: str) -> list[Run]:
        return [Run(path.parent) for path in sorted((self.path / "runs").glob(f"{pattern}/run.json"))]

    def run(self, run_id: str) -> Run:
        """One run by its id; raises `ProjectError` if there is none."""
        path = self.path / "runs" / run_id
        if not run_id or not (path / "run.json").exists():
            raise ProjectError(f"{self.path} has no run {run_id!r}; `histobridge status` lists them")
        return Run(path)

    def active(self, kind: RunKind) -> Run | None:
        """Return the run chosen by hand, else the latest finished one that was not made to compare only, else none.

        One that was chosen and whose folder has been removed since is as if none were.
        """
        chosen = self.manifest.active.get(kind)
        if chosen and (self.path / "runs" / chosen / "run.json").exists():
            return self.run(chosen)
        made = [run for verb, makes in KIND_OF_VERB.items() if makes == kind for run in self.runs(verb)]
        latest = sorted(made, key=lambda run: run.id, reverse=True)
        finished = (run for run in latest if run.state().status == "finished")
        fitting = (run for run in finished if kind != "segmenter" or _of_source(run))
        return next((run for run in fitting if not run.config.get("for_comparison")), None)

    def need(self, kind: RunKind, run_id: str, remedy: str) -> Run:
        """Return the run named, or the active one; raise `ProjectError` with the remedy if there is none."""
        run = self.run(run_id) if run_id else self.active(kind)
        makers = [verb for verb, makes in KIND_OF_VERB.items() if makes == kind]
        if run_id and run is not None and makers and run.verb not in makers:
            raise InputError(
                f"run {run_id} is one of `{run.verb}`, expected one of `{'` or `'.join(makers)}`; "
                "`histobridge status` lists them"
            )
        if run is None:
            raise ProjectError(f"{self.name} has no {kind.replace('_', ' ')} yet; {remedy}")
        if kind == "segmenter" and not _of_source(run):
            raise InputError(f"run {run.id} has learned the labels of the target, not those of the source; {remedy}")
        return run


def _of_source(run: Run) -> bool:
    """Whether a run of `train-segmenter` has learned the source."""
    return bool(run.config.get("domain", "source") == "source")


def _read_manifest(path: Path) -> Manifest:
    file = path / "project.json"
    try:
        values = read_json(file)
    except FileNotFoundError:
        found = "it has no project.json" if path.is_dir() else "there is no such folder"
        raise ProjectError(
            f"{path} is not a HistoBridge project: {found}; check the name, or make one with `histobridge new`"
        ) from None
    except (OSError, ValueError) as error:
        raise ProjectError(f"{file} cannot be read: {error}") from error
    if (form := form_of(values)) > SCHEMA_VERSION:
        raise ProjectError(newer(file, form, SCHEMA_VERSION))
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise ProjectError(f"{file} is damaged at {wrong_fields(error)}") from error
