"""Terms with a teacher: a case by hand, and the loop that carries them."""

import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.errors import InputError
from histobridge.core.job import finish
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.terms.base import Scene, Student, Unlabelled
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.terms.settings import MeanTeacherSettings
from histobridge.core.segment.terms.teacher import MeanTeacher
from histobridge.core.segment.train import train
from histobridge.core.training_config import SegmenterTraining


class Fixed(nn.Module):
    """Says the same whatever it sees."""

    def __init__(self, logits: list[float]):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits[None, :, None, None].expand(len(image), -1, *image.shape[2:])


def scene(student: list[float], teacher: list[float]) -> Scene:
    crops = torch.zeros(1, 1, 2, 2)
    labelled = crops, torch.zeros(1, 2, 2, dtype=torch.long), torch.ones(1, 2, 2)
    return Scene(Fixed(student), Fixed(teacher), (1, 1), labelled, Unlabelled(crops, crops, torch.zeros(1, 3)))


def test_mean_teacher_is_the_mean_squared_difference():
    term = MeanTeacher(MeanTeacherSettings(), Student(nn.Identity(), 2, 0))
    # softmax gives (0.5, 0.5) and (0.8, 0.2)
    loss = term.loss(scene([0.0, 0.0], [float(np.log(4)), 0.0]))
    assert loss.item() == pytest.approx(0.09, abs=1e-6)


def test_mean_teacher_leaves_out_where_it_is_unsure():
    term = MeanTeacher(MeanTeacherSettings(threshold=0.9), Student(nn.Identity(), 2, 0))
    assert term.loss(scene([0.0, 0.0], [float(np.log(4)), 0.0])).item() == 0


def test_hard_mean_teacher_is_the_cross_entropy_with_its_class():
    term = MeanTeacher(MeanTeacherSettings(hard=True), Student(nn.Identity(), 2, 0))
    assert term.loss(scene([0.0, 0.0], [1.0, 0.0])).item() == pytest.approx(np.log(2), abs=1e-6)


def test_the_weight_rises_over_the_ramp():
    term = MeanTeacher(MeanTeacherSettings(weight=2.0, ramp=0.5), Student(nn.Identity(), 2, 0))
    assert term.share(1, 100) == pytest.approx(2 * np.exp(-5 * 0.98**2))
    assert term.share(50, 100) == term.share(100, 100) == 2.0


def field() -> Field:
    labels = np.zeros((64, 64), np.uint8)
    labels[:, ::8] = 1
    return Field((labels * 1.6 - 0.8).astype(np.float32), labels)


def trained(folder, steps_first: int | None, **changes) -> nn.Module:
    config = SegmenterTraining(
        preset="tiny", steps=6, batch_size=2, crop_px=32, checkpoint_every=2, terms=(MeanTeacherSettings(),), **changes
    )
    net = build_network("tiny", 2)
    parts = CropSampler([field()], 32, 1.0, 0), TilePool([field().image], 32, 1.0, 0)
    job = train(net, parts[0], config, folder, unlabelled=parts[1])
    if steps_first is None:
        return finish(job)
    for _ in range(steps_first):
        next(job)
    job.close()
    return trained(folder, None, **changes)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_resumed_training_with_terms_equals_an_uninterrupted_one(tmp_path, average):
    torch.set_num_threads(1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, resumed = trained(tmp_path / "a", None, average=average), trained(tmp_path / "b", 3, average=average)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_average_is_kept_in_place_of_the_last_weights(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    last, average = trained(tmp_path / "a", None), trained(tmp_path / "b", None, average=0.9)
    assert not torch.equal(next(last.parameters()), next(average.parameters()))


def test_a_term_that_needs_unlabelled_images_says_so():
    config = SegmenterTraining(preset="tiny", steps=1, crop_px=32, terms=(MeanTeacherSettings(),))
    with pytest.raises(InputError, match="add target images"):
        finish(train(build_network("tiny", 2), CropSampler([field()], 32, 1.0, 0), config))


def test_terms_are_shown_beside_the_loss():
    seen = []
    config = SegmenterTraining(preset="tiny", steps=1, crop_px=32, batch_size=1, terms=(MeanTeacherSettings(),))
    pool = TilePool([np.zeros((20, 20), np.float32)], 32, 1.0, 0)
    finish(
        train(build_network("tiny", 2), CropSampler([field()], 32, 1.0, 0), config, unlabelled=pool),
        lambda progress: seen.append(set(progress.metrics)),
    )
    assert seen == [{"loss", "mean-teacher"}]
