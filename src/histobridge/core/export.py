"""Write masks where other programs read them: the job `export`."""

import shutil
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

from histobridge.core.config import ExportConfig
from histobridge.core.disk import pyramid_bytes, room_for, why
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.export_maps import png_names, tiff_names, write_png_maps, write_tiff_maps
from histobridge.core.export_publish import recover, remove, taken
from histobridge.core.export_staging import FIBRE_PIXELS, ExportItem, FinalLabels, proposal_run_of, stage_final
from histobridge.core.export_table import table_names, write_table
from histobridge.core.export_zarr import write_ome_zarr, zarr_names
from histobridge.core.files import read_json, write_json
from histobridge.core.job import Job, Progress
from histobridge.core.manifest import IGNORE, ImageRecord
from histobridge.core.project import Project
from histobridge.core.provenance import provenance
from histobridge.core.runs import Run

CLASS_TABLE = "classes.json"
WRITTEN, BEGUN = "written.json", "begun.json"
"""In the run's folder: what it has published."""


class _Write(Protocol):
    """Write one image in one format, read it back, and return the files, the main one first; none if it has nothing."""

    def __call__(self, item: ExportItem, out: Path, *, replace: bool) -> list[Path]: ...


WRITERS: dict[str, _Write] = {
    "ome-zarr": write_ome_zarr,
    "png": write_png_maps,
    "tiff": write_tiff_maps,
    "table": write_table,
}
NAMES = {"ome-zarr": zarr_names, "png": png_names, "tiff": tiff_names, "table": table_names}


def export_labels(project: Project, run: Run, config: ExportConfig) -> Job[dict[str, Any]]:
    """Export the labels of images: what was reviewed, and elsewhere the active proposal or nothing.

    Each file is built under a temporary name, read back, compared with what was meant, synced, and only then renamed;
    a crash leaves the old one or none. Memory does not grow with the image, except that fibres are numbered only up to
    `FIBRE_PIXELS`, and a PNG is read back at one byte a pixel.

    Parameters
    ----------
    project : Project
    run : Run
        Holds the merged labels while the export runs.
    config : ExportConfig
        A relative `out` lies in the project folder.

    Yields
    ------
    Progress

    Returns
    -------
    dict
        ``written``: for each image and format ``image``, ``path``, ``files``, ``format``, ``identical`` (True: it was
        read back and compared), ``reviewed_fraction``. ``notes``: what the user should know. ``out``: the folder.

    Raises
    ------
    InputError
        If an image has nothing to export, or a name is in use and `config.replace` is off; then nothing was written.
    ReadBackError
        If a file reads back differently; it is not under its name then.
    """
    records = _wanted(project, config)
    out = project.path / config.out
    written = _written_before(run)
    begun = _begun_before(run)
    done = {(entry["image"], entry["format"]) for entry in written}
    there = {*done, *begun}
    parts: list[tuple[ImageRecord, str]] = [
        (record, form) for record in records for form in config.formats if (record.id, form) not in there
    ]
    _prepare(out, project, config, parts)
    scratch = run.path / "scratch"
    notes: list[str] = []
    try:
        for index, record in enumerate(records):
            if all((record.id, form) in done for form in config.formats):
                continue
            staging = stage_final(project, record, scratch, reviewed_only=config.reviewed_only)
            labels = yield from _staged(staging, record, (index, len(records)))
            notes += [*project.labels(record.id).problems(), *_notes(record, labels, config)]
            image = project.pixels(record.id).levels[0]
            if "ome-zarr" in config.formats:
                room_for(out, pyramid_bytes(record.shape, record.dtype))
            item = ExportItem(record, image, project.manifest, labels, provenance(project, run, record, labels))
            for position, name in enumerate(config.formats):
                if (record.id, name) in done:
                    continue
                share = 0.2 + 0.8 * position / len(config.formats)
                yield Progress(round(1000 * (index + share)), 1000 * len(records), f"writing {record.id} as {name}")
                write_json(run.path / BEGUN, [record.id, name])  # Of this part some files may be there after a kill.
                files = WRITERS[name](item, out, replace=config.replace or (record.id, name) in begun)
                for stale in {out / file for file in NAMES[name](record.id)} - set(files):
                    remove(stale)
                if files:
                    written.append(_entry(record, name, files, labels))
                    write_json(run.path / WRITTEN, written)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {"written": written, "notes": notes, "out": str(out)}


