"""Terms that pull two views of the same together and push others apart."""

import torch
from torch import nn
from torch.nn import functional

from histobridge.core.errors import InputError
from histobridge.core.segment.terms.base import Scene, Student
from histobridge.core.segment.terms.contrastive_settings import ContrastiveGlobalSettings, ContrastiveLocalSettings
from histobridge.core.segment.terms.features import Taps, pooled
from histobridge.core.segment.terms.heads import Headed, perceptron

REGION = 3


class ContrastiveGlobal(Headed):
    """A crop in another look is recognised among the other crops of the batch.

    ``mean over the 2N views i of -log(exp(s_ij / tau) / sum over k of exp(s_ik / tau))``, s the cosine of a two-layer
    head on the pooled bottleneck, j the other view of the crop, k all views but i (InfoNCE, van den Oord et al. 2018;
    Chen et al. 2020, ICML; global stage of Chaitanya et al. 2020, NeurIPS). Crops of one tile that overlap are no
    negatives of each other, as Chaitanya leaves out the same position of other volumes. tau 0.1, weight 0.1.
    """

    def __init__(self, settings: ContrastiveGlobalSettings, student: Student):
        self.temperature = settings.temperature

        def head(taps: Taps) -> nn.Module:
            channels = taps.channels[taps.bottleneck]
            return perceptron(channels, channels, settings.width)

        super().__init__(settings, student, head)

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        crops = scene.unlabelled
        weak, strong = (self.nets(pooled(self.bottleneck(scene, view)))[None] for view in (crops.weak, crops.strong))
        return info_nce(weak, strong, self.temperature, _apart(crops.place, crops.weak.shape[-1]))


class ContrastiveLocal(Headed):
    """A place of a crop in another look is recognised among the other places of the same crop.

    `info_nce` within each crop between the means of regions of 3 x 3 features of a decoder block, mapped by a
    two-layer head (local stage of Chaitanya et al. 2020, NeurIPS: 13 regions, tau 0.1). The two views differ in look
    only, so a place is the same in both. Weight 0.1.
    """

    def __init__(self, settings: ContrastiveLocalSettings, student: Student):
        self.temperature, self.stride, self.regions = settings.temperature, settings.stride, settings.regions

        def head(taps: Taps) -> nn.Module:
            if settings.stride not in taps.channels:
                raise InputError(f"terms: the network has no features at a stride of {settings.stride}; choose another")
            channels = taps.channels[settings.stride]
            return perceptron(channels, channels, settings.width)

        super().__init__(settings, student, head)

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        crops = scene.unlabelled
        weak, strong = (self._regions(scene, view) for view in (crops.weak, crops.strong))
        if weak.shape[1] < 2:
            raise InputError(
                f"terms: crops of {crops.weak.shape[-1]} px hold a single region of contrastive-local; choose larger "
                "crops or a smaller stride"
            )
        chosen = torch.randperm(weak.shape[1])[: self.regions].to(weak.device)
        return info_nce(self.nets(weak[:, chosen]), self.nets(strong[:, chosen]), self.temperature)

    def _regions(self, scene: Scene, image: torch.Tensor) -> torch.Tensor:
        """Means of all regions, (N, regions, C)."""
        (features,) = self.taps.read(scene.net, image, self.stride)
        return functional.avg_pool2d(features, REGION).flatten(2).transpose(1, 2)


def info_nce(
    first: torch.Tensor, second: torch.Tensor, temperature: float, apart: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of finding, by cosine, the other view of each thing among all views of its group.

    Parameters
    ----------
    first, second : torch.Tensor
        (G, R, C): groups, things in a group, length of a vector; the same things in two views.
    temperature : float
        Divides the cosines.
    apart : torch.Tensor, optional
        (R, R) bool, symmetric: which things may be told apart; none: all.

    Returns
    -------
    torch.Tensor
        Scalar; 0 where there is nothing to tell apart.
    """
    count = first.shape[1]
    views = functional.normalize(torch.cat([first, second], dim=1), dim=2)
    similarity = views @ views.transpose(1, 2) / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=views.device)
    other_view = itself.roll(count, dims=1)
    left_out = itself if apart is None else ~(apart.repeat(2, 2) | other_view) | itself
    similarity = similarity.masked_fill(left_out, -torch.inf)
    positive = similarity.masked_select(other_view).reshape(len(views), 2 * count)
    return (similarity.logsumexp(dim=2) - positive).mean()


def _apart(place: torch.Tensor, side: int) -> torch.Tensor:
    """Which crops of a batch do not overlap, (N, N) bool."""
    number, corner = place[:, 0], place[:, 1:]
    far = (corner[:, None] - corner[None]).abs().amax(dim=2) >= side
    return (number[:, None] != number[None]) | far
