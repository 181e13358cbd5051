"""Keep translators that failed from making proposals; needs no torch."""

from histobridge.core.errors import ProjectError
from histobridge.core.project import Project
from histobridge.core.translate.quality.report import read_quality

UNTRAINED = ("identity", "instant")


def check_translator(project: Project, name: str, *, insist: bool) -> None:
    """Refuse a translator whose quality failed.

    Parameters
    ----------
    project : Project
    name : str
        ``identity``, ``instant``, or the run of a trained translator; one of which nothing was measured passes.
    insist : bool
        Let it pass anyway.

    Raises
    ------
    ProjectError
        If it failed and nobody insists; says why it failed and what to do.
    """
    if name in UNTRAINED or insist:
        return
    quality = read_quality(project.run(name).path)
    if quality is not None and quality.verdict == "failed":
        raise ProjectError(
            f"translator {name} failed its checks: {' '.join(quality.reasons)} Proposals would carry these mistakes;"
            " choose `instant`, train a translator with other settings or for longer, or set `insist` to use it anyway"
        )
