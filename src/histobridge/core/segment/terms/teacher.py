"""Terms with a teacher that is a running average of the student."""

import torch
from torch.nn import functional

from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings


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
            pixels = (scene.logits_strong.softmax(dim=1) - taught).square().mean(dim=1)
        return (pixels * sure).sum() / sure.sum().clamp_min(1)
