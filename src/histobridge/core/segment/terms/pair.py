"""Terms with a second network."""

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional

from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.segment.schedule import learning_rate_share
from histobridge.core.segment.terms.agreement import divergence
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.pair_settings import CrossPseudoSettings


class CrossPseudo(Term):
    """Two networks that start apart teach each other on images without labels.

    With classes ``CE(S1(x), argmax S2(x))`` for the student and ``CE(S2(x), argmax S1(x))`` for the second network
    (cross pseudo-supervision, Chen et al. 2021, CVPR); with probabilities ``JSD(S1(x), S2(x))`` for both (the agreement
    of co-training, Qiao et al. 2018, ECCV; for segmentation Peng et al. 2020, Pattern Recognition). Default classes,
    weight 0.1 (medical images; Chen 1.5).

    The second network is built like the student, starts from other random weights, learns the same labels, has an
    optimizer of its own and is left behind when training ends. It is for training from scratch: beside a student that
    has learned already it has nothing to say for long.
    """

    nets: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, settings: CrossPseudoSettings, student: Student):
        super().__init__(settings, student)
        self.soft, self.learning_rate = settings.agreement == "probabilities", settings.learning_rate
        self.nets = _fresh(student.net, student.seed + 1)
        self.optimizer = torch.optim.AdamW(self.nets.parameters(), self.learning_rate, weight_decay=1e-4)
        self._second: torch.Tensor | None = None

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        self._second = self.nets(scene.unlabelled.weak)
        return self._disagreement(scene.logits_weak, self._second.detach())

    def after_step(self, scene: Scene) -> dict[str, float]:
        """Take the second network's step; returns its supervised loss."""
        if self._second is None:
            return {}
        supervised = masked_dice_ce(self.nets(scene.image), scene.labels, scene.weight)
        taught = self._disagreement(self._second, scene.logits_weak.detach())
        self._second = None
        loss = supervised + self.share(scene.step, scene.steps) * taught
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * learning_rate_share(scene.step, scene.steps)
        self.optimizer.zero_grad(set_to_none=True)
        if torch.isfinite(loss):
            loss.backward()
            self.optimizer.step()
        return {f"{self.name}-second": float(supervised.detach())}

    def _disagreement(self, learner: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Of two networks' logits; the learner's with gradient."""
        if self.soft:
            return divergence([learner.softmax(dim=1), other.softmax(dim=1)]).mean()
        return functional.cross_entropy(learner, other.argmax(dim=1))


def _fresh(net: nn.Module, seed: int) -> nn.Module:
    """Copy a network with new random weights; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        copy = deepcopy(net).cpu()
        for module in copy.modules():
            module._forward_pre_hooks.clear()  # Of `frozen_statistics`: new weights have no statistics to keep.
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
    return copy.to(next(net.parameters()).device).train()
