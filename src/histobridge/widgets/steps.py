"""The seven steps of the way: which are done, and which need a look."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from histobridge.core.files import read_json
from histobridge.core.journal import Journal
from histobridge.core.known_sizes import changed_size
from histobridge.core.manifest import label_folder
from histobridge.core.project import Project
from histobridge.core.runs import RunState

StepState = Literal["open", "done", "attention"]
TRANSLATORS = ("train-translator", "import-translator")
"""Jobs that make a translator."""
SIGNS: dict[str, str] = {"done": "●", "current": "◉", "open": "○", "attention": "▲"}


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the dock and the jobs that belong to it."""

    key: str
    title: str
    page: str
    verbs: tuple[str, ...] = ()


STEPS: tuple[Step, ...] = (
    Step("images", "Images", "histobridge.widgets.images_page:ImagesPage", ("add",)),
    Step("match", "Match", "histobridge.widgets.match_page:MatchPage", ("train-segmenter", "match")),
    Step("translate", "Translate", "histobridge.widgets.translate_page:TranslatePage", ("train-translator",)),
    Step("labels", "Labels", "histobridge.widgets.labels_page:LabelsPage", ("propose",)),
    Step("review", "Review", "histobridge.widgets.review_page:ReviewPage"),
    Step("learn", "Learn", "histobridge.widgets.learn_page:LearnPage", ("finetune",)),
    Step("export", "Export", "histobridge.widgets.export_page:ExportPage", ("export",)),
)


def step_states(project: Project, runs: Mapping[str, tuple[str, RunState]]) -> dict[str, StepState]:
    """Say of every step whether it is open, done or needs a look.

    Parameters
    ----------
    project : Project
    runs : mapping
        Run id -> (verb, state), in the order the runs were made.
    """
    finished = {verb for verb, state in runs.values() if state.status == "finished"}
    newest = {verb: state.status for verb, state in runs.values()}
    done = {
        "images": bool(_labelled(project) and project.images("target")),
        "match": "match" in finished,
        "translate": bool(finished & {*TRANSLATORS, "propose"}),
        "labels": "propose" in finished,
        "review": any(_reviewed(label_folder(project.path, record)) for record in project.images("target")),
        "learn": "finetune" in finished,
        "export": "export" in finished,
    }
    states: dict[str, StepState] = {}
    for step in STEPS:
        trouble = any(newest.get(verb) in ("failed", "interrupted") for verb in step.verbs)
        if step.key == "images":
            trouble = trouble or any(record.pixel_size_um is None for record in project.images())
        if step.key == "match":
            trouble = trouble or _rescaled(project, runs)
        states[step.key] = "attention" if trouble else "done" if done[step.key] else "open"
    return states


def _rescaled(project: Project, runs: Mapping[str, tuple[str, RunState]]) -> bool:
    """Whether an image has another pixel size by now than when the matching in use was made."""
    made = [run for run, (verb, state) in runs.items() if verb == "match" and state.status == "finished"]
    used = project.manifest.active.get("matching") or (made[-1] if made else "")
    file = project.path / "runs" / used / "matching.json"
    try:
        known = _matched_sizes(file, file.stat().st_mtime_ns)
    except (OSError, ValueError):  # the page Match tells of it
        return False
    return bool(changed_size(project, known))


@lru_cache(maxsize=8)
def _matched_sizes(file: Path, stamp: int) -> dict[str, float]:
    """Pixel sizes in a matching, as it was at `stamp`."""
    sizes: dict[str, float] = read_json(file).get("pixel_sizes_um", {})
    return sizes


def _reviewed(folder: Path) -> bool:
    """Whether anything in the labels of an image was decided by the user."""
    try:
        stamp = (folder / "journal.log").stat().st_mtime_ns
    except FileNotFoundError:
        return (folder / "snapshot.json").exists()
    return _any_edit(folder / "journal.log", stamp)


@lru_cache(maxsize=4096)
def _any_edit(journal: Path, stamp: int) -> bool:
    """Whether a journal, as it was at `stamp`, holds more than events without pixels."""
    return any(entry.pixels for entry in Journal(journal).entries)


def _labelled(project: Project) -> bool:
    return any(label_folder(project.path, record).exists() for record in project.images("source"))
