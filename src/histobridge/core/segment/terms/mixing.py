"""Terms that mix images."""

import torch

from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.segment.terms.agreement import squared_difference
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.mixing_settings import CutMixSettings, InterpolationSettings, MixUpSettings
from histobridge.core.segment.terms.views import draw_boxes, neighbour, pasted


class MixUp(Term):
    """Learn from blends of two labelled images.

    ``m L(f(m a + (1 - m) b), y_a) + (1 - m) L(f(m a + (1 - m) b), y_b)`` with m from Beta(alpha, alpha) and L the
    supervised loss, each with the weights and the unlabelled pixels of its own image (Zhang et al. 2018, ICLR).
    Default alpha 0.2, weight 1.
    """

    needs_unlabelled = False

    def __init__(self, settings: MixUpSettings, student: Student):
        super().__init__(settings, student)
        self.alpha = settings.alpha

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        share = _draw_share(self.alpha)
        logits = scene.net(share * scene.image + (1 - share) * neighbour(scene.image))
        first = masked_dice_ce(logits, scene.labels, scene.weight)
        second = masked_dice_ce(logits, neighbour(scene.labels), neighbour(scene.weight))
        return share * first + (1 - share) * second


class Interpolation(Term):
    """Of a blend of two images say the blend of what the teacher says of them.

    ``mean over pixels of |f(m a + (1 - m) b) - (m p_T(a) + (1 - m) p_T(b))|^2 / K`` with m from Beta(alpha, alpha)
    (interpolation consistency training, Verma et al. 2019, IJCAI). Default alpha 0.2, weight 1.
    """

    def __init__(self, settings: InterpolationSettings, student: Student):
        super().__init__(settings, student)
        self.alpha = settings.alpha

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        share, image, taught = _draw_share(self.alpha), scene.unlabelled.weak, scene.taught
        predicted = scene.net(share * image + (1 - share) * neighbour(image)).softmax(dim=1)
        return squared_difference(predicted, share * taught + (1 - share) * neighbour(taught)).mean()


class CutMix(Term):
    """Learn from images with a box of another image pasted in.

    With labels: the supervised loss on image, labels and weight pasted alike (Yun et al. 2019, ICCV). Without:
    ``c mean over pixels of |f(paste(a, b)) - paste(p_T(a), p_T(b))|^2 / K``, c the share of pixels with
    ``max p_T > threshold``; the student sees the images in another look, the teacher as they are (French et al. 2020,
    BMVC). A box covers half a crop. Default without labels, threshold 0.97, weight 1; from scratch c is 0 until the
    teacher is sure of something.
    """

    def __init__(self, settings: CutMixSettings, student: Student):
        super().__init__(settings, student)
        self.needs_unlabelled = settings.images == "unlabelled"
        self.threshold = settings.threshold

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        if self.needs_unlabelled:
            return self._unlabelled(scene)
        boxes = draw_boxes(scene.image, 1.0)
        logits = scene.net(pasted(scene.image, boxes))
        return masked_dice_ce(logits, pasted(scene.labels, boxes), pasted(scene.weight, boxes))

    def _unlabelled(self, scene: Scene) -> torch.Tensor:
        boxes = draw_boxes(scene.unlabelled.strong, 1.0)
        predicted = scene.net(pasted(scene.unlabelled.strong, boxes)).softmax(dim=1)
        sure = (scene.taught.amax(dim=1) > self.threshold).float().mean()
        return sure * squared_difference(predicted, pasted(scene.taught, boxes)).mean()


def _draw_share(alpha: float) -> float:
    """Draw from Beta(alpha, alpha)."""
    return float(torch.distributions.Beta(alpha, alpha).sample())
