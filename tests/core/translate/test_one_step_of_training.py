import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from brief_training import BRIEF, CPU, SMALL_BRIDGE, SMALL_DIFFUSION, assert_same, batch, gradients_of
from safetensors.torch import load_file

from histobridge.core.device import has_bfloat16
from histobridge.core.errors import InputError
from histobridge.core.translate import crew
from histobridge.core.translate.adversaries import Adversaries
from histobridge.core.translate.cut import Contrast
from histobridge.core.translate.ladder import WHOLE_BATCH
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.syndiff_settings import SynDiffSettings


def learned(kind, **fields):
    learner = kind(BRIEF.model_copy(update=fields), CPU)
    first = learner.step(*batch(4))
    gradients = gradients_of(learner.networks)
    return gradients, [first, learner.step(*batch(4, seed=1))]


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


def test_several_processes_share_a_batch_evenly_whatever_its_parts(monkeypatch):
    """Else what they gather from each other differs in shape."""
    learner = Adversaries(BRIEF.model_copy(update={"batch_size": 6, "parts": 2}), CPU)
    source, target = batch(6)
    monkeypatch.setattr(crew, "size", lambda: 2)
    found = []
    for rank in range(2):
        monkeypatch.setattr(crew, "rank", lambda rank=rank: rank)
        parts = learner.parts({"source": source, "target": target}, None)
        assert [len(part.real["source"]) for part in parts] == [2, 1]
        assert sum(part.share for part in parts) == pytest.approx(1)
        found += [part.real["source"] for part in parts]
    assert torch.equal(torch.cat(found), source)


@pytest.mark.parametrize("hardware", [True, False])
def test_half_precision_is_used_only_where_the_hardware_has_it(monkeypatch, hardware):
    """Emulated on a processor, a step takes six to ten times as long."""
    monkeypatch.setattr("histobridge.core.translate.contest.has_bfloat16", lambda _: hardware)
    learner = Adversaries(BRIEF.model_copy(update={"half_precision": True}), CPU)
    with learner.autocast():
        found = learner.networks["source_to_target"](batch(1)[0])
    assert (found.dtype == torch.bfloat16) == hardware


