"""Whence an exported mask comes: every run and every network on the way."""

from hashlib import sha256

import numpy as np
import pytest

from histobridge.core.config import ExportConfig, FineTuneConfig, MatchConfig, ProposeConfig, TrainSegmenterConfig
from histobridge.core.export_staging import FinalLabels
from histobridge.core.files import write_json
from histobridge.core.provenance import lineage, provenance
from histobridge.core.runs import RunState
from histobridge.core.translator_config import TrainTranslatorConfig


@pytest.fixture
def project(small_project):
    return small_project


def made(project, verb, config, inputs=None, **result):
    run = project.create_run(verb, config)
    run.settle(**(inputs or {}))
    run.write_state(RunState(status="finished", result=result))
    return run


def model(folder, weights, **view):
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    write_json(folder / "view.json", {"matching": "", **view})


def test_the_fine_tuning_behind_a_proposal_of_the_promoted_model_is_told(project):
    learned = made(project, "train-segmenter", TrainSegmenterConfig())
    matched = made(project, "match", MatchConfig(), segmenter=learned.id)
    first = made(project, "propose", ProposeConfig(), {"matching": matched.id})
    used = made(project, "finetune", FineTuneConfig())
    tuned = made(project, "finetune", FineTuneConfig(), {"model": first.id, "in_use": used.id}, model=first.id)
    last = made(project, "propose", ProposeConfig(route="model"), {"segmenter": tuned.id})
    assert set(lineage(project, last.id)) == {run.id for run in (last, tuned, first, matched, learned)}


def test_every_network_of_a_fused_proposal_is_hashed(project):
    image = project.images("target")[0]
    translator = made(project, "train-translator", TrainTranslatorConfig())
    (translator.path / "translator.safetensors").write_bytes(b"drawn")
    run = made(project, "propose", ProposeConfig(route="auto"), route="fused")
    model(run.path, b"taught")
    model(run.path / "tutorship", b"taught")
    model(run.path / "adaptation", b"adapted", translator=translator.id)
    nothing = np.zeros((64, 64), np.uint8)
    labels = FinalLabels(nothing, nothing, None, None, run.id, "", 0.0)
    hashes = provenance(project, project.create_run("export", ExportConfig()), image, labels)["sha256"]
    told = {"model-tutorship": b"taught", "model-adaptation": b"adapted", "translator": b"drawn"}
    assert {name: value for name, value in hashes.items() if "model" in name or name == "translator"} == {
        name: sha256(weights).hexdigest() for name, weights in told.items()
    }
