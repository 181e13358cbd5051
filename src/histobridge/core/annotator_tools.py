"""A simulated annotator that has the tools of the Review page besides the brush. All of its results are simulated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat

from histobridge.core.annotator import AnnotatorConfig, Classes, Effort, Error, Session
from histobridge.core.annotator_plans import Diagnosis, Step, width_of
from histobridge.core.corrections import TileEdit
from histobridge.core.manifest import IGNORE
from histobridge.core.states import IGNORED
from histobridge.core.tiles import Window
from histobridge.core.tools.result import ToolError, ToolResult, View

TOOLS = {
    "delete_fibre": "delete",
    "fill_inner": "fill",
    "close_ring": "ring",
    "grow_sheath": "sheath",
    "cut": "cut",
    "merge": "merge",
    "smooth": "smooth",
    "thicken_axon": "outline",
    "thin_axon": "outline",
    "thicken_sheath": "outline",
    "thin_sheath": "outline",
    "snap_outline": "snap_outline",
}
"""Tools the annotator knows -> their modules in `core.tools`."""


class ToolHabits(AnnotatorConfig):
    """How the annotator uses tools; the defaults are assumptions that treat a click as the press of a brush."""

    seconds_per_tool: NonNegativeFloat = 0.5
    """Simulated seconds to see what is wrong and choose a tool; as for another class, it is one key."""

    seconds_per_click: NonNegativeFloat = 0.8
    """Simulated seconds to aim and click."""

    seconds_per_undo: NonNegativeFloat = 1.0
    """Simulated seconds to see that a tool made it worse and to take that back."""

    outlines: bool = False
    """Move whole outlines that are off; off, as that saved this annotator neither strokes nor seconds."""

    worse: float = Field(0.0, ge=0, le=1)
    """Share of the pixels a tool changed by which it may make things worse without being taken back."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the tools need to know of a tile.

    Parameters
    ----------
    inner, outer : int
        Values of the enclosed and the enclosing class; 0 if no class lies inside another.
    image : ndarray (Y, X), optional
        Native grey values of the tile.
    """

    inner: int = 0
    outer: int = 0
    image: NDArray[np.uint8 | np.uint16] | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What it has cost to come to a Dice, simulated.

    Parameters
    ----------
    effort : Effort
        A tool counts its clicks, and a cut its stroke.
    used : dict of str to int
        Tools that made it better, and how often.
    undone, refused : int
        How often a tool made it worse and was taken back, and how often one changed nothing.
    """

    effort: Effort
    used: dict[str, int] = field(default_factory=dict)
    undone: int = 0
    refused: int = 0


def correct_towards(
    edit: TileEdit,
    truth: Classes,
    goals: Sequence[float],
    config: ToolHabits | None = None,
    toolbox: Toolbox | None = None,
) -> tuple[Course, ...]:
    """Correct a tile, the largest errors first, until the highest of some goals is reached, and accept it.

    Without a toolbox every goal costs what `correct_tile` with that `target_dice` costs. With one, what is seen to be
    wrong is first tried to be mended by a tool if that takes less time than the brush: a false fibre is deleted, an
    empty ring filled, an open one closed first, a bare axon given a sheath, what has run together by a narrow bridge
    cut, what is parted by a narrow gap merged, a rough outline smoothed, and, as a habit, one that is off moved. A tool
    whose result is worse than what was before is taken back, and not tried again there. The annotator knows the truth
    of what it sees, but not what a tool will do.

    Parameters
    ----------
    edit : TileEdit
        Writable.
    truth : ndarray (Y, X) of uint8
        Class values; 255 unknown.
    goals : sequence of float
        Mean Dice of the tile, 0 to 1; at least one.
    config : ToolHabits, optional
        None: the defaults. Its `target_dice` does not count.
    toolbox : Toolbox, optional
        None: the annotator has the brush alone.

    Returns
    -------
    tuple of Course
        One for each goal, in their order; for goals never reached what was spent in vain.

    Raises
    ------
    ValueError
        If the truth has another shape than the tile.
    """
    if truth.shape != edit.tile.shape:
        raise ValueError(f"the truth is {truth.shape}, tile {edit.tile.id} is {edit.tile.shape}")
    config = (config or ToolHabits()).model_copy(update={"target_dice": max(goals)})
    session = _ToolSession(edit, truth, config, toolbox, goals)
    session.work()
    last = session.course()
    return tuple(session.passed.get(goal, last) for goal in goals)


