"""The verbs that look after a project: new, set, status."""

import argparse
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from histobridge.cli.output import Outcome, table
from histobridge.cli.promotion import model_rows
from histobridge.cli.taking_over import opened, take_over_option
from histobridge.core.config import Domain
from histobridge.core.errors import InputError, wrong_fields
from histobridge.core.manifest import MYELINATED_FIBRE, ClassSpec, ImageRecord, RunKind
from histobridge.core.project import Project
from histobridge.core.runs import Run

SHOWN_IDS = 40
WORDS: dict[RunKind, str] = {
    "segmenter": "segmenter in use",
    "matching": "matching in use",
    "translator": "latest translator (used where `propose --translator` names it)",
    "proposals": "proposals in use",
    "target_segmenter": "target segmenter in use",
}


def new_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `new`."""
    parser.add_argument("project", metavar="PROJECT", help="Folder to make; it must not exist or be empty.")
    parser.add_argument("--name", default="", metavar="TEXT", help="Shown in the window. Default: the folder's name.")
    parser.add_argument(
        "--classes",
        default="",
        metavar="FILE",
        help="JSON list of classes, each with name, value (1 to 254), color (#rrggbb), and perhaps inside (the class "
        "around it) and domains. Default: axon 1 inside myelin 2.",
    )


def new(namespace: argparse.Namespace) -> Outcome:
    """Make a project folder."""
    classes = read_classes(Path(namespace.classes)) if namespace.classes else MYELINATED_FIBRE
    project = Project.create(Path(namespace.project).expanduser(), namespace.name, classes)
    values: dict[str, Any] = {"verb": "new", "project": str(project.path), "name": project.name}
    values["classes"] = [spec.model_dump() for spec in project.classes]
    names = ", ".join(f"{spec.name} {spec.value}" for spec in project.classes)
    return Outcome(
        values, [f"made {project.path} with classes {names}", f"next: histobridge add {project.path} IMAGE…"]
    )


def read_classes(path: Path) -> tuple[ClassSpec, ...]:
    """Read a JSON list of classes, as `--classes` names it."""
    try:
        return TypeAdapter(tuple[ClassSpec, ...]).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"--classes {path}: {error.strerror}; name a JSON file") from error
    except ValidationError as error:
        raise InputError(f"--classes {path}: {wrong_fields(error)}") from error
    except ValueError as error:
        raise InputError(f"--classes {path} is not JSON: {error}") from error


def set_fields_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `set`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="Id of an image, as `histobridge status` shows it.")
    parser.add_argument("--pixel-size-um", metavar="X", help="Pixel size in µm.")
    parser.add_argument(
        "--zoom", metavar="X", help="Working pixels per pixel of the image, instead of the matching's; 'auto' again."
    )
    parser.add_argument("--subject", metavar="TEXT", help="Animal or patient; splits never cut through a subject.")
    parser.add_argument("--section", metavar="TEXT", help="Section or field of the subject.")
    take_over_option(parser)


def set_fields(namespace: argparse.Namespace) -> Outcome:
    """Change what is known of images; all of them or none."""
    names = ("pixel_size_um", "subject", "section")
    changes = {name: getattr(namespace, name) for name in names if getattr(namespace, name) is not None}
    if namespace.zoom is not None:
        changes["zoom_override"] = None if namespace.zoom == "auto" else namespace.zoom
    if not changes:
        raise InputError("set needs a field to change: --pixel-size-um, --zoom, --subject or --section")
    if "pixel_size_um" in changes:
        changes["pixel_size_from"] = "user"
    project = opened(namespace)
    with project.editing("histobridge set"):
        project.update_images(namespace.images, **changes)
    values = {"verb": "set", "project": str(project.path), "images": namespace.images, "changed": changes}
    return Outcome(values, [f"changed {', '.join(namespace.images)}"])


def status_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `status`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")


def status(namespace: argparse.Namespace) -> Outcome:
    """Say where a project stands: images, labels, who edits, runs."""
    project = Project.open(Path(namespace.project))
    images = [_image_row(project, record) for record in project.images()]
    runs = [_run_row(run) for run in project.runs()]
    active = {kind: run.id for kind in get_args(RunKind) if (run := project.active(kind))}
    holder = project.lock.holder()
    editor = str(holder) if holder and not holder.stale else None
    domains = {domain: _domain_row(images, domain) for domain in get_args(Domain)}
    values: dict[str, Any] = {"verb": "status", "project": str(project.path), "name": project.name, "editor": editor}
    models = model_rows(project)
    damaged = project.damaged_runs()
    values |= {"domains": domains, "images": images, "runs": runs, "models": models, "active": active}
    values["damaged"] = damaged
    lines = [f"{project.name} ({project.path})"]
    lines += [f"being edited by {editor}"] if editor else []
    lines += ["", *table({"domain": name, **row} for name, row in domains.items())]
    if sizeless := [row["id"] for row in images if row["pixel_size_um"] is None]:
        lines += ["", f"no pixel size: {', '.join(sizeless)}"]
        lines += [f"  -> histobridge set {project.path} IMAGE… --pixel-size-um X"]
    if images:
        more = f" and {len(images) - SHOWN_IDS} more (all with --json)" if len(images) > SHOWN_IDS else ""
        lines += ["", f"images: {', '.join(row['id'] for row in images[:SHOWN_IDS])}{more}"]
    shown = ("run", "status", "done", "started", "message")
    lines += ["", *table({name: row[name] for name in shown} for row in runs)] if runs else ["", "no runs yet"]
    lines += ["", *damaged.values()] if damaged else []
    scores = [{name: value for name, value in row.items() if name != "reason"} for row in models]
    lines += ["", *table(scores)] if models else []
    lines += ["", *(f"{WORDS[kind]}: {run}" for kind, run in active.items())] if active else []
    return Outcome(values, lines)


def _image_row(project: Project, record: ImageRecord) -> dict[str, Any]:
    labels = project.labels(record.id)
    return {
        "id": record.id,
        "domain": record.domain,
        "subject": record.subject,
        "shape": list(record.shape),
        "pixel_size_um": record.pixel_size_um,
        "labelled": labels.exists,
        "reviewed": labels.reviewed_fraction() if labels.exists else 0.0,
    }


def _domain_row(images: list[dict[str, Any]], domain: str) -> dict[str, Any]:
    """Counts of one domain; the reviewed share is by pixels."""
    rows = [row for row in images if row["domain"] == domain]
    pixels = [row["shape"][0] * row["shape"][1] for row in rows]
    reviewed = sum(row["reviewed"] * size for row, size in zip(rows, pixels, strict=True))
    return {
        "images": len(rows),
        "subjects": len(Counter(row["subject"] for row in rows)),
        "labelled": sum(row["labelled"] for row in rows),
        "no pixel size": sum(row["pixel_size_um"] is None for row in rows),
        "reviewed": reviewed / sum(pixels) if rows else 0.0,
    }


def _run_row(run: Run) -> dict[str, Any]:
    state = run.state()
    share = 1.0 if state.status == "finished" else state.step / state.total if state.total else 0.0
    started = datetime.fromtimestamp(state.started).isoformat(" ", "minutes") if state.started else "-"
    message = state.message.splitlines()[0] if state.message else ""
    row: dict[str, Any] = {"run": run.id, "verb": run.verb, "status": state.status, "done": f"{share:.0%}"}
    return row | {"started": started, "message": message, "step": state.step, "total": state.total}
