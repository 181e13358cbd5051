import pytest
import torch

from histobridge.core.translate.diffusion_layers import double, halve, time_waves
from histobridge.core.translate.generators import discriminator_of, generator_of
from histobridge.core.translate.group_norm import StepGroupNorm, set_mode
from histobridge.core.translate.ncsnpp import Attention, NcsnPlusPlus
from histobridge.core.translate.syndiff_presets import SYNDIFF
from histobridge.core.translate.syndiff_settings import SynDiffSettings
from histobridge.core.translate.time_discriminator import TimeDiscriminator

TINY = SynDiffSettings(width=4, multipliers=(1, 2, 2), latent=3, latent_width=8)


def weights(net):
    return sum(weight.numel() for weight in net.parameters())


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def shaken(net):
    """Give layers that start next to nothing a say."""
    for weight in net.parameters():
        weight.add_(0.2 * torch.randn_like(weight))
    return net


def made(net, *shape, step=None):
    count = shape[0]
    noisy, source = torch.randn(2, count, 1, *shape[1:])
    step = torch.zeros(count, dtype=torch.int64) if step is None else step
    return net(noisy, source, step, torch.randn(count, net.settings.latent))


@pytest.mark.parametrize("preset", ["faithful", "faithful-256"])
def test_the_faithful_networks_have_as_many_weights_as_published(preset):
    config = SYNDIFF[preset]
    settings = config.syndiff
    judge = (settings.judge_width, settings.judge_halvings, settings.judge_time_width)
    with torch.device("meta"):
        assert weights(NcsnPlusPlus(settings)) == 39_725_250
        assert weights(TimeDiscriminator(*judge)) == 27_736_705
        assert weights(generator_of(config)) == 7_825_153
        assert weights(discriminator_of(config)) == 2_762_689


@pytest.mark.parametrize(("preset", "side"), [("faithful", 512), ("faithful-256", 256)])
def test_faithful_networks_attend_where_a_crop_is_16_px_wide(preset, side):
    config = SYNDIFF[preset]
    assert config.crop_px == side
    assert [side // 2**level for level in config.syndiff.attention_levels] == [16]
    with torch.device("meta"):
        assert sum(isinstance(layer, Attention) for layer in NcsnPlusPlus(config.syndiff).modules()) == 4


def test_halving_and_doubling_keep_what_is_even():
    even = torch.full((1, 3, 12, 16), 0.5)
    torch.testing.assert_close(halve(even)[:, :, 1:-1, 1:-1], torch.full((1, 3, 4, 6), 0.5))
    torch.testing.assert_close(double(even)[:, :, 1:-1, 1:-1], torch.full((1, 3, 22, 30), 0.5))


def test_halving_weighs_four_pixels_by_1_3_3_1():
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, :, 3] = 1
    torch.testing.assert_close(halve(image)[0, 0, 2], torch.tensor([0, 3, 1, 0]) / 8)


def test_doubling_is_halving_turned_round():
    fine, coarse = torch.randn(1, 2, 8, 8), torch.randn(1, 2, 4, 4)
    torch.testing.assert_close((halve(fine) * coarse).sum(), (fine * double(coarse)).sum() / 4)


def test_time_has_sines_and_cosines_from_fast_to_slow():
    waves = time_waves(torch.tensor([0, 3]), 6)
    assert waves[0].tolist() == [0, 0, 0, 1, 1, 1]
    torch.testing.assert_close(waves[1, :3], torch.sin(3 * torch.tensor([1, 0.01, 0.0001])))


def test_the_generator_starts_next_to_grey():
    assert made(NcsnPlusPlus(TINY), 1, 16, 16).abs().max() < 1e-3


@pytest.mark.parametrize("attends", [(), (1,)])
@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (32, 12)])
def test_images_of_any_size_keep_it(attends, shape):
    settings = TINY.model_copy(update={"attention_levels": attends, "middle_attention": bool(attends)})
    result = made(shaken(NcsnPlusPlus(settings)), 2, *shape)
    assert result.shape == (2, 1, *shape)
    assert result.abs().max() <= 1


