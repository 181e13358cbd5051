"""Terms that carry what is sure of an image over to strongly changed views of it."""

import numpy as np
import torch
from torch.nn import functional

from histobridge.core.segment.augment import change_look
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.dropout import dropped_features
from histobridge.core.segment.terms.strong_settings import FixMatchSettings, UniMatchSettings
from histobridge.core.segment.terms.views import draw_boxes, pasted


class FixMatch(Term):
    """Of an image in another look say what is sure of it as it is.

    ``mean over pixels of [max p(x) >= threshold] CE(f(look(x)), argmax p(x))``, p the student itself without gradient
    (Sohn et al. 2020, NeurIPS). Pixels left out count in the mean, so the term grows as the student gets surer.
    Default threshold 0.95, no boxes pasted in, weight 1.
    """

    def __init__(self, settings: FixMatchSettings | UniMatchSettings, student: Student):
        super().__init__(settings, student)
        self.threshold, self.cutmix = settings.threshold, settings.cutmix

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        return self.on(scene.unlabelled.strong, scene)

    def on(self, strong: torch.Tensor, scene: Scene) -> torch.Tensor:
        """Loss on crops (N, 1, Y, X) in another look."""
        classes, sure = self.sure_classes(scene)
        if self.cutmix:
            boxes = draw_boxes(strong, self.cutmix)
            strong, classes, sure = pasted(strong, boxes), pasted(classes, boxes), pasted(sure, boxes)
        logits = scene.logits_strong if strong is scene.unlabelled.strong else scene.net(strong)
        return _carried_over(logits, classes, sure)

    def sure_classes(self, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
        """Class (N, Y, X) of the crops as they are, and 1 where it is sure, else 0."""
        probability, classes = scene.logits_weak.detach().softmax(dim=1).max(dim=1)
        return classes, (probability >= self.threshold).float()


class UniMatch(FixMatch):
    """Of an image in two other looks, and with features dropped, say what is sure of it as it is.

    ``1/4 L(look_1(x)) + 1/4 L(look_2(x)) + 1/2 L(x with features dropped)``, L as for FixMatch, the looks each with a
    box of another crop pasted in at a probability (Yang et al. 2023, CVPR; weights relative to the supervised loss).
    Default threshold 0.95, boxes at 0.5, half of the encoder's features dropped, weight 1.
    """

    def __init__(self, settings: UniMatchSettings, student: Student):
        super().__init__(settings, student)
        self.dropout, self.strength = settings.dropout, settings.strength

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        looks = self.on(scene.unlabelled.strong, scene) + self.on(self._another_look(scene.unlabelled.weak), scene)
        with dropped_features(scene.net, self.dropout):
            logits = scene.net(scene.unlabelled.weak)
        return looks / 4 + _carried_over(logits, *self.sure_classes(scene)) / 2

    def _another_look(self, weak: torch.Tensor) -> torch.Tensor:
        """Draw a second other look; from torch's random state, which checkpoints keep."""
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        looks = [change_look(crop, self.strength, rng) for crop in weak[:, 0].cpu().numpy()]
        return torch.from_numpy(np.stack(looks)[:, None]).to(weak)


def _carried_over(logits: torch.Tensor, classes: torch.Tensor, sure: torch.Tensor) -> torch.Tensor:
    """Mean over all pixels of the cross-entropy where it is sure."""
    return (functional.cross_entropy(logits, classes, reduction="none") * sure).mean()
