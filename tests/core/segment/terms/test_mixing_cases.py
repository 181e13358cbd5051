"""Terms that mix images or carry over what is sure: cases by hand."""

import math

import pytest
import torch
from torch import nn

from histobridge.core.errors import InputError
from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.terms import mixing
from histobridge.core.segment.terms.base import Scene, Student, Unlabelled
from histobridge.core.segment.terms.dropout import dropped_features
from histobridge.core.segment.terms.mixing import CutMix, Interpolation, MixUp
from histobridge.core.segment.terms.mixing_settings import CutMixSettings, InterpolationSettings, MixUpSettings
from histobridge.core.segment.terms.strong import FixMatch, UniMatch
from histobridge.core.segment.terms.strong_settings import FixMatchSettings, UniMatchSettings
from histobridge.core.segment.terms.views import draw_boxes, pasted

LN4 = math.log(4)
"""As a difference of logits: probabilities of 0.8 and 0.2."""
STUDENT = Student(nn.Identity(), 2, 0)


class Grey(nn.Module):
    """Takes a grey value, times `slope`, for the logit of the background, against 0."""

    def __init__(self, slope: float = 1.0):
        super().__init__()
        self.slope = slope

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.slope * image, torch.zeros_like(image)], dim=1)


def uniform(image: torch.Tensor) -> torch.Tensor:
    """Logits of a guess among two classes."""
    return torch.zeros(len(image), 2, *image.shape[2:])


