"""Other views of the same crops: turned, noisy, with a box of a neighbour."""

import math

import torch

Turn = tuple[int, bool]
"""Quarter turns, and whether mirrored after them."""


def draw_turn() -> Turn:
    """Draw one of the seven turns and mirrorings of a square that change it."""
    number = int(torch.randint(1, 8, ()))
    return number % 4, number >= 4


def turned(maps: torch.Tensor, turn: Turn) -> torch.Tensor:
    """Turn and mirror maps (..., Y, X)."""
    quarters, mirrored = turn
    maps = torch.rot90(maps, quarters, (-2, -1))
    return maps.flip(-1) if mirrored else maps


def turned_back(maps: torch.Tensor, turn: Turn) -> torch.Tensor:
    """Take `turned` back."""
    quarters, mirrored = turn
    return torch.rot90(maps.flip(-1) if mirrored else maps, -quarters, (-2, -1))


def noisy(image: torch.Tensor, deviation: float) -> torch.Tensor:
    """Add Gaussian noise of a standard deviation, cut off at twice that."""
    return image + (torch.randn_like(image) * deviation).clamp(-2 * deviation, 2 * deviation)


def draw_boxes(like: torch.Tensor, probability: float) -> torch.Tensor:
    """Draw a box for every crop of a batch, or none.

    A box covers half the crop; its side ratio is log-uniform between 1:2 and 2:1 and its place uniform (French et al.
    2020, BMVC).

    Parameters
    ----------
    like : torch.Tensor
        (N, C, Y, X).
    probability : float
        That a crop has a box, in [0, 1].

    Returns
    -------
    torch.Tensor
        (N, Y, X) bool, on the device of `like`; true inside.
    """
    number, (rows, columns) = len(like), like.shape[2:]
    boxes = torch.zeros(number, rows, columns, dtype=torch.bool)
    for box in boxes:
        happens, ratio, top, left = torch.rand(4).tolist()
        height, width = (
            round(rows * math.exp(-ratio * math.log(2))),
            round(columns * math.exp((ratio - 1) * math.log(2))),
        )
        first_row, first_column = int(top * (rows - height + 1)), int(left * (columns - width + 1))
        if happens < probability:
            box[first_row : first_row + height, first_column : first_column + width] = True
    return boxes.to(like.device)


def pasted(maps: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Fill the box of every crop, (N, Y, X), with the pixels that its neighbour in the batch has there.

    Parameters
    ----------
    maps : torch.Tensor
        (N, C, Y, X) or (N, Y, X).
    boxes : torch.Tensor
        (N, Y, X) bool.

    Returns
    -------
    torch.Tensor
        Like `maps`.
    """
    return torch.where(boxes[:, None] if maps.ndim == 4 else boxes, neighbour(maps), maps)


def neighbour(maps: torch.Tensor) -> torch.Tensor:
    """The crop before each crop of a batch, whose order is random; its own if there is but one."""
    return maps.roll(1, 0)
