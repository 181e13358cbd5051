"""Learn from corrections: the job `finetune`."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from histobridge.core.config import FineTuneConfig
from histobridge.core.errors import ProjectError
from histobridge.core.files import write_json
from histobridge.core.gate import FILE as GATE_FILE
from histobridge.core.gate import Gate, Key, read_gate
from histobridge.core.holdout import ReviewedTile, Split, earlier_splits, folds, settle_split, within
from histobridge.core.images.working import Window
from histobridge.core.job import Job, Progress, counted
from histobridge.core.project import Project
from histobridge.core.pseudo import model_folder
from histobridge.core.runs import Run
from histobridge.core.segment.exam import Counts, answers, questions, tile_scores
from histobridge.core.segment.lineage import tunings, untuned
from histobridge.core.segment.practice import Practice
from histobridge.core.segment.reviewed import Lesson, is_reviewed
from histobridge.core.target_model import TargetModel
from histobridge.core.verdict import judge

Part = list[tuple[ReviewedTile, Window]]


def finetune(project: Project, run: Run, config: FineTuneConfig) -> Job[dict[str, Any]]:
    """Fine-tune a proposing model on what has been reviewed, and judge it.

    Starts from the model of a proposing run, never from an earlier fine-tuning unless that is named, so that no drift
    builds up. Reviewed pixels train as they are, unreviewed ones where the proposal is confident, all others are
    ignored; a share of each batch replays the source. With few tiles the weights stay near their start.

    From the fifth reviewed tile on a fifth is held out, and the model is compared there with the one in use. With
    fewer, models made for the purpose, each trained in half of the steps on part of the tiles, are compared with the
    starting model on the other part. The job promotes nothing, see `gate.apply_gate`.

    Parameters
    ----------
    project : Project
    run : Run
        Gets the new model, ``split.json`` and ``gate.json``; the old models stay.
    config : FineTuneConfig

    Yields
    ------
    Progress
        After every optimizer step.

    Returns
    -------
    dict
        ``model`` started from, ``images`` and ``tiles`` learned from, ``reviewed_pixels``, number of tiles
        ``held_out``, ``verdict`` and ``reason``.

    Raises
    ------
    ProjectError
        If nothing has been reviewed, or there is no proposing model.
    """
    inputs = _settled(project, run, config)
    practice = Practice(project, inputs["model"], config, inputs["proposals"])
    yield Progress(0, config.steps, "collecting the corrections")
    reviewed = practice.reviewed
    if not reviewed:
        raise ProjectError("no target pixel has been reviewed yet; correct or accept a tile on the Review page first")
    split = settle_split(project, run, reviewed)
    lessons = _lessons(practice, reviewed, split)
    if not lessons:
        raise ProjectError("all that has been reviewed is held out to judge models by; review another tile")
    parts = _parts(project, lessons, split, inputs["model"]) if config.cross_validate else []
    net = deepcopy(practice.start.segmenter.net)
    yield from counted(practice.learn(net, lessons, run), "learning from corrections", (0, 1 + len(parts)))
    images = list(dict.fromkeys(lesson.tile.image for lesson in lessons))
    tuned = practice.model(net, run.id, images)
    tuned.save(run.path)
    if parts:
        gate = yield from _cross_validated(practice, lessons, parts)
    else:
        gate = _held_out(practice, tuned, _held_tiles(reviewed, split), _learned(project, run, split), inputs)
    gate = gate.model_copy(update={**split.model_dump(), "in_use": inputs["in_use"]})
    write_json(run.path / GATE_FILE, gate.model_dump(mode="json"))
    pixels = _reviewed_pixels(project, split)
    result = {"model": inputs["model"], "images": images, "tiles": len(lessons), "reviewed_pixels": pixels}
    return result | {"held_out": len(split.held_out), "verdict": gate.verdict, "reason": gate.reason}


def _settled(project: Project, run: Run, config: FineTuneConfig) -> dict[str, str]:
    """Which models and which proposals this run builds on; the same when it is resumed."""
    first = "propose labels on the Labels page first"
    base = project.run(config.model) if config.model else project.need("proposals", "", first)
    start = base if config.model else untuned(project, base)
    proposals, in_use = project.active("proposals"), project.active("target_segmenter")
    return run.settle(model=start.id, proposals=proposals.id if proposals else "", in_use=in_use.id if in_use else "")


def _lessons(practice: Practice, reviewed: Sequence[ReviewedTile], split: Split) -> list[Lesson]:
    """What the tiles that train teach, without the pixels they share with tiles that are held out."""
    hidden = _windows(practice.project, split.held_out)
    trained = {*split.trained, *split.begun}
    found = []
    for lesson in practice.lessons([tile for tile in reviewed if tile.key in trained]):
        for image_id, window in hidden:
            lesson = lesson.without(image_id, window)
        found.append(lesson)
    return [lesson for lesson in found if lesson.teaches]


def _parts(project: Project, lessons: Sequence[Lesson], split: Split, model: str) -> list[Part]:
    """What is left out in turn to score on; nothing if tiles are held out, or the starting model knows all of them."""
    if split.held_out:
        return []
    known = {key for tuning in tunings(project, project.run(model)) for key in _trained(tuning)}
    tiles = (lesson.tile for lesson in lessons)
    return folds([tile for tile in tiles if tile.decided and tile.key not in known])


def _trained(tuning: Run) -> tuple[Key, ...]:
    gate = read_gate(tuning)
    return (*gate.trained, *gate.begun) if gate else ()


def _cross_validated(practice: Practice, lessons: Sequence[Lesson], parts: Sequence[Part]) -> Job[Gate]:
    """Score what is learned without each part on that part."""
    before: Counts = {}
    after: Counts = {}
    for number, part in enumerate(parts, start=1):
        whole = {tile.key for tile, window in part if window == tile.window}
        cut = {tile.key for tile, _ in part}
        rest = [lesson for lesson in lessons if lesson.tile.key not in whole]
        for tile, window in part:
            rest = [lesson.without(tile.image, window) for lesson in rest]
        rest = [lesson for lesson in rest if lesson.teaches]
        if not rest:
            continue
        seen = [(lesson.tile.image, lesson.tile.window) for lesson in rest if lesson.tile.key not in cut]
        asked = questions(practice.project, part, seen)
        net = deepcopy(practice.start.segmenter.net)
        yield from counted(practice.learn(net, rest), "estimating the score", (number, 1 + len(parts)))
        for counts, model in ((before, practice.start), (after, practice.model(net))):
            for key, found in answers(model, asked).items():
                counts[key] = counts[key] + found if key in counts else found
    gate = judge(tile_scores(before, after), cross_validated=True)
    return gate.model_copy(update={"compared_with": practice.start_run})


def _held_out(
    practice: Practice,
    tuned: TargetModel,
    held: Sequence[ReviewedTile],
    learned: Sequence[tuple[str, Window]],
    inputs: dict[str, str],
) -> Gate:
    """Compare with the model in use, or the starting one if there is none, on the tiles that are held out."""
    asked = questions(practice.project, [(tile, tile.window) for tile in held], learned)
    other = practice.start
    if asked and inputs["in_use"]:
        folder = model_folder(practice.project, inputs["in_use"])
        other = TargetModel.load(practice.project, folder, practice.config.device)
    scores = tile_scores(answers(other, asked), answers(tuned, asked))
    others = {tile.subject for tile in practice.reviewed if tile not in held}
    gate = judge(scores, cross_validated=False, same_animals=any(tile.subject in others for tile in held))
    return gate.model_copy(update={"compared_with": inputs["in_use"] or inputs["model"]})


def _held_tiles(reviewed: Sequence[ReviewedTile], split: Split) -> list[ReviewedTile]:
    held = set(split.held_out)
    return [tile for tile in reviewed if tile.key in held]


def _learned(project: Project, run: Run, split: Split) -> list[tuple[str, Window]]:
    """Where any model of the project has learned from the user, without the tiles that judge now."""
    splits = (split, *earlier_splits(project, run))
    keys = {key for each in splits for key in (*each.trained, *each.begun)} - set(split.held_out)
    return _windows(project, sorted(keys))


def _windows(project: Project, keys: Sequence[Key]) -> list[tuple[str, Window]]:
    """Native windows of tiles, by image; of images that are still there."""
    grids = {record.id: project.tiles(record) for record in project.images("target")}
    return [(image, tile.window) for image, name in keys for tile in grids.get(image, ()) if tile.id == name]


def _reviewed_pixels(project: Project, split: Split) -> int:
    """How many reviewed pixels teach: each once, those of tiles that are held out not."""
    held = _windows(project, split.held_out)
    total = 0
    for image_id in sorted({image for image, _ in (*split.trained, *split.begun)}):
        store = project.labels(image_id)
        try:
            for place in store.corrections():
                counted_pixels = is_reviewed(store.read(place)[1])
                for image, window in held:
                    if image == image_id:
                        counted_pixels[within(window, place)] = False
                total += int(np.count_nonzero(counted_pixels))
        finally:
            store.close()
    return total
