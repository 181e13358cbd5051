"""Differentiable augmentation: discriminators of few images learn what is real, not which images there are."""

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 1 / 8
"""Largest shift, as share of a side."""
COVER = 1 / 2
"""Side of the square that is covered, as share of a side."""


def augmented(images: Tensor, random: torch.Generator) -> Tensor:
    """Brighten, change the contrast of, shift and cover each of some images in its own way.

    Parameters
    ----------
    images : Tensor, (N, C, Y, X)
        Real or made, in about [-1, 1]; channels are treated alike. Gradients flow through.
    random : torch.Generator
        Drawn from; on any device.

    Returns
    -------
    Tensor, (N, C, Y, X)

    Notes
    -----
    Zhao, Liu, Lin, Zhu and Han 2020 (DiffAugment, arXiv 2006.10738): the discriminator sees T(x) and T(G(z)) in its own
    loss and in that of the generator. Brightness, contrast, translation and cutout are theirs; saturation has no
    meaning in grey.
    """
    draws = torch.rand(6, len(images), generator=random, device=random.device)
    images = contrasted(brightened(images, draws[0] - 0.5), draws[1] + 0.5)
    sizes = (images.shape[2], images.shape[3])
    reach = [round(size * SHIFT) for size in sizes]
    images = shifted(images, _whole(draws[2], -reach[0], reach[0]), _whole(draws[3], -reach[1], reach[1]))
    cover = (round(sizes[0] * COVER), round(sizes[1] * COVER))
    top, left = (
        _whole(share, -(side // 2), size - side // 2 - 1)
        for share, side, size in zip(draws[4:], cover, sizes, strict=True)
    )
    return covered(images, top, left, cover)


def brightened(images: Tensor, by: Tensor) -> Tensor:
    """Add to the grey values of each image (N, C, Y, X) its own number, (N,)."""
    return images + by.to(images)[:, None, None, None]


def contrasted(images: Tensor, factor: Tensor) -> Tensor:
    """Stretch the grey values of each image (N, C, Y, X) about their means by its own factor, (N,)."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) * factor.to(images)[:, None, None, None] + mean


def shifted(images: Tensor, down: list[int], right: list[int]) -> Tensor:
    """Move each image (N, C, Y, X) by its own number of pixels; grey (0) comes in."""
    high, wide = images.shape[2:]
    rows, columns = max(map(abs, down)), max(map(abs, right))
    padded = functional.pad(images, (columns, columns, rows, rows))
    parts = [
        padded[number : number + 1, :, rows - by : rows - by + high, columns - along : columns - along + wide]
        for number, (by, along) in enumerate(zip(down, right, strict=True))
    ]
    return torch.cat(parts)


def covered(images: Tensor, top: list[int], left: list[int], size: tuple[int, int]) -> Tensor:
    """Set a rectangle of each image (N, C, Y, X) to grey (0); it may reach outside."""
    seen = torch.ones_like(images)
    for number, (row, column) in enumerate(zip(top, left, strict=True)):
        rows, columns = slice(max(0, row), max(0, row + size[0])), slice(max(0, column), max(0, column + size[1]))
        seen[number, :, rows, columns] = 0
    return images * seen


def _whole(shares: Tensor, lowest: int, highest: int) -> list[int]:
    """Turn shares in [0, 1) into whole numbers, each as likely."""
    return [lowest + int(share * (highest - lowest + 1)) for share in shares.tolist()]
