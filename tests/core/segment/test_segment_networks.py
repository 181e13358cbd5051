import pytest
import torch

from histobridge.core.device import choose_device
from histobridge.core.errors import InputError
from histobridge.core.segment.networks import build_network


@pytest.mark.parametrize(("preset", "millions"), [("tiny", 0.12), ("cpu", 1.63), ("gpu", 7.76)])
def test_presets_have_the_stated_size_and_map_any_multiple_of_16(preset, millions):
    net = build_network(preset, 3).eval()
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, 32, 48)).shape == (1, 3, 32, 48)


@pytest.mark.parametrize("preset", ["tiny", "cpu", "gpu"])
def test_all_norms_are_batch_norms_so_that_tiles_join(preset):
    kinds = {type(module).__name__ for module in build_network(preset, 2).modules() if "Norm" in type(module).__name__}
    assert kinds == {"BatchNorm2d"}


def test_the_seed_decides_the_weights_and_leaves_the_global_random_state():
    before = torch.get_rng_state()
    first, again, other = (build_network("tiny", 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [torch.cat([parameter.flatten() for parameter in net.parameters()]) for net in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="huge"):
        build_network("huge", 2)


def test_a_missing_gpu_is_refused_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="cuda"):
        choose_device("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_preset_agrees_with_itself_on_the_cpu():
    net = build_network("gpu", 3).eval()
    image = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        expected = net(image)
        found = net.to(choose_device("cuda"))(image.cuda()).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