@pytest.mark.parametrize(
    ("features", "found"),
    [({"amx_bf16": True, "avx512_bf16": True}, True), ({"amx_bf16": False, "avx512_bf16": True}, False), ({}, False)],
)
def test_a_processor_computes_in_bfloat16_where_it_multiplies_matrices_in_it(monkeypatch, features, found):
    """With vectors of bfloat16 alone it is slower than in float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    assert has_bfloat16(CPU) == found


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
        config = TrainTranslatorConfig.model_validate_json(file.read_text())
        learner = build_learner(config, torch.device("cpu"), (1,))
        random = torch.Generator().manual_seed(0)
        batches = torch.rand(2, 2, 6, 1, 32, 32, generator=random) * 2 - 1
        labels = (batches[0, 0, :, 0] > 0).to(torch.uint8)
        assert learner.step(*batches[0], labels)
        found = {name: weight.grad.clone() for name, weight in learner.networks.named_parameters()}
        assert learner.step(*batches[1], labels)
        found |= {"weights/" + name: weight for name, weight in learner.networks.named_parameters()}
        save_file({name: tensor.detach() for name, tensor in found.items()}, folder / f"{file.stem}-{rank}.safetensors")
    assert crew.told(rank == 0) and not crew.agreed(rank == 0)
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_both_their_shares(tmp_path):
    small = SynDiffSettings(width=8, multipliers=(1, 2), latent=4, latent_width=8, judge_width=4, judge_halvings=3)
    configs = {
        name: BRIEF.model_copy(update={"method": name, "syndiff": small, "bridge": SMALL_BRIDGE, "batch_size": 6})
        for name in ("cyclegan", "cut", "syndiff", "bridgecut")
    }
    for name in ("cyclegan", "cut"):
        configs[name] = configs[name].model_copy(update={"parts": 2})
    for name, config in configs.items():
        (tmp_path / f"{name}.json").write_text(config.model_dump_json())
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)], env=environment) for rank in (0, 1)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    random = torch.Generator().manual_seed(0)
    batches = torch.rand(2, 2, 6, 1, 32, 32, generator=random) * 2 - 1
    for name, config in configs.items():
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in (0, 1))
        assert all(torch.equal(first[key], second[key]) for key in first), name
        if name not in WHOLE_BATCH:
            alone = build_learner(config, CPU)
            alone.step(*batches[0])
            assert_same(first, gradients_of(alone.networks))


def test_alone_a_process_is_the_whole_crew():
    assert (crew.rank(), crew.size(), crew.agreed(False), crew.told(True)) == (0, 1, False, True)
    assert torch.equal(crew.whole(torch.arange(3)), torch.arange(3))


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(crew, "size", lambda: 3)
    with pytest.raises(InputError, match="a multiple of 3"):
        Adversaries(BRIEF, CPU).step(*batch(4))


METHODS = [
    {},
    {"published": True},
    {"method": "cut"},
    {"method": "cut", "published": True},
    {"method": "fastcut", "published": True, "contrast": BRIEF.contrast.model_copy(update={"flip": True})},
    bridge(3),
    {"method": "syndiff", "syndiff": SMALL_DIFFUSION},
    {"method": "syndiff", "syndiff": SMALL_DIFFUSION.model_copy(update={"share_fakes": False})},
]
NAMES = [
    "cyclegan",
    "cyclegan published",
    "cut",
    "cut published",
    "fastcut published",
    "bridgecut",
    "syndiff",
    "syndiff apart",
]


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_what_discriminators_lose_teaches_no_generator(method):
    """Whichever side is first: gradients of the generators are the same before and after that loss goes backward."""
    learner = build_learner(BRIEF.model_copy(update=method), CPU, (1,))
    judge, compared = learner.learn_to_judge, []

    def gradients():
        weights = learner.sides["generators"].parameters()
        return [None if weight.grad is None else weight.grad.clone() for weight in weights]

    def learn_to_judge(*of_parts):
        before = gradients()
        taken = judge(*of_parts)
        compared.extend(zip(before, gradients(), strict=True))
        return taken

    learner.learn_to_judge = learn_to_judge
    assert learner.step(*batch(1), torch.ones(1, 32, 32, dtype=torch.uint8))
    assert compared
    assert all(one is other is None or torch.equal(one, other) for one, other in compared)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_discriminators_are_first_where_the_authors_have_them_first(method):
    config = BRIEF.model_copy(update=method)
    learner, order = build_learner(config, CPU, (1,)), []
    for name in ("generators", "discriminators"):
        learner.optimizers[name].register_step_pre_hook(lambda *_, name=name: order.append(name))
    learner.step(*batch(1), torch.ones(1, 32, 32, dtype=torch.uint8))
    of_cut = config.method in ("cut", "fastcut") and config.published
    of_syndiff = config.method == "syndiff" and not config.syndiff.share_fakes
    expected = ["generators", "discriminators"]
    assert order == (expected[::-1] if of_cut or of_syndiff else expected)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_both_sides_of_a_published_cut_see_the_same_fakes(flip, parts):
    """The draw of mirroring is one for both; weights of generators have not changed in between."""
    contrast = BRIEF.contrast.model_copy(update={"flip": flip, "identity": not flip})
    changes = {"method": "cut", "published": True, "contrast": contrast, "parts": parts}
    learner = build_learner(BRIEF.model_copy(update=changes), CPU)
    shown, mirrored = {}, set()
    for side in ("learn_to_judge", "learn_to_make"):
        act = getattr(learner, side)

        def seen(of_parts, *rest, side=side, act=act):
            mirrored.update(way for part in of_parts for way in part.drawn.mirrored.values())
            result = act(of_parts, *rest)
            shown[side] = rest[0] if side == "learn_to_judge" else result[1]
            return result

        setattr(learner, side, seen)
    for seed in range(4):
        assert learner.step(*batch(2, seed=seed))
        for judged, made in zip(*(shown[side] for side in ("learn_to_judge", "learn_to_make")), strict=True):
            assert judged.keys() == made.keys()
            for domain, fake in made.items():
                assert not judged[domain].requires_grad
                torch.testing.assert_close(judged[domain], fake, rtol=1e-4, atol=1e-5)
    assert mirrored == ({False, True} if flip else {False})


def test_a_published_cut_in_parts_teaches_what_the_whole_batch_teaches():
    # Not by gradients: those of a bias before an instance norm are nothing but rounding.
    whole, in_parts = (learned(Contrast, method="cut", published=True, parts=parts)[1] for parts in (1, 2))
    for before, after in zip(whole, in_parts, strict=True):
        assert after == pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_even_images_are_learned_from_and_leave_all_finite(method):
    """Three steps, the second on images without anything to see; every network moves."""
    learner = build_learner(BRIEF.model_copy(update=method), CPU, (1,))
    labels = torch.ones(1, 32, 32, dtype=torch.uint8)
    before = [weight.detach().clone() for weight in learner.networks.parameters()]
    even = [torch.zeros(1, 1, 32, 32), torch.full((1, 1, 32, 32), 0.5)]
    for images in (batch(1), even, batch(1)):
        losses = learner.step(*images, labels)
        assert losses
        assert all(np.isfinite(list(losses.values())))
    moved = [not torch.equal(old, new) for old, new in zip(before, learner.networks.parameters(), strict=True)]
    assert np.mean(moved) > 0.9
    assert all(weight.isfinite().all() for weight in learner.average.parameters())
