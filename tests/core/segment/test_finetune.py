import hashlib

import numpy as np
import pytest
import zarr
from safetensors.numpy import load_file

from histobridge.core.config import FineTuneConfig, ProposeConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.manifest import ClassSpec, image_folder
from histobridge.core.matching import load_matching, working_image
from histobridge.core.metrics import dice
from histobridge.core.perform import CancelledError, perform
from histobridge.core.proposals import proposal_folder
from histobridge.core.sample import read_truth
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import tile_grid

LEARN = FineTuneConfig(
    steps=60, batch_size=4, crop_px=64, device="cpu", cross_validate=False, single_tile_share=1, freeze_statistics=False
)
BRIEF = FineTuneConfig(steps=6, batch_size=2, crop_px=64, checkpoint_every=4, device="cpu", cross_validate=False)
VESSEL = ClassSpec(name="vessel", value=9, color="#123456", domains=("target",))


def review(loop, image_id, painted=None, *, accept=True, ignored=None, run=""):
    """Work on the one tile of an image as the Review page does."""
    with loop.project.editing():
        store = loop.project.labels(image_id)
        proposed = loop.proposed(run or loop.tutored, image_id)
        edit = TileEdit(store, tile_grid(proposed.shape)[0], proposed, run or loop.tutored)
        if painted is not None:
            edit.commit(painted)
        if ignored is not None:
            edit.ignore(ignored)
        if accept:
            edit.accept()
        store.close()


def predicted(loop, run, image_id):
    return TargetModel.load(loop.project, run.path).prediction(image_id, flips=True).labels(loop.whole)[0]


def mean_dice(loop, classes, image_id):
    truth = read_truth(loop.project, image_id)
    return float(np.mean([dice(classes, truth, value) for value in (1, 2)]))


