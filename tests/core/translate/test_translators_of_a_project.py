import json

import numpy as np
import pytest
from safetensors.torch import save_file

from histobridge.core.config import MatchConfig, ProposeConfig, TrainTranslatorConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.manifest import ImageRecord
from histobridge.core.matching import load_matching
from histobridge.core.perform import CancelledError, perform
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.translate.base import translate_window
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.fixed_tiles import FixedTiles
from histobridge.core.translate.import_config import ImportTranslatorConfig
from histobridge.core.translate.imported import Imported
from histobridge.core.translate.instant import Identity, Instant
from histobridge.core.translate.learn import load_translator
from histobridge.core.translate.quality.report import read_quality
from histobridge.core.translate.resnet import build_resnet

CONFIG = TrainTranslatorConfig(
    method="cyclegan", steps=6, crop_px=32, channels=2, blocks=1, checkpoint_every=4, device="cpu"
)


@pytest.fixture
def project(pair, tmp_path):
    project = Project.create(tmp_path / "project")
    with project.editing():
        staged = project.create_run("add", MatchConfig())
        for domain, fields in (("source", pair.source[:2]), ("target", pair.target[:1])):
            for index, field in enumerate(fields):
                folder = staged.path / "staged" / f"{domain}{index}"
                folder.mkdir(parents=True)
                pixels = np.rint((field + 1) * 127.5).astype(np.uint8)
                write_pyramid(folder / "image", pixels, 0.1)
                record = ImageRecord(
                    id=folder.name, domain=domain, subject="a", shape=pixels.shape, dtype="uint8", pixel_size_um=0.1
                )
                write_json(folder / "record.json", record.model_dump(mode="json"))
        project.adopt(staged)
    return project


@pytest.fixture
def matching(project, pair, known_matching):
    run = project.create_run("match", MatchConfig())
    looks = pair.instant.source_look, pair.instant.target_look
    matching = known_matching(*looks, run=run.id, target_working_um=0.125)
    write_json(run.path / "matching.json", matching.model_dump(mode="json"))
    run.write_state(RunState(status="finished"))
    return load_matching(project, run.id)


@pytest.fixture
def trained_run(project, matching):
    run = project.create_run("train-translator", CONFIG)
    perform(run)
    return run


def test_identity_and_instant_need_no_run(project, matching):
    assert isinstance(load_translator(project, "identity", matching), Identity)
    instant = load_translator(project, "instant", matching)
    assert isinstance(instant, Instant)
    assert instant.invert


def test_a_run_trains_a_translator_on_the_images_of_both_domains(project, matching, trained_run):
    result = trained_run.state().result
    assert (result["steps"], result["images"]) == (6, {"source": 2, "target": 1})
    assert result["verdict"] == read_quality(trained_run.path).words()
    translator = load_translator(project, trained_run.id, matching)
    assert isinstance(translator, CycleGan)
    assert translator.name == trained_run.id
    assert translator.card.trained_on == ("source0", "source1", "target0")
    assert translator.card.working_um == (0.1, 0.125)
    events = list(trained_run.events())
    assert [event["step"] for event in events if event["kind"] == "checkpoint"] == [4, 6]
    assert (trained_run.path / "preview-source_to_target.png").exists()


def test_the_best_checkpoint_is_kept_and_its_quality_told(project, matching, trained_run):
    quality = read_quality(trained_run.path)
    assert [step for step, _ in quality.history] == [4, 6]
    assert (quality.step, max(score for _, score in quality.history)) == max(
        quality.history, key=lambda found: found[1]
    )
    assert set(quality.ways) == {"source_to_target", "target_to_source"}
    assert all(way.mismatch < 1e-4 for way in quality.tiling.values())
    assert quality.structure is None


def test_a_run_may_keep_the_last_checkpoint(project, matching):
    run = project.create_run("train-translator", CONFIG.model_copy(update={"keep_best": False}))
    perform(run)
    assert read_quality(run.path).history == ()
    assert not (run.path / "best").exists()


def test_a_cancelled_run_resumes_to_the_same_translator(project, matching, trained_run, pair):
    run = project.create_run("train-translator", CONFIG)
    with pytest.raises(CancelledError):
        perform(run, watch=lambda progress: run.request_cancel() if progress.step == 3 else None)
    assert [event["step"] for event in run.events() if event["kind"] == "checkpoint"] == [3]
    perform(run)
    look = pair.instant.source_look
    results = [
        load_translator(project, one.id, matching).translate(pair.tested[0], "source_to_target", look)
        for one in (trained_run, run)
    ]
    assert np.array_equal(*results)