def _wanted(project: Project, config: ExportConfig) -> list[ImageRecord]:
    """Images to export; raise if one that was named, or all, have neither labels nor a proposal."""
    if not config.formats:
        raise InputError("no format was chosen; expected at least one of " + ", ".join(WRITERS))
    named = [project.image(image_id) for image_id in dict.fromkeys(config.images)]
    records = [
        record
        for record in named or project.images(config.domain)
        if project.labels(record.id).exists or proposal_run_of(project, record)
    ]
    missing = [record.id for record in named if record not in records]
    if missing:
        raise InputError(
            f"image {missing[0]} has neither labels nor a proposal; propose labels for it first "
            "(Labels page, or `histobridge propose`)"
        )
    if not records:
        raise ProjectError(
            f"no image of the {config.domain} has labels or proposals yet; propose some first "
            "(Labels page, or `histobridge propose`)"
        )
    return records


def _written_before(run: Run) -> list[dict[str, Any]]:
    """What this run has published before it was stopped and is still there; resumed, it does the rest."""
    path = run.path / WRITTEN
    entries: list[dict[str, Any]] = read_json(path) if path.exists() else []
    return [entry for entry in entries if all(Path(file).exists() for file in entry["files"])]


def _begun_before(run: Run) -> set[tuple[str, str]]:
    """Return the part that this run was writing when it was stopped: what there is of it is its own."""
    path = run.path / BEGUN
    return {tuple(read_json(path))} if path.exists() else set()


def _prepare(out: Path, project: Project, config: ExportConfig, parts: list[tuple[ImageRecord, str]]) -> None:
    """Make the folder, clear up after dead exports, refuse names in use, write the class table."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder to export to")
    try:
        out.mkdir(parents=True, exist_ok=True)
        recover(out)
    except OSError as error:
        raise InputError(f"out: {out} cannot be written ({why(error)}); give another folder") from error
    finals = [out / name for record, form in parts for name in NAMES[form](record.id)]
    twice = [final for final, count in Counter(finals).items() if count > 1]
    if twice:
        raise InputError(f"two images would both be written to {twice[0].name}; export them to folders of their own")
    used = [final for final in finals if final.exists()]
    if used and not config.replace:
        raise taken(used[0])
    if set(config.formats) & {"png", "tiff"}:
        table = {
            "classes": [spec.model_dump(mode="json") for spec in project.classes],
            "states": {"0": "model", "1": "accepted", "2": "corrected", "3": "ignore"},
            "unlabelled": IGNORE,
        }
        path = out / CLASS_TABLE
        if path.exists() and not config.replace and read_json(path) != table:
            raise taken(path)
        write_json(path, table)


def _staged(
    staging: Generator[float, None, FinalLabels], record: ImageRecord, part: tuple[int, int]
) -> Job[FinalLabels]:
    """Merge labels and proposal, with progress as the first fifth of part ``i`` of ``n``."""
    while True:
        try:
            done = next(staging)
        except StopIteration as stop:
            labels: FinalLabels = stop.value
            return labels
        yield Progress(round(1000 * (part[0] + 0.2 * done)), 1000 * part[1], f"merging the labels of {record.id}")


def _notes(record: ImageRecord, labels: FinalLabels, config: ExportConfig) -> Iterator[str]:
    if labels.fibres is None:
        most = f"{FIBRE_PIXELS / 1e6:.0f} million pixels"
        yield f"{record.id}: no fibres and no table of them, since the image has more than {most}"
    if record.pixel_size_um is None:
        yield f"{record.id}: exported without pixel size, since none is known"
    if config.reviewed_only:
        if labels.reviewed_fraction == 0:
            yield f"{record.id}: nobody has reviewed any of it, so all is unlabelled"
    elif not labels.proposal_run and labels.reviewed_fraction < 1:
        yield f"{record.id}: {1 - labels.reviewed_fraction:.1%} neither reviewed nor proposed; background there"


def _entry(record: ImageRecord, name: str, files: list[Path], labels: FinalLabels) -> dict[str, Any]:
    return {
        "image": record.id,
        "format": name,
        "path": str(files[0]),
        "files": [str(file) for file in files],
        "identical": True,
        "reviewed_fraction": labels.reviewed_fraction,
    }
