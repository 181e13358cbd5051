"""Terms by which a network agrees with itself on images without labels."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from histobridge.core.segment.terms.agreement import divergence, entropy, squared_difference
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.consistency_settings import PiModelSettings, TemporalEnsemblingSettings
from histobridge.core.segment.terms.views import draw_turn, noisy, turned, turned_back


class GammaModel(Term):
    """Turning an image turns its labels and changes nothing else.

    ``mean over pixels of |T(f(x)) - f(T(x))|^2 / K``, T one of the seven turns and mirrorings of a square, drawn at
    each step, f the probabilities; both sides learn. A tissue section has no up and down, so this costs nothing but a
    pass. Default weight 5 (transformation consistency, e.g. Bortsova et al. 2019, MICCAI; published weights 5 to 10).
    """

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        turn = draw_turn()
        of_turned = scene.net(turned(scene.unlabelled.weak, turn)).softmax(dim=1)
        return squared_difference(turned(scene.logits_weak.softmax(dim=1), turn), of_turned).mean()


class PiModel(Term):
    """Two passes over one image, each with a look and noise of its own, end alike.

    ``mean over pixels of |f(x + n) - f(look(x) + n')|^2 / K``, n and n' independent Gaussian noise, cut off at twice
    its deviation; both sides learn (Laine and Aila 2017, ICLR). The networks have no dropout: looks and noise are what
    differs. Default noise 0.1 (Tarvainen and Valpola's code), 0: none and no pass of its own; default weight 1.
    """

    def __init__(self, settings: PiModelSettings, student: Student):
        super().__init__(settings, student)
        self.noise = settings.noise

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        if self.noise:
            one = scene.net(noisy(scene.unlabelled.weak, self.noise))
            other = scene.net(noisy(scene.unlabelled.strong, self.noise))
        else:
            one, other = scene.logits_weak, scene.logits_strong
        return squared_difference(one.softmax(dim=1), other.softmax(dim=1)).mean()


class TemporalEnsembling(Term):
    """Agree with the average of one's own earlier answers, kept for every pixel of the pool.

    ``mean over pixels seen before of |z - Z / (1 - a^t)|^2 / K`` with z the probabilities in another look, and after
    the step ``Z <- a Z + (1 - a) z`` where the crop lies, t the times that the pixel was seen (Laine and Aila 2017,
    ICLR). Where labels were proposed before the training (fine-tuning), the proposal is the first answer. Default
    memory a = 0.6, weight 1. Keeps 2 K + 2 bytes for every pixel of a tile that was drawn, in memory and in the
    checkpoint.
    """

    def __init__(self, settings: TemporalEnsemblingSettings, student: Student):
        super().__init__(settings, student)
        self.memory = settings.memory
        self._tiles, self._channels, self._device = student.tiles, student.channels, student.device
        self._said = student.said
        self._averages: dict[int, torch.Tensor] = {}
        self._times: dict[int, torch.Tensor] = {}

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        said = scene.logits_strong.softmax(dim=1)
        lost, seen = said.new_zeros(()), 0
        for probabilities, (average, times) in zip(said, self._kept(scene), strict=True):
            correction = (1 - self.memory ** times.float()).clamp_min(1 - self.memory)
            pixels = squared_difference(probabilities[None], (average.float() / correction)[None])[0]
            lost = lost + (pixels * (times > 0)).sum()
            seen += int((times > 0).sum())
        return lost / max(1, seen)

    def after_step(self, scene: Scene) -> dict[str, float]:
        """Remember what was said."""
        said = scene.logits_strong.detach().softmax(dim=1)
        for probabilities, (average, times) in zip(said, self._kept(scene), strict=True):
            average.copy_(self.memory * average.float() + (1 - self.memory) * probabilities)
            times.add_(1)
        return {}

    def tensors(self) -> dict[str, torch.Tensor]:
        """What was said of every tile drawn so far."""
        averages = {f"average-{number}": average for number, average in self._averages.items()}
        return averages | {f"times-{number}": times for number, times in self._times.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `tensors` returned."""
        for name, tensor in tensors.items():
            kept, number = name.split("-")
            (self._averages if kept == "average" else self._times)[int(number)] = tensor.to(self._device, copy=True)

    def _kept(self, scene: Scene) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Views of what is kept where each crop lies: Z (K, Y, X) and t (Y, X)."""
        rows, columns = scene.unlabelled.weak.shape[2:]
        for number, row, column in scene.unlabelled.place.tolist():
            if number not in self._averages:
                self._begin(number)
            place = slice(row, row + rows), slice(column, column + columns)
            yield self._averages[number][:, *place], self._times[number][place]

    def _begin(self, number: int) -> None:
        """Begin a tile with what was proposed there, or with nothing."""
        shape, said = self._tiles[number], self._said.get(number)
        average = np.zeros((self._channels, *shape)) if said is None else (1 - self.memory) * said
        self._averages[number] = torch.as_tensor(average, dtype=torch.float16, device=self._device)
        self._times[number] = torch.full(shape, int(said is not None), dtype=torch.int16, device=self._device)


class MultiView(Term):
    """Views of one image agree: as it is, in another look, and turned.

    ``mean over pixels of H(mean of p_v) - mean of H(p_v)``, the Jensen-Shannon divergence of the three predictions,
    the turned one turned back; all views learn. The agreement of deep co-training (Qiao et al. 2018, ECCV) with one
    network on several views of the image in place of several networks (as Hendrycks et al. 2020, ICLR, do for
    classification); for two networks see `cross-pseudo`. Default weight 1.
    """

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        turn = draw_turn()
        of_turned = turned_back(scene.net(turned(scene.unlabelled.weak, turn)), turn)
        views = scene.logits_weak, scene.logits_strong, of_turned
        return divergence([view.softmax(dim=1) for view in views]).mean()


class Entropy(Term):
    """Be sure of every pixel.

    ``mean over pixels of H(p) / ln K`` (Grandvalet and Bengio 2005, NIPS). Default weight 0.01: under a change of look
    more of it lets the commonest class win everywhere (published weights 0.00001 to 0.1).
    """

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar in [0, 1]."""
        return entropy(scene.logits_weak.softmax(dim=1)).mean() / math.log(scene.logits_weak.shape[1])
