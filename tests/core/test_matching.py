import json

import numpy as np
import pytest
from PIL import Image

from histobridge.core.config import MatchConfig, ProposeConfig, RankConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.matching import load_matching, working_image
from histobridge.core.perform import perform
from histobridge.core.sample import read_truth
from histobridge.core.scale import typical_diameter
from histobridge.core.synthetic import two_modalities
from histobridge.core.translator_config import TrainTranslatorConfig

OBJECT_PX = 36.0


def match(project, **config):
    run = project.create_run("match", MatchConfig(**config))
    perform(run)
    return load_matching(project, run.id)


def true_working_um(project):
    """What brings the hidden objects of the sample to their size at the working scale."""
    diameters = [
        typical_diameter(read_truth(project, record.id) == 1) * record.pixel_size_um
        for record in project.images("target")
    ]
    return float(np.median(diameters)) / OBJECT_PX


def test_scale_is_found_without_labels_within_a_quarter(sample_loop):
    matching = load_matching(sample_loop.project, sample_loop.matched)
    assert matching.scale_from == "estimate"
    assert len(matching.scale_steps) > 1
    assert matching.target_working_um == pytest.approx(true_working_um(sample_loop.project), rel=0.25)


def test_scale_is_found_whatever_pixel_size_the_files_state(loop):
    """Micrometres mean nothing here: only the size of objects in pixels counts."""
    truth = true_working_um(loop.project)
    with loop.project.editing():
        for name in loop.targets:
            loop.project.update_image(name, pixel_size_um=7.0)
    assert match(loop.project).target_working_um == pytest.approx(truth * 70, rel=0.25)


def test_a_pixel_size_edited_after_matching_is_named_and_stops_what_would_be_rescaled(loop):
    name = loop.targets[0]
    before = loop.project.image(name).pixel_size_um
    resize(loop, name, 2 * before)
    words = rf"image {name} had {before:g} µm a pixel then and has {2 * before:g} µm now; match again"
    for verb, config in (
        ("propose", ProposeConfig(route="adaptation")),
        ("train-translator", TrainTranslatorConfig()),
        ("rank", RankConfig()),
    ):
        with pytest.raises(ProjectError, match=words):
            loop.run(verb, config)
    resize(loop, name, before)
    assert load_matching(loop.project).run == loop.matched
    file = loop.project.run(loop.matched).path / "matching.json"
    old = {key: value for key, value in read_json(file).items() if key != "pixel_sizes_um"}
    write_json(file, old)
    resize(loop, name, 2 * before)
    assert load_matching(loop.project).run == loop.matched, "files of older versions say nothing of sizes"


def test_models_of_an_earlier_matching_stay_usable_once_the_user_has_matched_again(loop):
    name = loop.targets[0]
    resize(loop, name, 2 * loop.project.image(name).pixel_size_um)
    with pytest.raises(ProjectError, match="match again"):
        load_matching(loop.project, loop.matched)
    assert match(loop.project, target_diameter_um=2.7).run != loop.matched
    assert load_matching(loop.project, loop.matched).run == loop.matched


def test_a_pixel_size_of_the_source_edited_after_learning_stops_the_matching(loop):
    name = loop.project.images("source")[0].id
    resize(loop, name, 0.5)
    with pytest.raises(ProjectError, match=rf"no longer fits: image {name} .*learn the source labels again"):
        match(loop.project)


def resize(loop, name, size_um):
    with loop.project.editing():
        loop.project.update_image(name, pixel_size_um=size_um)


def test_a_line_across_an_object_sets_the_scale(loop):
    matching = match(loop.project, target_diameter_um=2.7)
    assert (matching.target_working_um, matching.scale_from) == (pytest.approx(2.7 / OBJECT_PX), "line")


def test_lines_across_like_objects_of_both_domains_set_the_scale_whatever_the_labels_mark(loop):
    """Sheaths measured with the fibres: the ratio of the two is what counts, not the labelled diameter."""
    matching = match(loop.project, target_diameter_um=6.0, source_diameter_um=1.5)
    assert matching.target_working_um == pytest.approx(4 * matching.source_working_um)
    assert matching.scale_from == "line"


def test_a_line_in_the_source_alone_sets_nothing_and_says_so(loop):
    with pytest.raises(InputError, match="source_diameter_um needs target_diameter_um"):
        match(loop.project, source_diameter_um=1.5)


