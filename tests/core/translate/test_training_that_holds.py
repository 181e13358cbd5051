import weakref

import numpy as np
import pytest
import torch
from brief_training import BRIEF, CPU, SMALL_DIFFUSION, batch, result_of

from histobridge.core.checkpoint import load_checkpoint
from histobridge.core.errors import ProjectError
from histobridge.core.job import finish
from histobridge.core.translate import crew, train
from histobridge.core.translate.adversaries import Adversaries
from histobridge.core.translate.crops import ImageCrops
from histobridge.core.translate.ladder import Outside, is_out_of_memory, step_down
from histobridge.core.translate.learn import train_pair
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.train import train_matched

OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
OUT_ON_CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried 8 GB"
)


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


def test_memory_that_is_short_after_the_last_step_costs_no_step(pair, monkeypatch):
    """Norms are fixed by many crops at once."""
    undisturbed = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))
    make, failed = Adversaries.translator, []

    def short_at_first(self, instant, calibration=None):
        if calibration is not None and not failed:
            failed.append(self.steps_done)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return make(self, instant, calibration)

    monkeypatch.setattr(Adversaries, "translator", short_at_first)
    said = []
    translator = finish(train_pair(pair.source, pair.target, pair.instant, BRIEF), watch=said.append)
    assert failed == [BRIEF.steps]
    assert [progress.step for progress in said] == [1, 2, 3, 4, 4]
    assert np.array_equal(result_of(translator, pair), result_of(undisturbed, pair))


def test_a_training_killed_again_gives_up_more_than_it_has_by_then(pair, short_of_memory, tmp_path):
    """A checkpoint that computes in four parts already is not taken back to two."""
    short_of_memory(32 * 32)
    for progress in (job := train_pair(pair.source, pair.target, pair.instant, BRIEF, tmp_path)):
        if progress.step == 2:
            break
    job.close()
    assert load_checkpoint(tmp_path)[1]["changed"] == {"parts": 4}
    changes, fields = [], {"source": pair.target, "target": pair.target}
    for kills in (1, 1):
        for progress in (
            job := train_matched(fields, pair.instant, BRIEF, tmp_path, Outside(on_change=changes.append, kills=kills))
        ):
            assert "computed twice" in progress.message
            break
        job.close()
    assert len(changes) == 1
    assert load_checkpoint(tmp_path)[1]["changed"] == {"parts": 4, "recompute": True}


def test_a_checkpoint_goes_on_where_random_numbers_are_others():
    """A training that began on a GPU may have to end on the processor."""
    diffusion = BRIEF.model_copy(update={"method": "syndiff", "syndiff": SMALL_DIFFUSION})
    learner = build_learner(diffusion, CPU)
    learner.step(*batch(4))
    tensors, values = learner.state()
    results = []
    for _ in range(2):
        other = build_learner(diffusion.model_copy(update={"seed": 5}), CPU)
        other.restore(tensors | {"random": torch.zeros(16, dtype=torch.uint8)}, values)
        results.append(other.step(*batch(4, seed=1)))
    assert results[0] == results[1]
    assert all(map(np.isfinite, results[0].values()))


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
    while found := step_down(config, OUT, config.device != "cpu", images_there=True):
        config, words = found
        assert words.endswith(".")
        assert words.count(". ") == 0
        rungs.append(words)
    signs = ("parts", "images are now kept", "computed twice")
    assert [sum(sign in words for words in rungs) for sign in signs] == [2, 1, 1]
    assert "processor" in rungs[-1]
    assert ("about the same result" in rungs[0]) == (method in ("syndiff", "bridgecut"))
    assert config.parts == config.batch_size == PRESETS[method]["fast"].batch_size
    assert (config.images_on_gpu, config.recompute, config.device) == (False, True, "cpu")


def test_only_errors_of_memory_lead_down_the_ladder():
    assert all(map(is_out_of_memory, (OUT, OUT_ON_CPU, MemoryError())))
    of_cudnn = (
        "INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "FIND was unable to find an engine to execute this computation",
    )
    assert all(is_out_of_memory(RuntimeError(words)) for words in of_cudnn)
    assert not is_out_of_memory(RuntimeError("the size of tensor a must match the size of tensor b"))
    assert step_down(BRIEF, RuntimeError("shapes differ"), on_gpu=True) is None


def test_crops_on_a_device_are_those_drawn_from_memory():
    fields = [np.random.default_rng(0).uniform(-1, 1, (50, 70)).astype(np.float32)]
    fields[0].setflags(write=False)
    plain, kept = ImageCrops(fields, 32, seed=1), ImageCrops(fields, 32, seed=1, device=CPU)
    assert all(torch.equal(plain.draw(), kept.draw()) for _ in range(20))


def test_images_that_are_not_on_the_gpu_are_not_said_to_leave_it():
    on_gpu = PRESETS["cut"]["fast"].model_copy(update={"parts": 4})
    config, words = step_down(on_gpu, OUT, on_gpu=True, images_there=False)
    assert (config.images_on_gpu, config.recompute) == (True, True)
    assert "computed twice" in words


def test_images_that_are_to_stay_outside_the_gpu_are_never_offered_room_there(pair, monkeypatch):
    asked = []
    monkeypatch.setattr(train, "cache_device", lambda device, needed: asked.append(needed) or CPU)
    for inside in (True, False):
        config = BRIEF.model_copy(update={"images_on_gpu": inside, "steps": 1})
        finish(train_pair(pair.source, pair.target, pair.instant, config))
    assert asked == [sum(image.nbytes for image in (*pair.source, *pair.target))]


def test_when_one_of_several_processes_fails_the_run_says_so(pair, short_of_memory, monkeypatch):
    monkeypatch.setattr(crew, "size", lambda: 2)
    short_of_memory(1)
    with pytest.raises(ProjectError, match="one of the 2 processes"):
        finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))


def test_earlier_fakes_are_forgotten_when_crops_become_smaller():
    """They cannot be shown beside crops of another size; the training stopped with an error of shapes."""
    large = Adversaries(BRIEF, CPU)
    large.pools["source"].size = large.pools["target"].size = 2
    assert large.step(*batch(4))
    small = Adversaries(BRIEF.model_copy(update={"crop_px": 16}), CPU)
    small.restore(*large.state())
    small.pools["source"].size = small.pools["target"].size = 6
    assert all(small.step(*batch(4, size=16, seed=seed)) for seed in range(3))
    tensors, _ = small.state()
    assert tensors["pool/source"].shape[-1] == 16


def test_networks_that_ran_out_of_memory_are_gone_before_others_are_built(pair, short_of_memory, monkeypatch):
    built, left = [], []

    def build(*arguments):
        left.append([reference() for reference in built])
        learner = build_learner(*arguments)
        built.append(weakref.ref(learner))
        return learner

    monkeypatch.setattr("histobridge.core.translate.train.build_learner", build)
    short_of_memory(2 * 32 * 32)
    finish(train_pair(pair.source, pair.target, pair.instant, BRIEF))
    assert left == [[], [None]]