class _ToolSession(Session):
    """An annotator with a brush and, given a toolbox, tools; notes what each goal has cost."""

    def __init__(
        self, edit: TileEdit, truth: Classes, config: ToolHabits, toolbox: Toolbox | None, goals: Sequence[float]
    ):
        super().__init__(edit, truth, config, np.random.default_rng(config.seed))
        self.habits, self.toolbox, self.goals = config, toolbox, goals
        self.passed: dict[float, Course] = {}
        self.used: dict[str, int] = {}
        self.undone = self.refused = 0
        pair = (toolbox.inner, toolbox.outer) if toolbox and toolbox.inner and toolbox.outer else ()
        self.diagnosis = Diagnosis(truth, pair, config.outlines)
        self.spoiled: set[tuple[str, int, int]] = set()

    def course(self) -> Course:
        return Course(self.effort(), dict(self.used), self.undone, self.refused)

    def satisfied(self) -> bool:
        dice = self.dice()
        for goal in self.goals:
            if goal not in self.passed and dice >= goal:
                self.passed[goal] = self.course()
        return len(self.passed) == len(set(self.goals))

    def ordered(self, seen: list[Error]) -> list[Error]:
        """A missing axon comes right before its sheath, which a tool may grow then."""
        seen = super().ordered(seen)
        if self.toolbox is None:
            return seen
        shown = self.edit.classes
        turns = [float(turn) for turn in range(len(seen))]
        for turn, sheath in enumerate(seen):
            if fibre := self.diagnosis.bare(shown, sheath):
                for later in range(turn + 1, len(seen)):
                    if self.diagnosis.is_axon(seen[later], fibre):
                        turns[later] = min(turns[later], turn - 0.5)
        return [seen[index] for index in np.argsort(turns, kind="stable")]

    def stroke(self, value: int, window: Window, part: NDArray[np.bool_]) -> None:
        """Mend an error by a tool if one is quicker, and what is left of it by the brush."""
        shown = self.edit.classes
        wanted = part & (shown[window] != value)
        if self.toolbox is not None and wanted.any() and self._mended((value, window, wanted)):
            wanted = part & (self.edit.classes[window] != value)
            if not wanted.any() or self.small(wanted) or self.satisfied():
                return
        super().stroke(value, window, part)

    def _mended(self, error: Error) -> bool:
        """Try the tools for an error; whether one has helped."""
        view = self._view()
        plan = self.diagnosis.plan(view, error, self.small(error[2]))
        if plan is None or self._seconds_of_tools(plan.steps) > self._seconds_of_brush(error[0], plan.mends):
            return False
        helped = False
        for step in plan.steps:
            y, x = (int(place) // 16 for place in step.points[0])
            if (step.tool, y, x) in self.spoiled:
                break
            if not self._used(step):
                self.spoiled.add((step.tool, y, x))
                break
            helped = True
        return helped

    def _used(self, step: Step) -> bool:
        """Use a tool; whether it made anything better."""
        clicks = 1 if step.tool == "cut" else len(step.points)
        self.presses += clicks
        self.strokes += step.tool == "cut"
        self.seconds += self.habits.seconds_per_tool + clicks * self.habits.seconds_per_click
        if step.tool == "cut":
            self.seconds += float(np.hypot(*np.diff(step.points, axis=0).T).sum()) / self.habits.speed_px_per_second
        before = self._wrong()
        try:
            result = self._result(step)
        except ToolError:
            self.refused += 1
            return False
        changed = self.edit.commit(
            np.where(result.classes == IGNORE, self.edit.classes, result.classes), result.near, owners=result.owners
        )
        if self._wrong() > before + self.habits.worse * changed:
            self.edit.undo()
            self.presses += 1
            self.seconds += self.habits.seconds_per_undo
            self.undone += 1
            return False
        self.changed += changed
        self.used[step.tool] = self.used.get(step.tool, 0) + 1
        # The tool took the place of the brush in the hand.
        self.holding = -1 if self.holding < 0 else IGNORE
        return True

    def _result(self, step: Step) -> ToolResult:
        function: Callable[..., ToolResult] = getattr(
            import_module(f"histobridge.core.tools.{TOOLS[step.tool]}"), step.tool
        )
        noise = self.rng.normal(0, self.config.boundary_noise_px, (len(step.points), 2))
        # Who aims at something small is careful.
        points = step.points + noise * min(1.0, step.room_px / 4)
        points = np.clip(np.rint(points), 0, np.array(self.truth.shape) - 1)
        if step.tool == "cut":
            return function(self._view(), points)
        return function(self._view(), *((int(y), int(x)) for y, x in points))

    def _view(self) -> View:
        assert self.toolbox is not None
        shown = self.edit.classes
        shown[self.edit.state == IGNORED] = IGNORE
        return View(shown, self.toolbox.image, self.toolbox.inner, self.toolbox.outer, owners=self.edit.owners)

    def _wrong(self) -> int:
        return int(np.count_nonzero((self.edit.classes != self.truth) & self.known))

    def _seconds_of_tools(self, steps: Sequence[Step]) -> float:
        clicks = sum(1 if step.tool == "cut" else len(step.points) for step in steps)
        return len(steps) * self.habits.seconds_per_tool + clicks * self.habits.seconds_per_click

    def _seconds_of_brush(self, value: int, mends: NDArray[np.bool_]) -> float:
        """What painting these pixels, (Y, X) of the tile, would take."""
        rows, columns = (np.flatnonzero(mends.any(axis=axis)) for axis in (1, 0))
        extent = self.config.stroke_extent_px
        strokes = int(np.prod([np.ceil((side[-1] + 1 - side[0]) / extent) for side in (rows, columns)]))
        way = np.count_nonzero(mends) / min(2 * self.config.brush_radius_px, width_of(mends))
        change = self.config.seconds_per_class_change if value != self.holding else 0.0
        return change + strokes * self.config.seconds_per_stroke + way / self.config.speed_px_per_second
