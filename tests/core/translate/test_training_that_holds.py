import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from histobridge.core.checkpoint import load_checkpoint
from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.job import finish
from histobridge.core.translate import crew
from histobridge.core.translate.adversaries import Adversaries
from histobridge.core.translate.base import look_of
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.contrast_settings import ContrastSettings
from histobridge.core.translate.crops import ImageCrops
from histobridge.core.translate.cut import Contrast
from histobridge.core.translate.ladder import is_out_of_memory, step_down
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.syndiff_settings import SynDiffSettings
from histobridge.core.translate.train import train_pair

CPU = torch.device("cpu")
BRIEF = TrainTranslatorConfig(
    steps=4,
    batch_size=4,
    crop_px=32,
    channels=2,
    blocks=1,
    checkpoint_every=2,
    contrast=ContrastSettings(patches=16, width=8),
    device="cpu",
)
SMALL_BRIDGE = BridgeSettings(patches=16, projection_width=8, segmenter_width=4)
SMALL_DIFFUSION = SynDiffSettings(
    width=4, multipliers=(1, 2), latent=4, latent_width=8, judge_width=2, judge_halvings=3, penalty=0
)
OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
OUT_ON_CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried 8 GB"
)


def batch(count, size=32, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(count, 1, size, size, generator=random) * 2 - 1 for _ in range(2)]


def gradients_of(networks):
    return {name: weight.grad for name, weight in networks.named_parameters()}


def learned(kind, **fields):
    learner = kind(BRIEF.model_copy(update=fields), CPU)
    first = learner.step(*batch(4))
    gradients = gradients_of(learner.networks)
    return gradients, [first, learner.step(*batch(4, seed=1))]


def assert_same(found, expected):
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6)


def result_of(translator, pair):
    return translator.translate(pair.tested[0], "source_to_target", look_of(pair.tested[0]))


@pytest.fixture
def short_of_memory(monkeypatch):
    """Memory for so many pixels at once, and no more."""
    make = Adversaries.make
    limit = {"pixels": 1 << 30}

    def make_in_little(self, part):
        if part.real["source"].numel() > limit["pixels"]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return make(self, part)

    monkeypatch.setattr(Adversaries, "make", make_in_little)
    return lambda pixels: limit.update(pixels=pixels)


@pytest.mark.parametrize("kind", [Adversaries, Contrast])
@pytest.mark.parametrize("parts", [2, 3])
def test_a_batch_in_parts_teaches_what_the_whole_batch_teaches(kind, parts):
    whole, losses = learned(kind)
    in_parts, of_parts = learned(kind, parts=parts)
    assert_same(in_parts, whole)
    for before, after in zip(losses, of_parts, strict=True):
        assert after == pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("kind", [Adversaries, Contrast])
def test_networks_computed_twice_teach_the_same(kind):
    assert_same(learned(kind, recompute=True)[0], learned(kind)[0])


def bridge(steps):
    return {"method": "bridgecut", "bridge": SMALL_BRIDGE.model_copy(update={"steps": steps})}


@pytest.mark.parametrize("method", [bridge(1), bridge(3), {"method": "syndiff", "syndiff": SMALL_DIFFUSION}])
def test_steps_of_the_other_methods_teach_the_same_and_keep_far_less_when_computed_twice(method):
    labels = (batch(4, seed=2)[0][:, 0] > 0).to(torch.uint8)

    def learned(recompute):
        learner = build_learner(BRIEF.model_copy(update=method | {"recompute": recompute, "steps": 1}), CPU, (1,))
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda saved: kept.append(saved) or saved, lambda saved: saved):
            losses = learner.step(*batch(4), labels)
        return gradients_of(learner.networks), losses, sum(saved.numel() for saved in kept)

    found, losses, kept_less = learned(True)
    expected, same, kept = learned(False)
    assert losses == pytest.approx(same, rel=1e-5)
    assert ("segmenter" in losses) == (method["method"] == "bridgecut")
    assert_same(found, expected)
    assert kept_less < kept / 2


def test_a_training_short_of_memory_computes_its_batch_in_parts_and_says_so(pair, short_of_memory):
    undisturbed = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))
    short_of_memory(2 * 32 * 32)
    said = []
    translator = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF), watch=said.append)
    assert [progress.step for progress in said] == [0, 1, 2, 3, 4]
    assert "each batch of 4 crops is now computed in 2 parts" in said[0].message
    assert said[0].message in said[-1].message
    np.testing.assert_allclose(result_of(translator, pair), result_of(undisturbed, pair), atol=1e-3)


def test_memory_that_gets_short_later_costs_the_steps_since_the_last_checkpoint(pair, short_of_memory):
    undisturbed = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))
    steps = []

    def watch(progress):
        steps.append(progress.step)
        if steps == [1, 2, 3]:
            short_of_memory(2 * 32 * 32)

    translator = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF), watch)
    assert steps == [1, 2, 3, 2, 3, 4]
    np.testing.assert_allclose(result_of(translator, pair), result_of(undisturbed, pair), atol=1e-3)


def test_a_resumed_training_goes_on_as_it_was_changed_and_equals_the_uninterrupted_one(pair, short_of_memory, tmp_path):
    config = BRIEF.model_copy(update={"batch_size": 1, "crop_px": 128})
    short_of_memory(64 * 64)
    uninterrupted = finish(train_pair(pair.source, pair.target, pair.instant, config))
    for progress in (job := train_pair(pair.source, pair.target, pair.instant, config, tmp_path)):
        if progress.step == 2:
            break
    job.close()
    said = []
    resumed = finish(train_pair(pair.source, pair.target, pair.instant, config, tmp_path), watch=said.append)
    assert [progress.step for progress in said] == [3, 4]
    assert "crops are now 64 px wide instead of 128" in said[0].message
    assert (resumed.card.config.crop_px, resumed.card.config.recompute) == (64, True)
    assert load_checkpoint(tmp_path)[1]["changed"] == {"crop_px": 64, "recompute": True}
    assert np.array_equal(result_of(resumed, pair), result_of(uninterrupted, pair))


