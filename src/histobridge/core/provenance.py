"""Where an exported mask comes from: versions, runs, hashes, settings."""

from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from histobridge import __version__
from histobridge.core.errors import ProjectError
from histobridge.core.export_staging import FinalLabels, sha256_of_pixels
from histobridge.core.files import read_json
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.runs import Run

ROUTES = ("tutorship", "adaptation")
"""Folders of the models of a fused proposal."""


def provenance(project: Project, run: Run, record: ImageRecord, labels: FinalLabels) -> dict[str, Any]:
    """Describe an export of one image.

    Parameters
    ----------
    project : Project
    run : Run
        The export.
    record : ImageRecord
    labels : FinalLabels

    Returns
    -------
    dict
        JSON: ``version``, ``date``, ``project``, ``image``, ``classes``, ``reviewed_fraction``, ``sha256`` of the
        image's pixels and its original file, of the exported and the proposed classes, of the model (of both where two
        were fused) and of its translator, ``config`` of the export, ``runs`` that led to the proposal with their
        settings.
    """
    hashes = {
        "image": sha256_of_pixels(project.pixels(record.id).levels[0]),
        "file": record.sha256,
        "classes": sha256_of_pixels(labels.classes),
        "proposal": labels.proposal_sha256,
        **_model_hashes(project, labels.proposal_run),
    }
    return {
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": project.name,
        "image": record.model_dump(mode="json"),
        "classes": [spec.model_dump(mode="json") for spec in project.classes],
        "states": {"0": "model", "1": "accepted", "2": "corrected", "3": "ignore"},
        "reviewed_fraction": labels.reviewed_fraction,
        "sha256": {name: value for name, value in hashes.items() if value},
        "run": run.id,
        "config": run.config,
        "proposal_run": labels.proposal_run,
        "runs": lineage(project, labels.proposal_run),
    }


def lineage(project: Project, run_id: str) -> dict[str, Any]:
    """Return verb and config of a run and of every run that its config, result or inputs name, and so on back."""
    found: dict[str, Any] = {}
    waiting = [run_id] if run_id else []
    while waiting:
        name = waiting.pop()
        try:
            run = project.run(name)
        except ProjectError:
            continue
        if name not in found:
            found[name] = {"verb": run.verb, "config": run.config}
            told = (run.config, run.state().result, _inputs(run))
            waiting += [text for text in _texts(list(told)) if _is_run(project, text)]
    return found


def _inputs(run: Run) -> dict[str, str]:
    """Runs that a run built on by its own choice; not the one that it was only compared with."""
    path = run.path / "inputs.json"
    settled = read_json(path) if path.exists() else {}
    return {name: value for name, value in settled.items() if name != "in_use"}


def _is_run(project: Project, text: str) -> bool:
    known = len(text) > len("20000101-000000") and "/" not in text
    return known and (project.path / "runs" / text / "run.json").exists()


def _texts(value: Any) -> list[str]:
    """All strings in nested JSON."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def _model_hashes(project: Project, run_id: str) -> dict[str, str]:
    """Hash the networks that proposed: the model, or both that were fused, and the translator they look through."""
    try:
        run = project.run(run_id)
    except ProjectError:
        return {}
    fused = run.state().result.get("route", run.config.get("route")) == "fused"
    folders = {f"model-{route}": run.path / route for route in ROUTES} if fused else {"model": run.path}
    hashes = {name: _sha256(folder / "model.safetensors") for name, folder in folders.items()}
    for folder in folders.values():
        view = read_json(folder / "view.json") if (folder / "view.json").exists() else {}
        if _is_run(project, view.get("translator", "")):
            hashes["translator"] = _sha256(project.run(view["translator"]).path / "translator.safetensors")
    return hashes


def _sha256(weights: Path) -> str:
    """Hash a file; empty if there is none."""
    if not weights.exists():
        return ""
    with weights.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