def test_where_the_polarity_is_not_certain_no_identity_loss_holds_it_at_first(project, matching, monkeypatch):
    doubted = matching.model_copy(update={"certain": False, "certainty": 0.6, "polarity_from": "estimate"})
    write_json(project.run(matching.run).path / "matching.json", doubted.model_dump(mode="json"))
    monkeypatch.setattr(FixedTiles, "look", lambda self, _: ({}, {}))
    run, exchanging = (
        project.create_run("train-translator", CONFIG.model_copy(update={"steps": steps})) for steps in (1, 5)
    )
    assert perform(run)["changed"] == {"identity_weight": 0.0}
    assert load_translator(project, run.id, matching).card.config.identity_weight == 0
    monkeypatch.setattr(FixedTiles, "upright", -1.0)
    assert "changed" not in perform(exchanging)
    assert load_translator(project, exchanging.id, matching).card.config.identity_weight == 5
    assert any("began again" in event.get("message", "") for event in exchanging.events())
    assert any("identity loss is off" in event.get("message", "") for event in run.events())


def test_generators_from_elsewhere_are_imported_judged_and_used(project, matching, pair, tmp_path):
    files = {}
    for direction in ("source_to_target", "target_to_source"):
        files[direction] = tmp_path / f"{direction}.safetensors"
        save_file(build_resnet(2, 1).state_dict(), files[direction])
    run = project.create_run("import-translator", ImportTranslatorConfig(**files, tile_px=64, sweeps=1, device="cpu"))
    result = perform(run)
    assert result["verdict"] == read_quality(run.path).words()
    tiling = read_quality(run.path).tiling
    assert set(tiling) == {"source_to_target", "target_to_source"}
    assert all(way.mismatch < 1e-4 for way in tiling.values())
    translator = load_translator(project, run.id, matching)
    assert isinstance(translator, Imported)
    assert (translator.name, translator.card.spread) == (run.id, "pooled")
    window = (slice(0, 40), slice(0, 40))
    image, look = pair.source[0], pair.instant.source_look
    made = translate_window(translator, lambda part: image[part], image.shape, window, "source_to_target", look)
    assert made.shape == (40, 40)


def test_a_generator_of_one_direction_has_only_that(project, matching, pair, tmp_path):
    save_file(build_resnet(2, 1).state_dict(), tmp_path / "g.safetensors")
    run = project.create_run("import-translator", ImportTranslatorConfig(target_to_source=tmp_path / "g.safetensors"))
    result = perform(run)
    assert result["directions"] == ["target_to_source"]
    assert "images of the target alone" in result["verdict"]
    assert list(read_quality(run.path).ways) == ["target_to_source"]
    translator = load_translator(project, run.id, matching, "cpu")
    with pytest.raises(InputError, match="choose another translator or the other route"):
        translator.translate(pair.source[0], "source_to_target", pair.instant.source_look)
    for route in ("auto", "fused"):
        with pytest.raises(InputError, match=f"{route} found, .* has target_to_source alone; choose route adaptation"):
            perform(project.create_run("propose", ProposeConfig(route=route, translator=run.id)))
    with pytest.raises(InputError, match="no generator was given"):
        perform(project.create_run("import-translator", ImportTranslatorConfig()))


def test_large_images_are_seen_in_blocks(project, matching, monkeypatch):
    monkeypatch.setattr("histobridge.core.translate.fields.DOMAIN_PIXELS", 5000)
    monkeypatch.setattr("histobridge.core.translate.fields.BLOCK_PX", 40)
    run = project.create_run("train-translator", CONFIG)
    assert perform(run)["images"] == {"source": 2, "target": 1}


def test_without_images_of_a_domain_the_remedy_is_named(pair, matching, tmp_path, project):
    empty = Project.create(tmp_path / "empty")
    run = empty.create_run("match", MatchConfig())
    copied = matching.model_copy(update={"run": run.id})
    write_json(run.path / "matching.json", copied.model_dump(mode="json"))
    with pytest.raises(ProjectError, match="no source images"):
        perform(empty.create_run("train-translator", CONFIG.model_copy(update={"matching": run.id})))


def test_without_a_matching_the_remedy_is_named(project):
    with pytest.raises(ProjectError, match="match the domains first"):
        perform(project.create_run("train-translator", CONFIG))


def test_runs_that_trained_no_translator_are_refused(project, matching):
    with pytest.raises(ProjectError, match="is a match run"):
        load_translator(project, matching.run, matching)


def test_an_unfinished_training_is_refused(project, matching):
    run = project.create_run("train-translator", CONFIG)
    with pytest.raises(ProjectError, match="not finished"):
        load_translator(project, run.id, matching)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"invert": False}, "inverted polarity, now it is kept"),
        ({"target_working_um": 0.2}, "0.125 µm a pixel of the target, now it is 0.2"),
    ],
)
def test_a_translator_of_another_matching_is_refused(project, matching, trained_run, change, message):
    with pytest.raises(ProjectError, match=message):
        load_translator(project, trained_run.id, matching.model_copy(update=change))


def test_what_a_run_leaves_is_readable_without_the_package(trained_run):
    card = json.loads((trained_run.path / "translator.json").read_text())
    assert card["run"] == trained_run.id
    assert {path.suffix for path in trained_run.path.glob("*.safetensors")} == {".safetensors"}