def test_a_training_that_nothing_helps_fails_with_the_error_it_had(pair, short_of_memory):
    short_of_memory(1)
    with pytest.raises(torch.OutOfMemoryError):
        finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))


def test_networks_that_cannot_be_compiled_are_used_as_they_are(pair, monkeypatch):
    failure = type("BackendCompilerFailed", (RuntimeError,), {"__module__": "torch._dynamo.exc"})

    def compile_badly(net):
        net.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(failure("no C++ compiler")))

    undisturbed = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))
    monkeypatch.setattr(torch.nn.Module, "compile", compile_badly)
    said = []
    config = BRIEF.model_copy(update={"compiled": "on"})
    translator = finish(train_pair(pair.source, pair.target, pair.instant, config), watch=said.append)
    assert "could not be compiled" in said[0].message
    assert np.array_equal(result_of(translator, pair), result_of(undisturbed, pair))


@pytest.mark.parametrize("method", sorted(PRESETS))
def test_the_ladder_ends_on_the_processor_with_one_sentence_a_rung(method):
    config, rungs = PRESETS[method]["fast"], []
    while found := step_down(config, OUT, on_gpu=config.device != "cpu"):
        config, words = found
        assert words.endswith(".")
        assert words.count(". ") == 0
        rungs.append(words)
    parts, recompute = (sum(sign in words for words in rungs) for sign in ("parts", "computed twice"))
    assert (parts, recompute) == (2, 1)
    assert "processor" in rungs[-1]
    assert config.parts == config.batch_size == PRESETS[method]["fast"].batch_size
    assert (config.recompute, config.device) == (True, "cpu")


def test_only_errors_of_memory_lead_down_the_ladder():
    assert all(map(is_out_of_memory, (OUT, OUT_ON_CPU, MemoryError())))
    assert not is_out_of_memory(RuntimeError("the size of tensor a must match the size of tensor b"))
    assert step_down(BRIEF, RuntimeError("shapes differ"), on_gpu=True) is None


def test_crops_on_a_device_are_those_drawn_from_memory():
    fields = [np.random.default_rng(0).uniform(-1, 1, (50, 70)).astype(np.float32)]
    fields[0].setflags(write=False)
    plain, kept = ImageCrops(fields, 32, seed=1), ImageCrops(fields, 32, seed=1, device=CPU)
    assert all(torch.equal(plain.draw(), kept.draw()) for _ in range(20))


PROCESS = """
import sys, torch
from pathlib import Path
from safetensors.torch import save_file
from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate import crew
from histobridge.core.translate.learner import build_learner

torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), Path(sys.argv[2])
with crew.gathered(folder / "meeting", rank, 2):
    for file in sorted(folder.glob("*.json")):
        learner = build_learner(TrainTranslatorConfig.model_validate_json(file.read_text()), torch.device("cpu"))
        random = torch.Generator().manual_seed(0)
        batches = torch.rand(2, 2, 4, 1, 32, 32, generator=random) * 2 - 1
        assert learner.step(*batches[0])
        found = {name: weight.grad.clone() for name, weight in learner.networks.named_parameters()}
        assert learner.step(*batches[1])
        found |= {"weights/" + name: weight for name, weight in learner.networks.named_parameters()}
        save_file({name: tensor.detach() for name, tensor in found.items()}, folder / f"{file.stem}-{rank}.safetensors")
    assert crew.told(rank == 0) and not crew.agreed(rank == 0)
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_both_their_shares(tmp_path):
    small = SynDiffSettings(width=8, multipliers=(1, 2), latent=4, latent_width=8, judge_width=4, judge_halvings=3)
    configs = {
        name: BRIEF.model_copy(update={"method": name, "syndiff": small}) for name in ("cyclegan", "cut", "syndiff")
    }
    configs["cut"] = configs["cut"].model_copy(update={"parts": 2})
    for name, config in configs.items():
        (tmp_path / f"{name}.json").write_text(config.model_dump_json())
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)], env=environment) for rank in (0, 1)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    random = torch.Generator().manual_seed(0)
    batches = torch.rand(2, 2, 4, 1, 32, 32, generator=random) * 2 - 1
    for name, config in configs.items():
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in (0, 1))
        assert all(torch.equal(first[key], second[key]) for key in first), name
        alone = build_learner(config, CPU)
        alone.step(*batches[0])
        # The discriminators of SynDiff look at the spread within a batch, which is that of the share here.
        if name != "syndiff":
            assert_same(first, gradients_of(alone.networks))


def test_alone_a_process_is_the_whole_crew():
    assert (crew.rank(), crew.size(), crew.agreed(False), crew.told(True)) == (0, 1, False, True)
    assert torch.equal(crew.whole(torch.arange(3)), torch.arange(3))


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(crew, "size", lambda: 3)
    with pytest.raises(InputError, match="a multiple of 3"):
        Adversaries(BRIEF, CPU).step(*batch(4))


def test_when_one_of_several_processes_fails_the_run_says_so(pair, short_of_memory, monkeypatch):
    monkeypatch.setattr(crew, "size", lambda: 2)
    short_of_memory(1)
    with pytest.raises(ProjectError, match="one of the 2 processes"):
        finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))
