"""Terms that translate images."""

import numpy as np
import torch
from torch.nn import functional

from histobridge.core.errors import InputError
from histobridge.core.manifest import IGNORE
from histobridge.core.segment.augment import change_look
from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.semantic_settings import SemanticConsistencySettings


class SemanticConsistency(Term):
    """The student says of a translated labelled image what is true of, and what it says of, the image itself.

    ``CE(S(G(x)), y) + mean over pixels of KL(S(x) || S(G(x)))``, without gradient through S(x); y where there are
    labels, weighted like them (CE: SynSeg-Net, Huo et al. 2019, IEEE TMI; KL: the semantic consistency of CyCADA,
    Hoffman et al. 2018, ICML). G is a translator that is trained already, or a random change of look. Weight 1.
    """

    needs_unlabelled = False

    def __init__(self, settings: SemanticConsistencySettings, student: Student):
        super().__init__(settings, student)
        self.labels, self.consistency = settings.labels, settings.consistency
        look = _another_look if settings.translator == "strong" else student.look
        if look is None:
            raise InputError(
                f"terms: semantic-consistency has no translator {settings.translator!r} in this kind of training; "
                "choose strong, or learn by tutorship"
            )
        self.look = look

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        log_probabilities: torch.Tensor = scene.net(self._translated(scene.image)).log_softmax(dim=1)
        loss: torch.Tensor = log_probabilities.new_zeros(())
        if self.labels:
            weight = torch.where(scene.labels != IGNORE, scene.weight, 0.0)
            surprise = functional.nll_loss(log_probabilities, scene.labels, ignore_index=IGNORE, reduction="none")
            loss = loss + (weight * surprise).sum() / weight.sum().clamp_min(1)
        if self.consistency:
            said = scene.logits.detach().log_softmax(dim=1)
            loss = loss + (said.exp() * (said - log_probabilities)).sum(dim=1).mean()
        return loss

    def _translated(self, images: torch.Tensor) -> torch.Tensor:
        """Translate each image, (N, 1, Y, X)."""
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        looks = [self.look(image, rng) for image in images[:, 0].cpu().numpy()]
        return torch.from_numpy(np.stack(looks)[:, None]).to(images)


def _another_look(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return change_look(image, 1.0, rng)
