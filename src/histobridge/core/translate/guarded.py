"""What all adversarial trainings share: running means, and the way back from numbers that are not finite."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from histobridge.core.checkpoint import optimizer_tensors, part, prefixed, restore_optimizer
from histobridge.core.errors import ProjectError
from histobridge.core.translate import crew
from histobridge.core.translate.losses import average_weight

AVERAGE_LIMIT = 0.999
LAST = 0.0
RECENCY = 3.0
"""In trainings of hundreds of steps a plain mean is for a good part made of networks that had not learned yet."""
MOST_SKIPPED = 20


class GuardedTraining:
    """Networks in training, their running means and their optimizers.

    Parameters
    ----------
    networks : nn.ModuleDict
        On the device to train on.
    optimizers : mapping of str to torch.optim.Optimizer

    Attributes
    ----------
    average : nn.ModuleDict
        Running means of the weights, with a weight of the past that rises to `average_limit`; what is used in the end.
    steps_done : int
        Steps taken or skipped.
    """

    average_limit = AVERAGE_LIMIT
    """What the weight of the past in the means rises to; at 0 (`LAST`) they are the last weights."""

    recency = RECENCY
    """How much more than earlier weights later ones count in the means; see `average_weight`."""

    def __init__(self, networks: nn.ModuleDict, optimizers: Mapping[str, torch.optim.Optimizer]):
        self.networks = networks
        self.average = deepcopy(networks).requires_grad_(False).eval()
        self.optimizers = dict(optimizers)
        self.steps_done = 0
        self._skipped = 0

    def update(self, name: str, losses: Iterable[Tensor]) -> bool:
        """Take one step of an optimizer along the sum of some losses, if all is finite; say whether.

        Each loss is asked for when what the one before needed is free again.
        """
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros(())
        for loss in losses:
            loss.backward()
            total = total.to(loss.device) + loss.detach()
            del loss
        weights = optimizer.param_groups[0]["params"]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not crew.agreed(bool(total.isfinite() & get_total_norm(gradients).isfinite())):
            return False
        optimizer.step()
        return True

    def end_step(self, taken: bool) -> None:
        """Count a step, and average; a step not taken brings the networks back to their running means.

        These only ever saw finite weights. Raises `ProjectError` if many steps in a row were not taken.
        """
        self.steps_done += 1
        if not taken:
            self._recover()
            return
        self._skipped = 0
        weight = average_weight(self.steps_done, self.average_limit, self.recency)
        torch._foreach_lerp_(list(self.average.parameters()), list(self.networks.parameters()), 1 - weight)

    def _recover(self) -> None:
        self._skipped += 1
        if self._skipped >= MOST_SKIPPED:
            raise ProjectError(
                f"{self._skipped} training steps in a row gave numbers that are not finite; "
                "try a smaller learning_rate, and check the images for damage"
            )
        self.networks.load_state_dict(self.average.state_dict())
        for optimizer in self.optimizers.values():
            optimizer.state.clear()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""
        tensors = prefixed("networks", self.networks.state_dict()) | prefixed("average", self.average.state_dict())
        for name, optimizer in self.optimizers.items():
            tensors |= prefixed(name, optimizer_tensors(optimizer))
        return tensors, {"step": self.steps_done, "skipped": self._skipped}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken; raise RuntimeError if the weights are of other networks."""
        self.networks.load_state_dict(part("networks", tensors))
        self.average.load_state_dict(part("average", tensors))
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, part(name, tensors))
        self.steps_done, self._skipped = int(values["step"]), int(values["skipped"])
