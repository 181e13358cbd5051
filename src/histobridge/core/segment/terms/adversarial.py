"""Terms that play against a discriminator, which is trained in turns with the student."""

import math

import torch
from torch import nn
from torch.nn import functional

from histobridge.core.manifest import IGNORE
from histobridge.core.segment.terms.adversarial_settings import (
    AdversarialFeaturesSettings,
    AdversarialSettings,
    DiscriminatorSelfTrainingSettings,
    MasksSettings,
)
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.discriminator import build_discriminator, discriminator_loss, judged_as
from histobridge.core.segment.terms.features import Taps

BETAS = 0.5, 0.99


class Adversarial(Term):
    """The student wants its maps of unlabelled images judged labelled; the discriminator learns to tell them apart.

    After each step of the student the discriminator takes one of its own, on the same maps without gradient.

    Parameters
    ----------
    settings : AdversarialSettings
    student : Student
    discriminator : nn.Module
        Maps what `views` returns to logits, high for labelled.
    """

    nets: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, settings: AdversarialSettings, student: Student, discriminator: nn.Module):
        super().__init__(settings, student)
        self.game = settings.loss
        self.nets = discriminator.to(student.device)
        self.optimizer = torch.optim.Adam(self.nets.parameters(), settings.discriminator_learning_rate, BETAS)
        self._judged: tuple[torch.Tensor, torch.Tensor] | None = None

    def views(self, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (N, C, Y, X) that stand for labelled, and those of the unlabelled images with gradient."""
        raise NotImplementedError

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        labelled, unlabelled = self.views(scene)
        self._judged = labelled.detach(), unlabelled.detach()
        return self.fooled(labelled, unlabelled)

    def fooled(self, labelled: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
        """Scalar: how far the student is from fooling the discriminator."""
        del labelled
        return judged_as(self.game, self.nets(unlabelled), labelled=True)

    def after_step(self, scene: Scene) -> dict[str, float]:
        """Train the discriminator; returns its loss."""
        del scene
        if self._judged is None:
            return {}
        loss = discriminator_loss(self.game, self.nets, *self._judged)
        self._judged = None
        self.optimizer.zero_grad(set_to_none=True)
        if torch.isfinite(loss):
            loss.backward()
            self.optimizer.step()
        return {f"{self.name}-discriminator": float(loss.detach())}


class AdversarialMasks(Adversarial):
    """Predictions on unlabelled images pass for labels.

    ``mean over regions of l(D(softmax S(x_u)), labelled)``, l by default the binary cross-entropy; the discriminator
    takes one-hot labels, or predictions on labelled images, for labelled (Hung et al. 2018, BMVC; Zhang et al. 2017,
    MICCAI). Where a labelled image has no label, the student's prediction stands in. Default weight 0.01 (Hung 0.01
    to 0.001 over 20,000 steps; Zhang 0.1).
    """

    def __init__(self, settings: MasksSettings, student: Student):
        channels = student.channels + int(settings.with_image)
        net = build_discriminator(channels, student.seed, spectral_norm=settings.spectral_norm)
        super().__init__(settings, student, net)
        self.from_labels, self.with_image = settings.real == "labels", settings.with_image

    def views(self, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks, with the image behind them where asked for."""
        labelled, unlabelled = scene.logits.detach().softmax(dim=1), scene.logits_weak.softmax(dim=1)
        if self.from_labels:
            known = scene.labels != IGNORE
            classes = functional.one_hot(torch.where(known, scene.labels, 0), labelled.shape[1]).movedim(-1, 1)
            labelled = torch.where(known[:, None], classes.to(labelled.dtype), labelled)
        if self.with_image:
            labelled = torch.cat([labelled, scene.image], dim=1)
            unlabelled = torch.cat([unlabelled, scene.unlabelled.weak], dim=1)
        return labelled, unlabelled


