"""Where an exported mask comes from: versions, runs, hashes, settings."""

from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from histobridge import __version__
from histobridge.core.errors import ProjectError
from histobridge.core.export_staging import FinalLabels, sha256_of_pixels
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.runs import Run


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
        image's pixels and its original file, of the exported and the proposed classes and of the model, ``config`` of
        the export, ``runs`` that led to the proposal with their settings.
    """
    hashes = {
        "image": sha256_of_pixels(project.pixels(record.id).levels[0]),
        "file": record.sha256,
        "classes": sha256_of_pixels(labels.classes),
        "proposal": labels.proposal_sha256,
        "model": _model_sha256(project, labels.proposal_run),
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
    """Return verb and config of a run and of every run named in its config or result, and so on back."""
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
            waiting += [text for text in (*_texts(run.config), *_texts(run.state().result)) if _is_run(project, text)]
    return found


def _is_run(project: Project, text: str) -> bool:
    known = len(text) > len("20000101-000000") and "/" not in text
    return known and (project.path / "runs" / text / "run.json").exists()


def _texts(value: Any) -> list[str]:
    """All strings in nested JSON."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def _model_sha256(project: Project, run_id: str) -> str:
    """Hash the network that proposed; empty if there is none."""
    weights: Path = project.path / "runs" / run_id / "model.safetensors"
    if not run_id or not weights.exists():
        return ""
    with weights.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