def hashes(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_without_reviewed_pixels_the_user_is_told_what_to_do(loop):
    with pytest.raises(ProjectError, match=r"no target pixel has been reviewed yet; correct or accept a tile"):
        loop.run("finetune", BRIEF)
    review(loop, loop.targets[0], ignored=np.ones((192, 192), bool), accept=False)
    with pytest.raises(ProjectError, match="no target pixel has been reviewed yet"):
        loop.run("finetune", BRIEF)


def test_without_a_proposing_model_the_user_is_told_what_to_do(loop):
    with pytest.raises(ProjectError, match="made no model for the target; choose a run of propose or finetune"):
        loop.run("finetune", BRIEF.model_copy(update={"model": loop.learned}))


def test_a_stroke_in_each_tile_is_no_reason_to_go_further_than_with_one_tile(loop):
    for image_id in loop.targets:
        painted = loop.proposed(loop.tutored, image_id)
        painted[20:30, 20:30] = 1
        review(loop, image_id, painted, accept=False)
    run = loop.run("finetune", BRIEF.model_copy(update={"single_tile_share": 0.0}))
    start, tuned = (load_file(loop.project.run(name).path / "model.safetensors") for name in (loop.tutored, run.id))
    assert all(np.array_equal(start[name], weights) for name, weights in tuned.items() if "num_batches" not in name)


@pytest.mark.parametrize("route", ["tutored", pytest.param("adapted", marks=pytest.mark.slow)])
def test_corrections_are_learned_and_old_models_stay_as_they_were(loop, route):
    base, image_id = loop.project.run(getattr(loop, route)), loop.targets[1]
    with loop.project.editing():
        loop.project.pin("proposals", base.id)
    review(loop, image_id, read_truth(loop.project, image_id), run=base.id)
    before = [hashes(loop.project.run(run).path) for run in (loop.learned, loop.tutored, loop.adapted)]
    run = loop.run("finetune", LEARN)
    assert mean_dice(loop, predicted(loop, run, image_id), image_id) > loop.score(base, image_id) + 0.03
    assert [hashes(loop.project.run(run).path) for run in (loop.learned, loop.tutored, loop.adapted)] == before
    result = run.state().result
    assert (result["model"], result["images"], result["reviewed_pixels"]) == (base.id, [image_id], 192 * 192)
    tuned = TargetModel.load(loop.project, run.path)
    assert tuned.segmenter.card.run == run.id
    assert image_id in tuned.segmenter.card.trained_on
    assert tuned.view == TargetModel.load(loop.project, base.path).view


def test_a_tuned_model_proposes_once_it_is_promoted(loop):
    image_id = loop.targets[1]
    review(loop, image_id, read_truth(loop.project, image_id))
    tuned = loop.run("finetune", LEARN)
    with loop.project.editing():
        loop.project.pin("target_segmenter", tuned.id)
    proposed = loop.run("propose", ProposeConfig(route="model", images=(image_id,)))
    assert np.array_equal(loop.proposed(proposed, image_id), predicted(loop, tuned, image_id))
    assert loop.score(proposed, image_id) > loop.score(loop.tutored, image_id)
    again = loop.run("finetune", BRIEF.model_copy(update={"model": tuned.id}))
    assert again.state().result["model"] == tuned.id


def blocks(loop, image_id):
    """Slices of the working field in the middle of each of 3 x 3 blocks of 64 native pixels."""
    zoom = working_image(loop.project, image_id, load_matching(loop.project)).zoom
    middle = [slice(int((64 * i + 22) * zoom), int((64 * i + 42) * zoom)) for i in range(3)]
    return [[(rows, columns) for columns in middle] for rows in middle]


def native(row, column):
    return slice(64 * row, 64 * row + 64), slice(64 * column, 64 * column + 64)


def write_proposal(loop, image_id, classes, confidence):
    folder = proposal_folder(loop.project.run(loop.tutored).path, image_id)
    for name, values in (("classes", classes), ("confidence", confidence)):
        zarr.open_array(folder / name, mode="r+")[:] = values


def test_reviewed_and_confident_pixels_teach_and_all_others_are_ignored(loop, taught):
    image_id = loop.targets[0]
    classes = np.ones((192, 192), np.uint8)
    confidence = np.full((192, 192), 255, np.uint8)
    confidence[native(1, 1)] = 200  # 0.78, under 0.9
    confidence[native(2, 2)] = 231  # 0.906
    write_proposal(loop, image_id, classes, confidence)
    painted, ignored = classes.copy(), np.zeros((192, 192), bool)
    painted[native(0, 0)] = 2
    painted[native(0, 1)] = 0
    ignored[native(2, 0)] = True
    review(loop, image_id, painted, ignored=ignored, accept=False)
    result = loop.run("finetune", BRIEF).state().result
    assert (result["tiles"], result["reviewed_pixels"]) == (1, 2 * 64 * 64)
    (field,) = taught[0]
    seen = [[set(np.unique(field.labels[block])) for block in row] for row in blocks(loop, image_id)]
    assert seen == [[{2}, {0}, {1}], [{1}, {255}, {1}], [{255}, {1}, {1}]]


def test_the_ring_around_a_stroke_counts_as_looked_at(loop, taught):
    image_id = loop.targets[0]
    classes = np.ones((192, 192), np.uint8)
    write_proposal(loop, image_id, classes, np.zeros((192, 192), np.uint8))
    painted = classes.copy()
    painted[64:128, 64:128] = 2
    review(loop, image_id, painted, accept=False)
    loop.run("finetune", BRIEF)
    labels = taught[0][0].labels
    zoom = labels.shape[0] / 192
    row = labels[int(96 * zoom)]
    inside, outside = np.flatnonzero(row == 2), np.flatnonzero(row == 1)
    assert inside.size == pytest.approx(64 * zoom, abs=1.5)
    # Three working pixels on each side, and nothing beyond.
    assert 4 <= outside.size <= 10
    assert np.all((np.abs(outside - inside[0]) <= 5) | (np.abs(outside - inside[-1]) <= 5))
    assert set(np.unique(row)) == {1, 2, 255}


def test_accepted_pixels_have_no_ring(loop, taught):
    image_id = loop.targets[0]
    write_proposal(loop, image_id, np.ones((192, 192), np.uint8), np.zeros((192, 192), np.uint8))
    review(loop, image_id)
    loop.run("finetune", BRIEF)
    assert set(np.unique(taught[0][0].labels)) == {1}


def test_the_source_is_replayed_in_the_look_of_the_target(loop, taught):
    review(loop, loop.targets[0])
    loop.run("finetune", BRIEF)
    assert len(taught) == 2
    for field in taught[1]:
        assert field.image[field.labels == 2].mean() > field.image[field.labels == 1].mean()
    loop.run("finetune", BRIEF.model_copy(update={"source_replay": 0.0}))
    assert len(taught) == 3


def test_a_model_of_the_source_look_replays_the_source_as_it_is(loop, taught):
    with loop.project.editing():
        loop.project.pin("proposals", loop.adapted)
    review(loop, loop.targets[0], run=loop.adapted)
    loop.run("finetune", BRIEF)
    for field in taught[1]:
        assert field.image[field.labels == 2].mean() < field.image[field.labels == 1].mean()


@pytest.mark.parametrize("route", ["tutored", pytest.param("adapted", marks=pytest.mark.slow)])
def test_a_class_that_only_the_target_has_is_learned_from_strokes(loop, route):
    image_id = loop.targets[0]
    corner = (slice(0, 70), slice(0, 80))
    folder = image_folder(loop.project.path, loop.project.image(image_id))
    pixels = zarr.open_array(folder / "0", mode="r+")
    pixels[corner] = np.where(np.indices((70, 80)).sum(axis=0) % 12 < 6, 250, 5)  # nothing else looks like this
    with loop.project.editing():
        loop.project.set_classes([VESSEL, *loop.project.classes])
        loop.project.pin("proposals", getattr(loop, route))
    painted = loop.proposed(getattr(loop, route), image_id)
    painted[corner] = VESSEL.value
    review(loop, image_id, painted, run=getattr(loop, route))
    run = loop.run("finetune", LEARN.model_copy(update={"steps": 150}))
    found = predicted(loop, run, image_id)
    assert dice(found, painted, VESSEL.value) > 0.6
    assert dice(found, painted, 1) > 0.4
    assert TargetModel.load(loop.project, run.path).segmenter.card.values == (1, 2, 9)


def test_the_order_of_the_class_table_does_not_matter(loop, taught):
    review(loop, loop.targets[0])
    loop.run("finetune", BRIEF)
    with loop.project.editing():
        loop.project.set_classes(list(reversed(loop.project.classes)))
    loop.run("finetune", BRIEF)
    for before, after in zip([*taught[0], *taught[1]], [*taught[2], *taught[3]], strict=True):
        assert np.array_equal(before.labels, after.labels)


def test_stopped_and_resumed_it_ends_as_if_never_stopped(loop):
    review(loop, loop.targets[0])
    straight, stopped = loop.run("finetune", BRIEF), loop.project.create_run("finetune", BRIEF)
    with pytest.raises(CancelledError):
        perform(stopped, lambda progress: stopped.request_cancel() if progress.step > 400 else None)
    assert not (stopped.path / "model.safetensors").exists()
    # Newer proposals of another route must not change what was begun.
    loop.run("propose", ProposeConfig(route="adaptation"))
    with loop.project.editing():
        loop.project.pin("proposals", "")
    assert perform(stopped)["model"] == loop.tutored
    one, other = (load_file(run.path / "model.safetensors") for run in (straight, stopped))
    assert all(np.array_equal(tensor, other[name]) for name, tensor in one.items())
    assert (stopped.path / "view.json").read_bytes() == (straight.path / "view.json").read_bytes()


def test_pixels_in_the_overlap_of_tiles_are_counted_once(learned_elsewhere, loop):
    from histobridge.core.config import MatchConfig

    grey = np.tile(loop.project.pixels(loop.targets[0]).read(loop.whole), (1, 6))[:, :1100]
    project = learned_elsewhere({"wide": grey})
    for verb, config in (
        ("match", MatchConfig(scale_factor=3.0, polarity="invert")),
        ("propose", ProposeConfig(route="adaptation")),
    ):
        perform(project.create_run(verb, config))
    tiles = tile_grid((192, 1100))
    assert len(tiles) == 2
    with project.editing():
        store = project.labels("wide")
        TileEdit(store, tiles[0]).accept()
        store.close()
    run = project.create_run("finetune", BRIEF)
    result = perform(run)
    assert (result["tiles"], result["reviewed_pixels"]) == (1, 192 * 1024)


def test_a_term_of_labelled_images_is_learned_when_every_image_was_worked_on(loop):
    """One tile an image, a stroke in each: nothing is left unreviewed, which mixup does not need and others do."""
    for name in loop.targets:
        review(loop, name)
    run = loop.run("finetune", FineTuneConfig.model_validate(BRIEF.model_dump() | {"terms": [{"kind": "mixup"}]}))
    assert run.state().status == "finished"
    with pytest.raises(InputError, match="they learn from images without labels"):
        loop.run("finetune", FineTuneConfig.model_validate(BRIEF.model_dump() | {"terms": [{"kind": "mean-teacher"}]}))
