"""Terms that set the student a riddle whose answer is known without labels."""

from itertools import permutations
from math import factorial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from histobridge.core.errors import InputError
from histobridge.core.segment.networks import SIZE_MULTIPLE
from histobridge.core.segment.terms.base import Scene, Student
from histobridge.core.segment.terms.features import Taps, pooled
from histobridge.core.segment.terms.heads import Headed, perceptron
from histobridge.core.segment.terms.pretext_settings import JigsawSettings, MutualInformationSettings, RotationSettings

TURNS = 4
CANDIDATES = 2000
SMALL = 1e-8


class Rotation(Headed):
    """A linear head on the pooled bottleneck tells by how many quarter turns a crop was turned.

    Cross-entropy over the four turns, one drawn for each crop (Gidaris et al. 2018, ICLR, all four). Sections have no
    up: only shading and cutting direction tell, so expect little of it on them. Weight 0.1.
    """

    def __init__(self, settings: RotationSettings, student: Student):
        super().__init__(settings, student, lambda taps: perceptron(taps.channels[taps.bottleneck], TURNS))

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        crops = scene.unlabelled.weak
        turns = torch.randint(TURNS, (len(crops),))
        turned = torch.stack([crop.rot90(int(turn), (1, 2)) for crop, turn in zip(crops, turns, strict=True)])
        return functional.cross_entropy(self.nets(pooled(self.bottleneck(scene, turned))), turns.to(crops.device))


class Jigsaw(Headed):
    """A head on the pooled bottlenecks of the shuffled pieces of a crop tells in which order they are.

    Cross-entropy over a fixed set of orders (Noroozi and Favaro 2016, ECCV); every piece goes through the student
    alone. Pieces are cut to a multiple of 16 px, which leaves gaps between them where a crop is no multiple, so that
    edges need not match. Weight 0.1.
    """

    def __init__(self, settings: JigsawSettings, student: Student):
        self.grid = settings.grid
        self.orders = torch.from_numpy(distant_orders(settings.grid**2, settings.permutations))

        def head(taps: Taps) -> nn.Module:
            channels = taps.channels[taps.bottleneck]
            return perceptron(channels * settings.grid**2, channels, len(self.orders))

        super().__init__(settings, student, head)

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        pieces = self._pieces(scene.unlabelled.weak)
        seen = pooled(self.bottleneck(scene, pieces.flatten(0, 1))).unflatten(0, pieces.shape[:2])
        answers = torch.randint(len(self.orders), (len(seen),))
        order = self.orders[answers].to(seen.device)
        shuffled = seen.gather(1, order[:, :, None].expand_as(seen))
        return functional.cross_entropy(self.nets(shuffled.flatten(1)), answers.to(seen.device))

    def _pieces(self, crops: torch.Tensor) -> torch.Tensor:
        """Cut crops into pieces: (N, grid^2, 1, Y, X), row by row."""
        cell = crops.shape[-1] // self.grid
        side = cell // SIZE_MULTIPLE * SIZE_MULTIPLE
        if side == 0:
            raise InputError(
                f"terms: a crop of {crops.shape[-1]} px is too small for a jigsaw of {self.grid} x {self.grid}; "
                f"choose crops of at least {self.grid * SIZE_MULTIPLE} px"
            )
        starts = [number * cell + (cell - side) // 2 for number in range(self.grid)]
        return torch.stack([crops[:, :, y : y + side, x : x + side] for y in starts for x in starts], dim=1)


class MutualInformation(Headed):
    """The clusters that two views of a place fall into tell as much as possible of each other.

    ``-I = -sum over c, c' of P(c, c') log(P(c, c') / (P(c) P(c')))`` with P the mean over places of the outer product
    of both views' softmax, symmetrised (invariant information clustering, Ji et al. 2019, ICCV). The cells of the
    bottleneck count with weight 1, as a batch of a few crops has too few of them for a K x K table; the decoder's
    features with 0.5, in the mean over all shifts within `shift` (their loss for segmentation). K 20, 5 heads, weight
    0.1. At best -log K times the weights.
    """

    def __init__(self, settings: MutualInformationSettings, student: Student):
        self.clusters, self.stride, self.shift = settings.clusters, settings.stride, settings.shift
        self.encoder, self.decoder = settings.encoder, settings.decoder

        def head(taps: Taps) -> nn.Module:
            if settings.stride not in taps.channels:
                raise InputError(f"terms: the network has no features at a stride of {settings.stride}; choose another")
            outside = settings.heads * settings.clusters
            inside = taps.channels[taps.bottleneck], taps.channels[settings.stride]
            return nn.ModuleList(nn.Conv2d(channels, outside, 1) for channels in inside)

        super().__init__(settings, student, head)

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar."""
        weak, strong = (self._clusters(scene, view) for view in (scene.unlabelled.weak, scene.unlabelled.strong))
        outer = -mutual_information(weak[0], strong[0], 0)
        return self.encoder * outer - self.decoder * mutual_information(weak[1], strong[1], self.shift)

    def _clusters(self, scene: Scene, image: torch.Tensor) -> list[torch.Tensor]:
        """Probabilities (N, heads, K, Y, X) in the bottleneck and in the decoder."""
        maps = self.taps.read(scene.net, image, self.taps.bottleneck, self.stride)
        heads: list[nn.Module] = list(self.nets.children())
        return [
            head(map_).unflatten(1, (-1, self.clusters)).softmax(dim=2) for head, map_ in zip(heads, maps, strict=True)
        ]


def mutual_information(first: torch.Tensor, second: torch.Tensor, shift: int) -> torch.Tensor:
    """Information that the clusters of one view give about those of the other.

    Parameters
    ----------
    first, second : torch.Tensor
        (N, H, K, Y, X): probabilities of K clusters by H heads, of the same places in two views.
    shift : int
        Places up to this far apart, along each axis, are compared too.

    Returns
    -------
    torch.Tensor
        Scalar in [0, log K]: mean over heads and shifts.
    """
    found = []
    for one, other in zip(first.unbind(1), second.unbind(1), strict=True):
        # Convolving one view with the other sums the products over all places, once for each shift.
        joint = functional.conv2d(one.transpose(0, 1), other.transpose(0, 1), padding=shift)
        joint = joint / joint.sum(dim=(0, 1))
        joint = ((joint + joint.transpose(0, 1)) / 2).clamp_min(SMALL)
        apart = joint.sum(dim=0, keepdim=True) * joint.sum(dim=1, keepdim=True)
        found.append((joint * (joint / apart).log()).sum(dim=(0, 1)).mean())
    return torch.stack(found).mean()


def distant_orders(pieces: int, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Choose orders of pieces that differ in as many places as possible, the same ones every time.

    Each next one is, of all orders (of 2,000 random ones where there are more), the one whose nearest chosen order
    differs from it in the most places.

    Parameters
    ----------
    pieces : int
        Pieces to order.
    count : int
        Orders wanted; fewer where there are fewer.

    Returns
    -------
    ndarray
        (count, pieces) int64, each row a permutation, the first one in order.
    """
    if factorial(pieces) <= CANDIDATES:
        candidates = np.array(list(permutations(range(pieces))))
    else:
        rng = np.random.default_rng(0)
        candidates = np.array([np.arange(pieces), *(rng.permutation(pieces) for _ in range(CANDIDATES))])
    candidates = candidates.astype(np.int64)
    chosen = [0]
    nearest = (candidates != candidates[0]).sum(axis=1)
    while len(chosen) < min(count, len(candidates)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, (candidates != candidates[chosen[-1]]).sum(axis=1))
    return candidates[chosen]
