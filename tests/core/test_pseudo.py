import numpy as np
import pytest
import zarr
from proposing import cancel_when, contents

from histobridge.core import proposals
from histobridge.core.config import MatchConfig, ProposeConfig, TrainSegmenterConfig
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.job import finish
from histobridge.core.manifest import ClassSpec
from histobridge.core.matching import load_matching
from histobridge.core.perform import CancelledError, perform
from histobridge.core.proposals import has_proposal, proposal_folder, proposal_summary, read_proposal
from histobridge.core.target_model import TargetModel
from histobridge.core.tutor import TargetLooks, tutor_fields

VESSEL = ClassSpec(name="vessel", value=9, color="#123456", domains=("target",))


def changes(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("route", ["tutored", "adapted"])
def test_classes_and_confidence_of_every_target_image_lie_on_its_pixels(sample_loop, route):
    for image_id in sample_loop.targets:
        run = sample_loop.project.run(getattr(sample_loop, route))
        classes, confidence = contents(sample_loop, run, image_id)
        assert classes.shape == confidence.shape == (192, 192)
        assert classes.dtype == confidence.dtype == np.uint8
        assert set(np.unique(classes)) == {0, 1, 2}
        assert (confidence >= 84).mean() > 0.99  # a third: the surest of three classes; specks go to the second
        assert confidence.max() > 230


@pytest.mark.parametrize("route", ["tutored", "adapted"])
def test_proposals_find_most_of_the_hidden_truth(sample_loop, route):
    scores = [sample_loop.score(getattr(sample_loop, route), image_id) for image_id in sample_loop.targets]
    assert np.mean(scores) > 0.5


def test_a_segmenter_of_the_target_is_refused_for_adaptation(loop):
    file = loop.project.run(loop.learned).path / "model.json"
    write_json(file, read_json(file) | {"domain": "target"})
    with pytest.raises(ProjectError, match="has learned the labels of the target, and adaptation shows it images in"):
        loop.run("propose", ProposeConfig(route="adaptation"))


def test_without_translation_the_source_segmenter_finds_little(loop):
    identity = loop.run("propose", ProposeConfig(route="adaptation", translator="identity"))
    image_id = loop.targets[0]
    assert loop.score(identity, image_id) < 0.6 * loop.score(loop.adapted, image_id)


def test_confidence_is_lower_where_the_proposal_is_wrong(sample_loop):
    from histobridge.core.sample import read_truth

    image_id = sample_loop.targets[0]
    classes, confidence = contents(sample_loop, sample_loop.project.run(sample_loop.tutored), image_id)
    wrong = classes != read_truth(sample_loop.project, image_id)
    assert confidence[wrong].mean() < confidence[~wrong].mean() - 20


def test_the_summary_says_how_much_of_each_class_there_is(sample_loop):
    image_id = sample_loop.targets[0]
    classes, confidence = contents(sample_loop, sample_loop.project.run(sample_loop.tutored), image_id)
    summary = proposal_summary(sample_loop.project, sample_loop.tutored, image_id)
    assert summary["fractions"] == pytest.approx({str(v): float((classes == v).mean()) for v in (0, 1, 2)})
    assert summary["confidence"] == pytest.approx(confidence.mean() / 255)


@pytest.mark.parametrize("route", ["adapted", "tutored"])
def test_proposed_block_by_block_is_as_proposed_whole(loop, monkeypatch, route):
    run, image_id = loop.project.run(getattr(loop, route)), loop.targets[1]
    whole = TargetModel.load(loop.project, run.path).prediction(image_id, flips=True).labels(loop.whole)
    monkeypatch.setattr(proposals, "BLOCK", 56)
    with loop.project.editing():
        loop.project.pin("target_segmenter", run.id)
    blocks = loop.run("propose", ProposeConfig(route="model", images=(image_id,)))
    for one, other in zip(contents(loop, blocks, image_id), whole, strict=True):
        assert np.array_equal(one, other)


def test_an_image_larger_than_a_tile_is_predicted_without_seams(learned_elsewhere, sample_loop, monkeypatch):
    pixels = np.tile(sample_loop.project.pixels(sample_loop.targets[0]).read(sample_loop.whole), (2, 3))[:300, :450]
    project = learned_elsewhere({"large": pixels})
    perform(project.create_run("match", MatchConfig(scale_factor=2.0, polarity="invert")))
    monkeypatch.setattr(proposals, "BLOCK", 128)
    run = project.create_run("propose", ProposeConfig(route="adaptation"))
    perform(run)
    everything = (slice(0, 300), slice(0, 450))
    model = TargetModel.load(project, run.path)
    assert np.array_equal(
        read_proposal(project, run.id, "large", everything)[0],
        model.prediction("large", flips=True).labels(everything)[0],
    )


def test_flips_are_averaged(loop):
    image_id = loop.targets[0]
    plain = loop.run("propose", ProposeConfig(route="adaptation", images=(image_id,), flips=False))
    assert not np.array_equal(
        contents(loop, plain, image_id)[1], read_proposal(loop.project, loop.adapted, image_id, loop.whole)[1]
    )
    assert loop.score(loop.adapted, image_id) > loop.score(plain, image_id) - 0.05


def test_only_the_images_asked_for(loop):
    run = loop.run("propose", ProposeConfig(route="adaptation", images=(loop.targets[1],)))
    assert [has_proposal(loop.project, run.id, name) for name in loop.targets] == [False, True, False]
    with pytest.raises(ProjectError, match="propose labels for it first"):
        read_proposal(loop.project, run.id, loop.targets[0], loop.whole)


def test_a_class_of_the_source_alone_is_never_proposed(loop):
    axon, myelin = loop.project.classes
    with loop.project.editing():
        loop.project.set_classes([axon, myelin.model_copy(update={"domains": ("source",)})])
        loop.project.pin("target_segmenter", loop.tutored)
    for config in (
        ProposeConfig(route="adaptation"),
        ProposeConfig(route="tutorship", training=loop.brief),
        ProposeConfig(route="model"),
    ):
        run = loop.run("propose", config)
        for image_id in loop.targets:
            assert 2 not in contents(loop, run, image_id)[0]


def test_the_order_of_the_class_table_does_not_matter(loop):
    """Channels are told by the values of the classes, also where the target has one that the source lacks."""
    with loop.project.editing():
        loop.project.set_classes([VESSEL, *reversed(loop.project.classes)])
    matching = load_matching(loop.project)
    straight = finish(tutor_fields(loop.project, matching, "instant", (1, 2)))
    turned = finish(tutor_fields(loop.project, matching, "instant", (9, 2, 1)))
    for one, other in zip(straight, turned, strict=True):
        assert np.array_equal(np.array([0, 3, 2])[one.labels], other.labels)
    run = loop.run("propose", ProposeConfig(route="tutorship", training=loop.brief))
    assert TargetModel.load(loop.project, run.path).segmenter.card.values == (9, 2, 1)


def test_tutoring_images_have_the_grey_values_of_the_target(sample_loop):
    matching = load_matching(sample_loop.project, sample_loop.matched)
    fields = finish(tutor_fields(sample_loop.project, matching, "instant", (1, 2)))
    assert len(fields) == 3
    for field in fields:
        quantiles = np.quantile(field.image, np.linspace(0, 1, 257))
        assert np.abs(quantiles - matching.target_look)[10:-10].max() < 0.1
        assert field.image[field.labels == 2].mean() > field.image[field.labels == 1].mean()


def test_looks_of_single_tiles_vary_around_the_pooled_look(sample_loop):
    matching = load_matching(sample_loop.project, sample_loop.matched)
    looks = TargetLooks(sample_loop.project, matching)
    crop = np.interp(np.random.default_rng(0).random((64, 64)), np.linspace(0, 1, 257), matching.target_look)
    means = [looks(crop.astype(np.float32), np.random.default_rng(seed)).mean() for seed in range(12)]
    assert np.std(means) > 0.02
    assert np.abs(looks(crop.astype(np.float32), np.random.default_rng(0))).max() <= 1


@pytest.mark.parametrize("stop", ["tutoring a segmenter", pytest.param("second image", marks=pytest.mark.slow)])
def test_a_run_stopped_and_resumed_ends_as_if_never_stopped(loop, stop):
    config = ProposeConfig(route="tutorship", training=loop.brief)
    first, second, _ = loop.targets
    straight, stopped = loop.run("propose", config), loop.project.create_run("propose", config)
    with pytest.raises(CancelledError):
        perform(stopped, cancel_when(stopped, second if stop == "second image" else stop))
    assert has_proposal(loop.project, stopped.id, first) == (stop == "second image")
    before = changes(proposal_folder(stopped.path, first))
    perform(stopped)
    if before:
        assert changes(proposal_folder(stopped.path, first)) == before
    weights = [(run.path / "model.safetensors").read_bytes() for run in (straight, stopped)]
    assert weights[0] == weights[1]
    for image_id in loop.targets:
        for one, other in zip(*(contents(loop, run, image_id) for run in (straight, stopped)), strict=True):
            assert np.array_equal(one, other)
    assert not list((stopped.path / "proposals").glob(".*"))


def test_a_proposal_cut_short_does_not_count(loop):
    run = loop.project.create_run("propose", ProposeConfig(route="adaptation"))
    with pytest.raises(CancelledError):
        perform(run, cancel_when(run, loop.targets[1]))
    assert has_proposal(loop.project, run.id, loop.targets[0])
    assert not has_proposal(loop.project, run.id, loop.targets[2])


def test_resuming_keeps_to_the_matching_it_began_with(loop):
    config = ProposeConfig(route="tutorship", training=loop.brief)
    run = loop.project.create_run("propose", config)
    with pytest.raises(CancelledError):
        perform(run, cancel_when(run, "tutoring"))
    loop.run("match", MatchConfig(scale_factor=3.0))
    assert perform(run)["matching"] == loop.matched


def test_the_routes_need_what_comes_before_and_say_so(loop, learned_elsewhere):
    grey = loop.project.pixels(loop.targets[0]).read(loop.whole)
    project = learned_elsewhere({"a": grey})
    with pytest.raises(ProjectError, match="match the domains first"):
        perform(project.create_run("propose", ProposeConfig()))
    with pytest.raises(ProjectError, match="promote a fine-tuned model on the Learn page"):
        loop.run("propose", ProposeConfig(route="model"))
    with pytest.raises(ProjectError, match="made no model for the target; choose a run of propose or finetune"):
        loop.run("propose", ProposeConfig(route="model", segmenter=loop.learned))
    with pytest.raises(ProjectError, match="belongs to the source"):
        loop.run("propose", ProposeConfig(images=(loop.project.images("source")[0].id,)))


def test_a_missing_pixel_size_is_told_before_anything_is_trained(loop):
    with loop.project.editing():
        loop.project.update_image(loop.targets[2], pixel_size_um=None)
    run = loop.project.create_run("propose", ProposeConfig(route="tutorship", training=loop.brief))
    seen = []
    with pytest.raises(ProjectError, match=f"no pixel size for {loop.targets[2]}; enter it in µm"):
        perform(run, seen.append)
    assert seen == []


def test_a_segmenter_that_wants_objects_of_another_size_than_the_matching_is_refused(loop):
    other = loop.run("train-segmenter", TrainSegmenterConfig(object_diameter_px=20, training=loop.brief))
    with pytest.raises(ProjectError, match=r"expects objects of 20 px, .* makes them 36 px; match the domains again"):
        loop.run("propose", ProposeConfig(route="adaptation", segmenter=other.id, matching=loop.matched))


@pytest.mark.parametrize("damage", [None, "{", "{}"])
def test_a_model_that_cannot_be_read_is_told_with_the_remedy(loop, damage):
    view = loop.project.run(loop.tutored).path / "view.json"
    if damage is None:
        view.unlink()
    else:
        view.write_text(damage)
    with pytest.raises(
        ProjectError, match=r"view\.json (cannot be read|is damaged) .*propose labels or fine-tune again"
    ):
        TargetModel.load(loop.project, view.parent)


def test_proposals_fill_only_pixels_nobody_has_decided(loop):
    from histobridge.core.corrections import TileEdit
    from histobridge.core.tiles import tile_grid

    image_id = loop.targets[0]
    proposed = loop.proposed(loop.tutored, image_id)
    (tile,) = tile_grid(proposed.shape)
    with loop.project.editing():
        store = loop.project.labels(image_id)
        edit = TileEdit(store, tile, proposed, loop.tutored)
        painted = edit.classes
        painted[:40, :40] = (painted[:40, :40] + 1) % 3
        edit.commit(painted)
        ignored = np.zeros(proposed.shape, bool)
        ignored[150:] = True
        edit.ignore(ignored)
        store.close()
    with loop.project.editing():
        store = loop.project.labels(image_id)
        newer = np.full_like(proposed, 1)
        edit = TileEdit(store, tile, newer, loop.adapted)
        assert np.array_equal(edit.classes[:40, :40], (proposed[:40, :40] + 1) % 3)
        assert np.array_equal(edit.classes[150:], proposed[150:])
        untouched = edit.state == 0
        assert (edit.classes[untouched] == 1).all()
        edit.accept()
        edit = TileEdit(store, tile, np.zeros_like(proposed), "later")
        assert (edit.classes[untouched] == 1).all()
        assert (edit.state != 0).all()
        store.close()


def test_proposals_are_stored_as_plain_arrays(sample_loop):
    folder = proposal_folder(sample_loop.project.run(sample_loop.tutored).path, sample_loop.targets[0])
    for name in ("classes", "confidence"):
        array = zarr.open_array(folder / name, mode="r")
        assert (array.shape, array.dtype, array.metadata.zarr_format) == ((192, 192), np.uint8, 3)