def test_both_polarities_are_drawn_on_one_tile_with_what_is_seen_in_each(sample_loop):
    folder = sample_loop.project.run(sample_loop.matched).path
    kept, inverted = (np.asarray(Image.open(folder / f"preview-{name}.png")) for name in ("keep", "invert"))
    assert kept.shape == inverted.shape
    grey = [np.ptp(each, axis=2) == 0 for each in (kept, inverted)]
    both = grey[0] & grey[1]
    assert both.mean() > 0.5
    assert np.corrcoef(kept[both][:, 0], inverted[both][:, 0])[0, 1] < -0.9
    outlined = [int((~each).sum()) for each in grey]
    assert outlined[1] > 200
    assert not np.array_equal(grey[0], grey[1])
    colors = {tuple(pixel) for pixel in inverted[~grey[1]]}
    table = {spec.color for spec in sample_loop.project.manifest.classes}
    assert {"#{:02X}{:02X}{:02X}".format(*pixel) for pixel in colors} <= table


def test_a_number_sets_the_scale_and_wins_over_a_line(loop):
    matching = match(loop.project, scale_factor=2.5, target_diameter_um=2.7)
    assert matching.target_working_um == pytest.approx(2.5 * matching.source_working_um)
    assert matching.scale_from == "number"


def test_dark_sheaths_in_one_domain_and_bright_ones_in_the_other_are_inverted(sample_loop):
    matching = load_matching(sample_loop.project, sample_loop.matched)
    assert matching.invert
    assert matching.polarity_from == "estimate"
    assert matching.polarity_score["invert"] > matching.polarity_score["keep"]
    assert matching.score == "enclosure"
    assert 0.5 < matching.certainty <= 1


def test_a_target_of_the_polarity_of_the_source_is_kept(sample_loop, learned_elsewhere):
    inverted = {name: 255 - sample_loop.project.pixels(name).read(sample_loop.whole) for name in sample_loop.targets}
    matching = match(learned_elsewhere(inverted))
    before = load_matching(sample_loop.project, sample_loop.matched)
    assert not matching.invert
    assert matching.certainty == pytest.approx(before.certainty, abs=0.1)
    assert matching.target_working_um == pytest.approx(before.target_working_um, rel=0.1)


def test_new_images_of_the_source_modality_are_kept(learned_elsewhere):
    fields = two_modalities(2, 192, seed=7)[:2]
    matching = match(learned_elsewhere({f"new{i}": field.image for i, field in enumerate(fields)}, 0.05))
    assert not matching.invert
    assert matching.certain
    assert not any(matching.polarity_by_image.values())


@pytest.mark.parametrize("kind", ["white", "smooth"])
def test_noise_leaves_the_polarity_open(learned_elsewhere, kind):
    from scipy import ndimage

    random = np.random.default_rng(0)
    noise = random.normal(size=(2, 192, 192))
    if kind == "smooth":
        noise = ndimage.gaussian_filter(noise, (0, 2, 2)) * 7
    pixels = np.clip(128 + 40 * noise, 0, 255).astype(np.uint8)
    matching = match(learned_elsewhere({"a": pixels[0], "b": pixels[1]}))
    assert 0 <= matching.certainty < 0.8
    assert not matching.certain


def test_entropy_judges_classes_without_a_nested_pair(loop):
    with loop.project.editing():
        loop.project.set_classes([spec.model_copy(update={"inside": ""}) for spec in loop.project.classes])
    matching = match(loop.project)
    assert matching.score == "entropy"
    assert matching.scale_from == "size"
    assert matching.target_working_um == matching.source_working_um, "objects as large in µm"
    assert set(matching.polarity_score) == {"keep", "invert"}
    assert all(0 <= value <= 1 for value in matching.polarity_score.values())
    assert 0 <= matching.certainty <= 1


@pytest.mark.parametrize("slip", [1000, 1 / 1000])
def test_a_slip_of_units_in_a_pixel_size_is_told_where_objects_are_taken_to_be_as_large(loop, slip):
    with loop.project.editing():
        loop.project.set_classes([spec.model_copy(update={"inside": ""}) for spec in loop.project.classes])
    record = loop.project.images("target")[0]
    resize(loop, record.id, slip * record.pixel_size_um)
    told = rf"as large in µm as in the source, which makes {record.id} \d+ x \d+ pixels .* objects have 36; draw a line"
    with pytest.raises(InputError, match=told):
        match(loop.project)


