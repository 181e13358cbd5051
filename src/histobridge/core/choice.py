"""Which route was chosen without labels of the target, and why."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from histobridge.core.config import Config
from histobridge.core.errors import InputError
from histobridge.core.files import write_json
from histobridge.core.runs import Run
from histobridge.core.saved import read_saved

FILE = "choice.json"
FUSED = "fused"

MARGIN = 0.05
"""Lead of the mean evidence below which routes are not told apart; seeds and crops move it by about as much."""
AGREE = 0.9
"""Dice between two predictions from which on they differ too little for a choice to matter."""
RULED_OUT = 0.5
"""A route that lies so far below the best one in any one measure is clearly implausible."""
POOR = 0.5
"""Mean evidence below which even the best route deserves a warning."""


class Evidence(Config):
    """What speaks for one route; every number is in [0, 1], more is better. None of them needs labels of the target."""

    consistency: float | None = Field(default=None, ge=0, le=1)
    """Mean Dice with the true labels on source images brought to the look of the target. Optimistic, as the networks
    have learned these images: a low value rules a route out, a high one is no reason for it."""

    reverse: float | None = Field(default=None, ge=0, le=1)
    """Mean Dice with the true source labels of a small network that learned from what the route proposes for the
    target; none: left out."""

    enclosure: float | None = Field(default=None, ge=0, le=1)
    """How closed the rings are that the outer class makes around the inner one; none: no class lies inside another."""

    size: float | None = Field(default=None, ge=0, le=1)
    """Overlap of the distributions of object diameters in the proposals and in the source labels."""

    g_ratio: float | None = Field(default=None, ge=0, le=1)
    """Plausibility of the g-ratios beside those of the source labels; none: no class lies inside another."""

    total: float = Field(default=0.0, ge=0, le=1)
    """Mean of the others but for consistency: what routes are compared by."""


WORDS = {
    "consistency": "agreement with the source labels in the look of the target",
    "reverse": "source labels found again by a network that learned from the proposals",
    "enclosure": "closed rings",
    "size": "object sizes as in the source labels",
    "g_ratio": "g-ratios as in the source labels",
}
"""The measures in the user's words."""

COMPARED = ("reverse", "enclosure", "size", "g_ratio")


class Choice(Config):
    """The route of one run of `propose` that was told to choose; saved as ``choice.json``."""

    chosen: str
    """`tutorship`, `adaptation`, or `fused` where the routes could not be told apart."""

    reason: str
    """Why, in the user's words."""

    tie: bool
    """Whether the routes could not be told apart."""

    agreement: float = Field(ge=0, le=1)
    """Mean Dice between what the routes predict on the target."""

    evidence: dict[str, Evidence]
    """By route."""


def decide(evidence: Mapping[str, Evidence], agreement: float) -> Choice:
    """Choose between routes.

    A route is ruled out where one of its measures lies more than `RULED_OUT` below the best route's. Of those left, the
    one with the highest mean of reverse validation, enclosure, sizes and g-ratios is chosen if it leads by `MARGIN` and
    the predictions agree by less than `AGREE`; else they are fused.

    Parameters
    ----------
    evidence : mapping of str to Evidence
        By route, at least one; totals are filled in, over the measures that all routes have.
    agreement : float
        Mean Dice between the predictions of the routes on the target, in [0, 1].

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        If there is no route.
    """
    if not evidence:
        raise InputError("there is no route to choose from; expected the evidence of at least one")
    names = [name for name in COMPARED if all(getattr(found, name) is not None for found in evidence.values())]
    weighed = {route: found.model_copy(update={"total": _total(found, names)}) for route, found in evidence.items()}
    flaws = {route: _flaw(route, weighed) for route in weighed}
    left = sorted((route for route in weighed if not flaws[route]), key=lambda route: -weighed[route].total)
    flawed = "; ".join(flaw for flaw in flaws.values() if flaw)
    if not left:
        chosen, reason = FUSED, f"Every route has a flaw: {flawed}. Both, fused."
    elif len(weighed) == 1:
        chosen, reason = left[0], f"{left[0].capitalize()}: there was no other route to compare it with."
    elif len(left) == 1:
        chosen, reason = left[0], f"{left[0].capitalize()}: {flawed}."
    elif agreement >= AGREE:
        chosen, reason = FUSED, f"The routes agree (Dice {agreement:.2f}), so nothing is to be chosen: both, fused."
    elif (lead := weighed[left[0]].total - weighed[left[1]].total) < MARGIN:
        chosen = FUSED
        reason = f"The routes do not differ enough to tell which is better ({lead:.2f}): both, fused."
    else:
        chosen, reason = left[0], f"{left[0].capitalize()} is more plausible: {_leads(weighed, left)}."
    if max(found.total for found in weighed.values()) < POOR:
        reason += (
            " No route looks much like the source labels; check the proposals, and the matching, before using them."
        )
    return Choice(chosen=chosen, reason=reason, tie=chosen == FUSED, agreement=agreement, evidence=weighed)


def read_choice(run: Run) -> Choice | None:
    """Read what a run of `propose` chose.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Choice or None
        None if it had nothing to choose, or has not chosen yet.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    path = run.path / FILE
    return read_saved(path, Choice, "propose labels again") if path.exists() else None


def write_choice(run: Run, choice: Choice) -> None:
    """Save a choice in the folder of its run."""
    write_json(run.path / FILE, choice.model_dump(mode="json"))


def _total(found: Evidence, names: Sequence[str]) -> float:
    values: list[float] = [getattr(found, name) for name in names]
    return sum(values) / max(1, len(values))


def _flaw(route: str, evidence: Mapping[str, Evidence]) -> str:
    """Say what rules a route out; empty if nothing does."""
    for name, words in WORDS.items():
        values = {other: value for other, found in evidence.items() if (value := getattr(found, name)) is not None}
        best = max(values, key=values.__getitem__, default="")
        if route in values and values[best] - values[route] > RULED_OUT:
            return f"{route} is far worse in {words} ({values[route]:.2f} against {values[best]:.2f} of {best})"
    return ""


def _leads(evidence: Mapping[str, Evidence], ranked: list[str]) -> str:
    """Name the two measures in which the first of the ranked routes leads the second most."""
    first, second = (evidence[route] for route in ranked[:2])
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in COMPARED}
    known = {name: pair for name, pair in pairs.items() if None not in pair and pair[0] > pair[1]}
    largest = sorted(known, key=lambda name: known[name][1] - known[name][0])[:2]
    return ", ".join(f"{WORDS[name]} {known[name][0]:.2f} against {known[name][1]:.2f}" for name in largest)
