"""Terms with a teacher that is a running average of the student."""

import math

import torch
from torch.nn import functional

from histobridge.core.segment.terms.agreement import entropy, squared_difference
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings, UncertaintyMeanTeacherSettings
from histobridge.core.segment.terms.views import noisy


class MeanTeacher(Term):
    """The student, shown another look, agrees with the teacher, shown the image as it is.

    ``mean over pixels with max p_T >= threshold of |p_S - p_T|^2 / K``, or with `hard` the cross-entropy of the
    student with the teacher's classes (Tarvainen and Valpola 2017, NeurIPS; for segmentation Perone and Cohen-Adad
    2018).
    """

    def __init__(self, settings: MeanTeacherSettings, student: Student):
        super().__init__(settings, student)
        self.threshold, self.hard = settings.threshold, settings.hard

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        taught = scene.taught
        sure = (taught.amax(dim=1) >= self.threshold).float()
        if self.hard:
            pixels = functional.cross_entropy(scene.logits_strong, taught.argmax(dim=1), reduction="none")
        else:
            pixels = squared_difference(scene.logits_strong.softmax(dim=1), taught)
        return (pixels * sure).sum() / sure.sum().clamp_min(1)


class UncertaintyMeanTeacher(Term):
    """The student agrees with the teacher where noisy looks leave the teacher in little doubt.

    ``mean over pixels with u < H of |p_S - p_T|^2 / K``, ``u = -sum_k q_k ln q_k`` of the mean q of several noisy
    passes of the teacher, ``H = (3/4 + 1/4 r) ln K``, r rising with the ramp from 0 to 1 (Yu et al. 2019, MICCAI; ln K
    is the entropy of a guess among K classes, ln 2 that among two alone). Default 8 passes, noise 0.1, weight 1. The
    teacher has no dropout: noise is what differs between its passes.
    """

    def __init__(self, settings: UncertaintyMeanTeacherSettings, student: Student):
        super().__init__(settings, student)
        self.passes, self.noise = settings.passes, settings.noise

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        limit = (0.75 + 0.25 * self.risen(scene.step, scene.steps)) * math.log(scene.taught.shape[1])
        sure = (self.doubt(scene) < limit).float()
        pixels = squared_difference(scene.logits_strong.softmax(dim=1), scene.taught)
        return (pixels * sure).sum() / sure.sum().clamp_min(1)

    @torch.no_grad()
    def doubt(self, scene: Scene) -> torch.Tensor:
        """Entropy (N, Y, X) of the mean of the teacher's noisy looks."""
        weak = scene.unlabelled.weak
        looks = [scene.average(noisy(weak, self.noise)).softmax(dim=1) for _ in range(self.passes)]
        return entropy(torch.stack(looks).mean(dim=0))