def crops(*values: float) -> torch.Tensor:
    """Crops of 2 x 2 pixels, each of one value."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2).clone()


def scene(net, weak, strong=None, *, teacher=None, labelled=None) -> Scene:
    ground = weak, torch.zeros(len(weak), 2, 2, dtype=torch.long), torch.ones(len(weak), 2, 2)
    views = Unlabelled(weak, weak if strong is None else strong, torch.zeros(len(weak), 3, dtype=torch.long))
    return Scene(net, teacher or net, (1, 1), labelled or ground, views)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.fixture
def quarter(monkeypatch):
    """Blend a quarter of each crop with three quarters of its neighbour."""
    monkeypatch.setattr(mixing, "_draw_share", lambda alpha: 0.25)


@pytest.fixture
def left_half(monkeypatch):
    """Paste the left half of the neighbour."""
    box = torch.tensor([[True, False], [True, False]])
    monkeypatch.setattr(mixing, "draw_boxes", lambda like, probability: box.expand(len(like), 2, 2))


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_boxes_cover_half_of_the_crops_that_have_one(probability):
    torch.manual_seed(0)
    covered = draw_boxes(torch.zeros(400, 1, 64, 64), probability).float().mean(dim=(1, 2))
    assert ((covered == 0) | ((covered - 0.5).abs() < 0.02)).all()
    assert (covered > 0).float().mean().item() == pytest.approx(probability, abs=0.06)


def test_boxes_have_all_side_ratios_between_one_half_and_two():
    torch.manual_seed(0)
    boxes = draw_boxes(torch.zeros(400, 1, 64, 64), 1.0)
    ratios = boxes.any(dim=2).sum(dim=1) / boxes.any(dim=1).sum(dim=1)
    assert ratios.min().item() == pytest.approx(0.5, abs=0.05)
    assert ratios.max().item() == pytest.approx(2, abs=0.2)


def test_a_box_shows_what_the_neighbour_has_there():
    boxes = torch.tensor([[[True, False], [False, False]]]).expand(2, 2, 2)
    first, second = pasted(crops(1.0, 2.0), boxes)[:, 0]
    assert first.tolist() == [[2, 1], [1, 1]]
    assert second.tolist() == [[1, 2], [2, 2]]


def test_mixup_weighs_the_labels_of_both_images(quarter):
    labels = torch.stack([torch.zeros(2, 2), torch.ones(2, 2)]).long()
    now = scene(uniform, crops(0.0, 0.0), labelled=(crops(0.0, 0.0), labels, torch.ones(2, 2, 2)))
    # cross-entropy ln 2; the Dice of a guess with the foreground's 4 of 8 pixels is 2 * 2 / (4 + 4)
    assert MixUp(MixUpSettings(), STUDENT).loss(now).item() == pytest.approx(math.log(2) + 0.5, abs=1e-4)


def test_mixup_leaves_out_the_unlabelled_image_of_a_blend(quarter):
    # crop 0 is background, crop 1 has no label; the net sees 0.75 of crop 1 in blend 0 and 0.25 of it in blend 1
    labels = torch.stack([torch.zeros(2, 2), torch.full((2, 2), 255)]).long()
    image = crops(0.0, LN4)
    loss = MixUp(MixUpSettings(), STUDENT).loss(scene(Grey(), image, labelled=(image, labels, torch.ones(2, 2, 2))))
    own, neighbours = -math.log(sigmoid(0.75 * LN4)), -math.log(sigmoid(0.25 * LN4))
    assert loss.item() == pytest.approx(0.25 * own + 0.75 * neighbours + 1, abs=1e-4)  # and no foreground: Dice 0


def test_mixup_of_a_whole_image_is_the_supervised_loss(monkeypatch):
    monkeypatch.setattr(mixing, "_draw_share", lambda alpha: 1.0)
    labels = torch.tensor([[[0, 1], [1, 255]], [[1, 1], [0, 0]]])
    labelled = crops(0.3, -0.7), labels, torch.tensor([1.0, 0.2])[:, None, None].expand(2, 2, 2)
    expected = masked_dice_ce(Grey()(labelled[0]), *labelled[1:])
    assert MixUp(MixUpSettings(), STUDENT).loss(scene(Grey(), labelled[0], labelled=labelled)) == expected


def test_interpolation_compares_the_blend_of_images_with_that_of_answers(quarter):
    loss = Interpolation(InterpolationSettings(), STUDENT).loss(scene(Grey(), crops(0.0, LN4)))
    # the teacher says 0.5 and 0.8
    first = sigmoid(0.75 * LN4) - (0.25 * 0.5 + 0.75 * 0.8)
    second = sigmoid(0.25 * LN4) - (0.25 * 0.8 + 0.75 * 0.5)
    assert loss.item() == pytest.approx((first**2 + second**2) / 2, abs=1e-6)


def test_shares_are_drawn_from_a_beta_distribution():
    torch.manual_seed(0)
    shares = []

    def watching(image: torch.Tensor) -> torch.Tensor:
        shares.append(image[0, 0, 0, 0].item())  # of crop 0, which is 1, its neighbour 0
        return Grey()(image)

    for _ in range(800):
        Interpolation(InterpolationSettings(), STUDENT).loss(scene(watching, crops(1.0, 0.0), teacher=Grey()))
    drawn = torch.tensor(shares)
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.05)
    assert drawn.var().item() == pytest.approx(0.25 / 1.4, abs=0.015)  # 1 / (4 (2 alpha + 1))


def test_cutmix_pastes_labels_weights_and_gaps_along_with_the_image(left_half):
    # grey values are what the net needs to be right, except where nothing is labelled or nothing counts
    image = torch.tensor([[[9.0, 9.0], [-9.0, -9.0]], [[-9.0, 9.0], [9.0, -9.0]]])[:, None]
    labels = torch.tensor([[[0, 255], [1, 1]], [[1, 0], [1, 1]]])
    image[0, 0, 0, 1] = -9.0  # wrong, but unlabelled
    weight = torch.ones(2, 2, 2)
    weight[1, 1, 0] = 0.0  # wrong, but without weight
    term = CutMix(CutMixSettings(images="labelled"), STUDENT)
    loss = term.loss(scene(Grey(), image, labelled=(image, labels, weight)))
    assert not term.needs_unlabelled
    assert loss.item() == pytest.approx(0, abs=1e-3)


def test_cutmix_without_labels_counts_as_far_as_the_teacher_is_sure(left_half):
    sure = math.log(0.99 / 0.01)
    term = CutMix(CutMixSettings(), STUDENT)
    loss = term.loss(scene(uniform, crops(LN4, sure), teacher=Grey()))
    # half the pixels are surer than 0.97; each pasted crop is half 0.8 and half 0.99, the student says 0.5
    assert loss.item() == pytest.approx(0.5 * (0.3**2 + 0.49**2) / 2, abs=1e-6)


def test_cutmix_shows_the_student_the_other_look_and_the_teacher_the_image(left_half):
    term = CutMix(CutMixSettings(threshold=0), STUDENT)
    loss = term.loss(scene(Grey(), crops(LN4, LN4), strong=crops(0.0, 0.0)))
    assert loss.item() == pytest.approx(0.09, abs=1e-6)


@pytest.mark.parametrize(("threshold", "expected"), [(0.95, 0.0), (0.7, math.log(2) / 2), (0.0, math.log(2))])
def test_fixmatch_is_the_cross_entropy_where_the_image_is_sure(threshold, expected):
    # one crop is 0.8 sure, the other 0.5; in the other look both are a guess
    now = scene(Grey(), crops(LN4, 0.0), strong=crops(0.0, 0.0))
    loss = FixMatch(FixMatchSettings(threshold=threshold), STUDENT).loss(now)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_fixmatch_learns_from_the_other_look_alone():
    weak, strong = crops(LN4).requires_grad_(), crops(0.0).requires_grad_()
    FixMatch(FixMatchSettings(threshold=0.7), STUDENT).loss(scene(Grey(), weak, strong=strong)).backward()
    assert weak.grad is None
    assert (strong.grad < 0).all()  # more background


def test_fixmatch_pastes_classes_along_with_the_image():
    torch.manual_seed(0)
    # one crop is background, one foreground, and in the other look both are so still: nothing to learn
    views = crops(9.0, -9.0)
    term = FixMatch(FixMatchSettings(cutmix=1.0), STUDENT)
    assert term.loss(scene(Grey(), views)).item() == pytest.approx(0, abs=1e-3)


def skipping(slope: float) -> nn.Module:
    """Logits of background ``slope * grey``, by way of a skip connection."""
    from monai.networks.layers.simplelayers import SkipConnection

    last = nn.Conv2d(2, 2, 1, bias=False)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[slope / 2, slope / 2], [0.0, 0.0]])[:, :, None, None])
    return nn.Sequential(SkipConnection(nn.Identity()), last)


def test_unimatch_is_half_the_features_and_a_quarter_each_look():
    term = UniMatch(UniMatchSettings(threshold=0.7, cutmix=0, dropout=0, strength=0), STUDENT)
    loss = term.loss(scene(skipping(LN4), crops(1.0), strong=crops(0.0)))
    # background with 0.8; the first look is a guess, the second and the features are as the image
    assert loss.item() == pytest.approx((math.log(2) - math.log(0.8)) / 4 - math.log(0.8) / 2, abs=1e-6)


def test_unimatch_draws_a_second_look():
    torch.manual_seed(0)
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = skipping(1.0)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image.clone())
            return self.net(image)

    weak = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    now = Scene(Watched(), Grey(), (1, 1), (weak, weak[:, 0].long(), weak[:, 0]), Unlabelled(weak, -weak, weak))
    for _ in range(4):
        UniMatch(UniMatchSettings(cutmix=0), STUDENT).loss(now)
    others = [image for image in seen if not torch.equal(image, weak) and not torch.equal(image, -weak)]
    assert others
    assert all(image.min() >= -1 and image.max() <= 1 for image in others)


def test_unimatch_says_that_it_needs_a_u_net():
    with pytest.raises(InputError, match="choose fixmatch"):
        UniMatch(UniMatchSettings(), STUDENT).loss(scene(Grey(), crops(1.0)))


def test_dropped_features_are_whole_maps_and_keep_the_mean():
    from monai.networks.layers.simplelayers import SkipConnection

    torch.manual_seed(0)
    net = SkipConnection(nn.Identity())
    image = torch.ones(1, 500, 2, 2)
    with dropped_features(net, 0.5):
        maps = net(image)[0]
    assert {tuple(each.flatten().tolist()) for each in maps} == {(0.0,) * 4, (2.0,) * 4}
    assert maps.mean().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(net(image), torch.ones(1, 1000, 2, 2))


def test_nothing_is_dropped_inside_the_encoder_nor_of_the_decoder():
    from monai.networks.layers.simplelayers import SkipConnection

    torch.manual_seed(0)
    reached: list[torch.Tensor] = []
    inner = SkipConnection(nn.Identity())
    inner.register_forward_pre_hook(lambda module, inputs: reached.append(inputs[0]))
    constant = nn.Sequential(inner, nn.Conv2d(200, 100, 1))
    nn.init.zeros_(constant[1].weight)
    nn.init.ones_(constant[1].bias)
    outer = SkipConnection(constant)
    with dropped_features(outer, 0.5), torch.no_grad():
        joined = outer(torch.ones(1, 100, 2, 2))
    assert (reached[-1] == 1).all()  # what the inner encoder gets
    assert (joined[:, 100:] == 1).all()  # what comes up from the decoder
    assert set(joined[:, :100].unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("preset", ["tiny", "cpu", "gpu"])
def test_features_of_every_preset_can_be_dropped(preset):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, image = build_network(preset, 3).eval(), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        whole = net(image)
        with dropped_features(net, 0.5):
            assert not torch.equal(net(image), whole)
        assert torch.equal(net(image), whole)