class DiscriminatorSelfTraining(AdversarialMasks):
    """The student learns its own classes where the discriminator takes them for labels.

    ``mean over pixels with D > T of -log p[argmax p]``, T 0.2, plus 0.1 times the term of `AdversarialMasks` on the
    same discriminator (Hung et al. 2018, BMVC: weights 0.1 and 0.001). A discriminator that knows nothing says 0.5
    everywhere and lets all pixels through, hence the ramp.
    """

    def __init__(self, settings: DiscriminatorSelfTrainingSettings, student: Student):
        super().__init__(settings, student)
        self.threshold, self.adversarial = settings.threshold, settings.adversarial

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        fooled = super().loss(scene)
        logits = scene.logits_weak
        with torch.no_grad():
            judgement = functional.interpolate(
                self.nets(self.views(scene)[1]), logits.shape[2:], mode="bilinear", align_corners=False
            )[:, 0]
            sure = ((judgement.sigmoid() if self.game == "bce" else judgement) > self.threshold).float()
        pixels = functional.cross_entropy(logits, logits.detach().argmax(dim=1), reduction="none")
        return (pixels * sure).sum() / sure.sum().clamp_min(1) + self.adversarial * fooled


class AdversarialOutput(Adversarial):
    """Predictions on unlabelled images pass for predictions on labelled ones.

    ``mean over regions of l(D(softmax S(x_u)), labelled)`` against D on softmax S(x_l) (AdaptSegNet, Tsai et al. 2018,
    CVPR; single level). Default weight 0.01 (there 0.001 over 250,000 steps, 0.01 with least squares).
    """

    def __init__(self, settings: AdversarialSettings, student: Student):
        net = build_discriminator(student.channels, student.seed, spectral_norm=settings.spectral_norm)
        super().__init__(settings, student, net)

    def views(self, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities."""
        return scene.logits.detach().softmax(dim=1), scene.logits_weak.softmax(dim=1)


class AdversarialEntropy(AdversarialOutput):
    """The student is as sure, at the same places, on unlabelled images as on labelled ones.

    As `AdversarialOutput`, on the maps ``-p log p / log K`` per class (ADVENT, Vu et al. 2019, CVPR). Default weight
    0.01 (there 0.001 over 120,000 steps).
    """

    def views(self, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
        """Entropy of each class in each pixel."""
        return _self_information(scene.logits.detach()), _self_information(scene.logits_weak)


class AdversarialFeatures(Adversarial):
    """The features do not tell which images are labelled.

    ``(l(D(f_u), labelled) + l(D(f_l), unlabelled)) / 2`` with f the features of the bottleneck, or of all resolutions
    brought to its size and stacked. That is DANN (Ganin et al. 2016, JMLR; multi-scale Kamnitsas et al. 2017, IPMI)
    with swapped labels in place of a reversed gradient, which would vanish where the discriminator is sure. Default
    weight 0.01 (published 0.001 to 0.1). Costs two further passes of the network.
    """

    def __init__(self, settings: AdversarialFeaturesSettings, student: Student):
        self.taps = Taps(student.net)
        inside = [stride for stride in sorted(self.taps.channels) if stride > 1]
        self.strides = inside if settings.scales == "all" else [self.taps.bottleneck]
        channels = sum(self.taps.channels[stride] for stride in self.strides)
        net = build_discriminator(channels, student.seed, strides=(1, 1), spectral_norm=settings.spectral_norm)
        super().__init__(settings, student, net)

    def views(self, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
        """Features at the size of the bottleneck, both with gradient."""
        return self._features(scene, scene.image), self._features(scene, scene.unlabelled.weak)

    def fooled(self, labelled: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
        """Scalar: how far each side is from passing for the other."""
        there = judged_as(self.game, self.nets(unlabelled), labelled=True)
        return (there + judged_as(self.game, self.nets(labelled), labelled=False)) / 2

    def _features(self, scene: Scene, image: torch.Tensor) -> torch.Tensor:
        maps = self.taps.read(scene.net, image, *self.strides)
        size = maps[-1].shape[2], maps[-1].shape[3]
        return torch.cat([functional.adaptive_avg_pool2d(map_, size) for map_ in maps], dim=1)


def _self_information(logits: torch.Tensor) -> torch.Tensor:
    """-p log p of every class, over log K so that each pixel's sum lies in [0, 1]."""
    log_probabilities = logits.log_softmax(dim=1)
    return -log_probabilities.exp() * log_probabilities / math.log(logits.shape[1])
