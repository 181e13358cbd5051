"""How a target model came to be: the fine-tunings it has gone through."""

from collections.abc import Iterator

from histobridge.core.project import Project
from histobridge.core.pseudo import model_folder
from histobridge.core.runs import Run
from histobridge.core.segment.model import load_card


def tunings(project: Project, run: Run) -> Iterator[Run]:
    """Fine-tunings that the target model of a run has gone through, the newest first.

    The route `model` copies a model: the card then still names the run that trained it.

    Parameters
    ----------
    project : Project
    run : Run
        Of the verb `propose` or `finetune`.

    Yields
    ------
    Run
        As long as the folders are there.

    Raises
    ------
    ProjectError
        If the run made no model for the target.
    """
    trained_by = load_card(model_folder(project, run.id)).run
    while (made := _found(project, trained_by)) is not None and made.verb == "finetune":
        yield made
        start = _found(project, str(made.state().result.get("model", "")))
        trained_by = load_card(start.path).run if start is not None else ""


def untuned(project: Project, run: Run) -> Run:
    """Return the run whose model stood before all fine-tuning, as far back as folders are there.

    Parameters
    ----------
    project : Project
    run : Run
        Of the verb `propose` or `finetune`.

    Returns
    -------
    Run
        `run` itself if its model was never fine-tuned.

    Raises
    ------
    ProjectError
        If the run made no model for the target.
    """
    for tuning in tunings(project, run):
        run = _found(project, str(tuning.state().result.get("model", ""))) or run
    return run


def _found(project: Project, run_id: str) -> Run | None:
    """One run by its id, if its folder is there."""
    there = bool(run_id) and (project.path / "runs" / run_id / "run.json").exists()
    return project.run(run_id) if there else None