def test_time_latent_noise_and_source_all_matter():
    net = shaken(NcsnPlusPlus(TINY))
    first = [torch.randn(1, 1, 8, 8), torch.randn(1, 1, 8, 8), torch.tensor([1]), torch.randn(1, 3)]
    expected = net(*first)
    for place, other in enumerate((torch.randn(1, 1, 8, 8), torch.randn(1, 1, 8, 8), torch.tensor([2]))):
        assert not torch.allclose(net(*first[:place], other, *first[place + 1 :]), expected)
    assert not torch.allclose(net(*first[:3], torch.randn(1, 3)), expected)
    torch.testing.assert_close(net(*first[:3], 5 * first[3]), expected)


def test_images_of_a_batch_are_made_alone():
    net = shaken(NcsnPlusPlus(TINY))
    noisy, source, step, latent = *torch.randn(2, 3, 1, 8, 8), torch.tensor([0, 2, 3]), torch.randn(3, 3)
    alone = net(noisy[1:2], source[1:2], step[1:2], latent[1:2])
    torch.testing.assert_close(net(noisy, source, step, latent)[1:2], alone)


def test_recomputing_changes_no_gradient():
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(1)
        with torch.enable_grad():
            net = NcsnPlusPlus(TINY.model_copy(update={"recompute": recompute}))
            with torch.no_grad():
                shaken(net)
            made(net.train(), 1, 8, 8).sum().backward()
        gradients.append(net.open.weight.grad)
    torch.testing.assert_close(*gradients)


def test_each_step_has_fixed_statistics_of_its_own():
    norm = StepGroupNorm(8, steps=2)
    shown = [torch.randn(20, 8, 4, 4), 3 + 2 * torch.randn(20, 8, 4, 4)]
    set_mode(norm, "measuring")
    for step, images in enumerate(shown):
        norm(images, torch.full((20,), step))
    set_mode(norm, "fixed")
    for step, images in enumerate(shown):
        normal = norm(images, torch.full((20,), step))
        torch.testing.assert_close(normal.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
        torch.testing.assert_close(normal.var(unbiased=False), torch.tensor(1.0), atol=1e-3, rtol=0)
        torch.testing.assert_close(norm(images[:1], torch.tensor([step])), normal[:1])


def test_live_statistics_are_those_of_group_normalisation():
    images = torch.randn(2, 12, 4, 4)
    expected = torch.nn.functional.group_norm(images, 3, eps=1e-6)
    assert torch.equal(StepGroupNorm(12, steps=4)(images, torch.tensor([0, 1])), expected)


def test_the_discriminator_gives_one_number_an_image_of_any_size():
    judge = shaken(TimeDiscriminator(2, 3, 8))
    for shape in ((2, 1, 32, 32), (4, 1, 8, 24), (8, 1, 16, 16)):
        logits = judge(torch.randn(shape), torch.zeros(shape[0], dtype=torch.int64), torch.randn(shape))
        assert logits.shape == shape[:1]
        assert logits.isfinite().all()


def test_the_discriminator_sees_time_both_images_and_the_variety_of_a_batch():
    judge = shaken(TimeDiscriminator(2, 2, 8))
    now, later = torch.randn(2, 2, 1, 16, 16)
    expected = judge(now, torch.tensor([1, 1]), later)
    assert not torch.allclose(judge(now, torch.tensor([1, 3]), later)[1:], expected[1:])
    assert not torch.allclose(judge(later, torch.tensor([1, 1]), now), expected)
    same = judge(now[:1].repeat(2, 1, 1, 1), torch.tensor([1, 1]), later[:1].repeat(2, 1, 1, 1))
    assert not torch.allclose(same[:1], expected[:1])