def test_the_user_may_decide_the_polarity(loop):
    kept = match(loop.project, polarity="keep")
    assert (kept.invert, kept.polarity_from, kept.certainty, kept.certain) == (False, "user", 1.0, True)
    assert match(loop.project, polarity="invert").invert


def test_the_zoom_of_one_image_may_be_set(loop):
    first, second, _ = loop.targets
    with loop.project.editing():
        loop.project.update_image(first, zoom_override=0.5)
    matching = match(loop.project)
    assert working_image(loop.project, first, matching).zoom == 0.5
    assert working_image(loop.project, second, matching).zoom == pytest.approx(0.1 / matching.target_working_um)
    assert matching.target_working_um == pytest.approx(true_working_um(loop.project), rel=0.3)


def test_if_the_zoom_of_all_images_is_set_that_is_the_scale(loop):
    with loop.project.editing():
        for name in loop.targets:
            loop.project.update_image(name, zoom_override=1.6)
    matching = match(loop.project)
    assert (matching.target_working_um, matching.scale_from) == (pytest.approx(0.1 / 1.6), "number")
    with loop.project.editing():
        for name in loop.targets:
            loop.project.update_image(name, pixel_size_um=None)
    assert match(loop.project).scale_from == "number"


def test_missing_pixel_sizes_are_named_with_the_remedy(loop):
    with loop.project.editing():
        for name in loop.targets[:2]:
            loop.project.update_image(name, pixel_size_um=None)
    with pytest.raises(ProjectError, match=rf"no pixel size for {loop.targets[0]}, {loop.targets[1]}; enter it in µm"):
        match(loop.project)


def test_a_source_image_without_scale_does_not_hinder(loop, add_arrays):
    """It was not learned from; only a preview would show it."""
    with loop.project.editing():
        loop.project.update_image(loop.project.images("source")[0].id, pixel_size_um=None)
    assert match(loop.project).invert


def test_matching_is_stored_with_the_run_and_the_latest_is_active(loop):
    first = match(loop.project, scale_factor=2.0)
    second = match(loop.project, scale_factor=3.0)
    assert load_matching(loop.project) == second
    assert load_matching(loop.project, first.run) == first
    assert len(first.source_look) == len(first.target_look) == 257
    assert first.segmenter == loop.learned
    assert (loop.project.run(first.run).path / "preview-matched.png").exists()
    with loop.project.editing():
        loop.project.pin("matching", first.run)
    assert load_matching(loop.project) == first


@pytest.mark.parametrize("damage", ["{", "[]", '{"run": 3}', ""])
def test_a_damaged_file_is_told_with_the_remedy(loop, damage):
    (loop.project.run(loop.matched).path / "matching.json").write_text(damage)
    with pytest.raises(
        ProjectError, match=r"matching\.json (cannot be read|is damaged at \w+).*match the domains again$"
    ):
        load_matching(loop.project)


def test_a_missing_file_and_a_newer_one_are_told(loop):
    file = loop.project.run(loop.matched).path / "matching.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": 99}))
    with pytest.raises(ProjectError, match=r"schema version 99.*Upgrade"):
        load_matching(loop.project)
    file.unlink()
    with pytest.raises(ProjectError, match="match the domains again"):
        load_matching(loop.project)


def test_before_matching_the_user_is_told_what_to_do(tmp_path):
    from histobridge.core.project import Project

    project = Project.create(tmp_path / "empty")
    with pytest.raises(ProjectError, match="match the domains first"):
        load_matching(project)
    with pytest.raises(ProjectError, match="learn the source labels first"):
        match(project)


def test_the_scale_does_not_settle_where_nothing_is_seen(loop, monkeypatch):
    """Objects came out too large, the scale was changed for that, and there none was found any more."""
    seen = {}

    def diameter(_, working_um, polarity):
        return seen.setdefault(working_um, 2.0 * OBJECT_PX if not seen else float("nan"))

    monkeypatch.setattr("histobridge.core.judge.Judge.diameter", diameter)
    matching = match(loop.project)
    assert matching.target_working_um == next(iter(seen))
    assert (matching.scale_from, matching.scale_steps) == ("estimate", (matching.target_working_um,))


def test_where_no_object_is_recognised_the_scale_stays_near_that_of_the_source(loop, monkeypatch):
    monkeypatch.setattr("histobridge.core.judge.Judge.fit", lambda *_: 0.0)
    matching = match(loop.project)
    assert matching.scale_from == "nothing"
    assert matching.target_working_um == pytest.approx(matching.source_working_um, rel=1)
    assert matching.scale_steps == ()
