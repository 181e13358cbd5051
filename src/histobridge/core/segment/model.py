"""A trained segmenter with its card, on disk and in memory."""

import hashlib
import json
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn
from torch.nn import functional

from histobridge.core.checkpoint import copied
from histobridge.core.device import choose_device
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_bytes, write_json
from histobridge.core.segment.card import CARD_SCHEMA_VERSION, ModelCard
from histobridge.core.segment.networks import SIZE_MULTIPLE, build_network

__all__ = ["ModelCard", "Segmenter"]

WEIGHTS = "model.safetensors"
CARD = "model.json"


class Segmenter:
    """A network and what is known of it.

    Parameters
    ----------
    net : nn.Module
        Maps (N, 1, Y, X) to (N, K, Y, X) logits; put into eval mode.
    card : ModelCard
        What its channels mean and what images it expects.
    """

    def __init__(self, net: nn.Module, card: ModelCard):
        self.net = net.eval()
        self.card = card

    @property
    def device(self) -> str:
        """Where the network is, ``cpu`` or ``cuda``."""
        return next(self.net.parameters()).device.type

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``model.json`` into an existing folder."""
        weights = save_tensors(copied(self.net.state_dict()))
        self.card = self.card.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
        write_bytes(folder / WEIGHTS, weights)
        write_json(folder / CARD, self.card.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Segmenter":
        """Read a segmenter.

        Parameters
        ----------
        folder : Path
            Where `save` wrote.
        device : {"auto", "cpu", "cuda"}
            Where the network goes; `auto` takes the GPU if there is one.

        Returns
        -------
        Segmenter
            In eval mode.

        Raises
        ------
        ProjectError
            If a file is missing, damaged or of a newer version.
        """
        card = load_card(folder)
        path = folder / WEIGHTS
        net = build_network(card.preset, len(card.values) + 1)
        try:
            weights = path.read_bytes()
            if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
                raise ProjectError(f"{path} is not the file its {CARD} describes (checksum); copy the model again")
            net.load_state_dict(load_tensors(weights))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ProjectError(f"{path} cannot be read as a {card.preset} network ({error}); train again") from error
        return cls(net.to(choose_device(device)), card)

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor, flips: bool = False, turns: bool = False) -> torch.Tensor:
        """Probability of each class at each pixel.

        Parameters
        ----------
        images : torch.Tensor
            (N, 1, Y, X) float32 in [-1, 1] at the working scale, any Y and X, on any device.
        flips : bool
            Average over the four mirrorings.
        turns : bool
            Average over the four quarter turns; with `flips` over all eight orientations.

        Returns
        -------
        torch.Tensor
            (N, K, Y, X) float32 in [0, 1] on the network's device; sums to 1 over K.
        """
        height, width = images.shape[2:]
        images = images.to(next(self.net.parameters()).device)
        images = functional.pad(images, (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE), mode="replicate")
        views = [self._seen(images, *view) for view in orientations(flips=flips, turns=turns)]
        return torch.stack(views).mean(dim=0)[:, :, :height, :width]

    def _seen(self, images: torch.Tensor, turns: int, mirrored: bool) -> torch.Tensor:
        """Probabilities of images that are shown in another orientation, turned back."""
        axes = (3,) if mirrored else ()
        shown = torch.rot90(images, turns, (2, 3)).flip(axes)
        probabilities: torch.Tensor = self.net(shown).float().softmax(dim=1)
        return torch.rot90(probabilities.flip(axes), -turns, (2, 3))


def orientations(*, flips: bool, turns: bool) -> list[tuple[int, bool]]:
    """Quarter turns and mirroring of the views to average: one, four, or all eight."""
    quarters = range(4) if turns else (0, 2) if flips else (0,)
    return [(quarter, mirrored) for mirrored in ((False, True) if flips else (False,)) for quarter in quarters]


def load_card(folder: Path) -> ModelCard:
    """Read ``model.json``; raise `ProjectError` if it is missing, damaged or newer."""
    path = folder / CARD
    try:
        values = read_json(path)
        found = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(found, int) and found > CARD_SCHEMA_VERSION:
            raise ProjectError(
                f"{path} has schema version {found}, this HistoBridge reads up to {CARD_SCHEMA_VERSION}; update it"
            )
        return ModelCard.model_validate(values)
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise ProjectError(f"{path} is not a readable model card ({error}); train again or copy it anew") from error
