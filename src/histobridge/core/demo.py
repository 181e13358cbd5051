"""The whole loop on a small synthetic sample, scored against its hidden truth."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from histobridge.core.config import (
    Config,
    ExportConfig,
    MatchConfig,
    ProposeConfig,
    SegmenterTraining,
    TrainSegmenterConfig,
    TrainTranslatorConfig,
)
from histobridge.core.contact_sheet import contact_sheet
from histobridge.core.errors import InputError
from histobridge.core.job import Job, Progress, counted
from histobridge.core.jobs import JOBS
from histobridge.core.metrics import dice
from histobridge.core.perform import performing
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run
from histobridge.core.sample import make_sample_project, read_truth

SEGMENTER = SegmenterTraining(preset="tiny", steps=400)
TRANSLATOR_STEPS = 160
TRANSLATOR_CROP = 64
FIELDS = 4
SIDE = 256


def run_demo(out: Path) -> Job[dict[str, Any]]:
    """Make the sample, learn, match, translate, propose by every route, score, export.

    Parameters
    ----------
    out : Path
        Folder for the project, the contact sheet and the export; must not exist or be empty.

    Yields
    ------
    Progress

    Returns
    -------
    dict
        ``table`` (one row a route: Dice of each class against the hidden truth, seconds), ``files`` and ``project``.

    Raises
    ------
    InputError
        If `out` has something in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder; choose another with --out")
    yield Progress(0, 1, "drawing the sample")
    project = make_sample_project(out / "project", fields=FIELDS, size=SIDE)
    steps = _Steps(project)
    learned, learning = yield from steps.perform("train-segmenter", TrainSegmenterConfig(training=SEGMENTER))
    matched, matching = yield from steps.perform("match", MatchConfig(segmenter=learned.id))
    config = TrainTranslatorConfig(
        method="cyclegan", matching=matched.id, steps=TRANSLATOR_STEPS, crop_px=TRANSLATOR_CROP
    )
    translator, translating = yield from steps.perform("train-translator", config)
    rows, runs = [], {}
    for route, name in _ROUTES:
        translator_id = translator.id if name == "cyclegan" else name
        config_of_route = ProposeConfig(
            route=route,
            translator=translator_id,
            segmenter=learned.id,
            matching=matched.id,
            training=SEGMENTER,
            insist=True,  # routes are compared, the bad ones too
        )
        run, seconds = yield from steps.perform("propose", config_of_route)
        seconds += learning + matching + (translating if name == "cyclegan" else 0)
        runs[route, name] = run
        rows.append({"route": route, "translator": name, **_scores(project, run), "seconds": round(seconds)})
    # Which route is best cannot be known without the truth; tutorship by the learned translator is what we show.
    shown = runs["tutorship", "cyclegan"]
    with project.editing("demo"):
        project.pin("proposals", shown.id)
    sheet = contact_sheet(project, translator.id, shown.id, out / "contact-sheet.png")
    exported, _ = yield from steps.perform("export", ExportConfig(out=out / "export"))
    yield Progress(1, 1, "done")
    return {
        "table": rows,
        "files": {"contact sheet": str(sheet), "OME-Zarr": str(out / "export")},
        "written": exported.state().result.get("written", []),
        "project": str(project.path),
    }


_ROUTES: tuple[tuple[Any, str], ...] = (
    ("adaptation", "identity"),
    ("adaptation", "instant"),
    ("adaptation", "cyclegan"),
    ("tutorship", "instant"),
    ("tutorship", "cyclegan"),
)


class _Steps:
    """Performs one run after the other, each with its share of one progress bar."""

    COUNT = 4 + len(_ROUTES)

    def __init__(self, project: Project):
        self._project = project
        self._done = 0

    def perform(self, verb: str, config: Config) -> Job[tuple[Run, float]]:
        """Make and perform a run; returns it and the seconds it took."""
        run = self._project.create_run(verb, config)
        began = time.monotonic()
        yield from counted(performing(run), JOBS[verb].title, (self._done, self.COUNT))
        self._done += 1
        return run, time.monotonic() - began


def _scores(project: Project, run: Run) -> dict[str, float]:
    """Mean Dice of each class over the target images against the hidden truth."""
    whole = (slice(None), slice(None))
    pairs = [
        (read_proposal(project, run.id, record.id, whole)[0], read_truth(project, record.id))
        for record in project.images("target")
    ]
    return {
        spec.name: float(np.mean([dice(proposed, truth, spec.value) for proposed, truth in pairs]))
        for spec in project.classes
    }
