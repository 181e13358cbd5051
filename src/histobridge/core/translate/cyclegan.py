"""A trained pair of generators as a translator, and its two files."""

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from histobridge.core.config import Config, Direction, TrainTranslatorConfig
from histobridge.core.device import choose_device
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_bytes, write_json
from histobridge.core.translate.base import BOTH_DIRECTIONS, Image, Look, check_direction
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.networks import STRIDE, build_generator, halo_of
from histobridge.core.translate.norms import with_fixed_norms

SCHEMA_VERSION = 1
SMALLEST = 2 * STRIDE


class TranslatorCard(Config):
    """What `translator.json` says of the weights beside it."""

    schema_version: Literal[1] = 1
    """Format of the two files."""

    method: Literal["cyclegan"] = "cyclegan"
    """The translation method."""

    config: TrainTranslatorConfig
    """How it was trained; `channels` and `blocks` say what the networks are."""

    halo: int
    """Pixels to read around a window for an exact result."""

    invert: bool
    """Whether grey values are inverted on the way between the domains."""

    source_look: tuple[float, ...]
    """257 grey quantiles of the source."""

    target_look: tuple[float, ...]
    """257 grey quantiles of the target."""

    run: str = ""
    """The run that trained it."""

    trained_on: tuple[str, ...] = ()
    """Images it has seen."""

    working_um: tuple[float, float] | None = None
    """µm per working pixel of source and target, when known."""

    versions: dict[str, str] = {}
    """Of the software that trained it."""

    sha256: str = ""
    """Of the weights file."""


def versions() -> dict[str, str]:
    """Versions of what decides the weights."""
    return {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}


class CycleGan:
    """Instant translation refined by a generator a direction.

    The networks live in the space of target looks: source images pass the instant translator first, and translated
    target images pass its inverse last. With generators that change nothing it is the instant translator.

    Parameters
    ----------
    generators : mapping of direction to nn.Module
        Map (N, 1, Y, X) in [-1, 1] to the same; fixed norms wherever tiles shall join.
    instant : Instant
    card : TranslatorCard
    """

    directions = BOTH_DIRECTIONS
    alignment = STRIDE

    def __init__(self, generators: Mapping[Direction, nn.Module], instant: Instant, card: TranslatorCard):
        self.generators = {direction: net.eval() for direction, net in generators.items()}
        self.instant = instant
        self.card = card
        self.halo = card.halo

    @property
    def name(self) -> str:
        """The run that trained it, or the method."""
        return self.card.run or self.card.method

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate one crop; see `Translator.translate`."""
        check_direction(self, direction)
        if direction == "source_to_target":
            return self.generate(self.instant.translate(image, direction, look), direction)
        return self.instant.translate(self.generate(image, direction), direction, look)

    @torch.no_grad()
    def generate(self, image: Image, direction: Direction) -> Image:
        """Apply one generator to (Y, X) with target looks; sizes that do not fit its strides are reflected to fit."""
        net = self.generators[direction]
        extra = [max(SMALLEST, -(-size // STRIDE) * STRIDE) - size for size in image.shape]
        padded = np.pad(image, [(0, count) for count in extra], mode="reflect") if any(extra) else image
        device = next(net.parameters()).device
        x = torch.from_numpy(np.ascontiguousarray(padded, dtype=np.float32)).to(device)
        translated: Image = net(x[None, None])[0, 0].cpu().numpy()
        return translated[: image.shape[0], : image.shape[1]]

    def save(self, folder: Path) -> None:
        """Write ``translator.safetensors`` and, last, ``translator.json`` into `folder`."""
        tensors = {
            f"{direction}.{name}": tensor.detach().cpu().contiguous()
            for direction, net in self.generators.items()
            for name, tensor in net.state_dict().items()
        }
        data = save_tensors(tensors)
        self.card = self.card.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
        write_bytes(folder / "translator.safetensors", data)
        write_json(folder / "translator.json", self.card.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "CycleGan":
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path
            Of the run that trained it.
        device : {"auto", "cpu", "cuda"}

        Raises
        ------
        ProjectError
            If a file is missing, damaged, of another version, or does not fit the other; names the file.
        """
        card = _read_card(folder / "translator.json")
        file = folder / "translator.safetensors"
        try:
            data = file.read_bytes()
        except OSError as error:
            raise ProjectError(f"{file} cannot be read ({error.strerror}); train the translator again") from error
        if hashlib.sha256(data).hexdigest() != card.sha256:
            raise ProjectError(
                f"{file} is not the file that {folder / 'translator.json'} describes (its SHA-256 differs); "
                "restore both from a copy or train the translator again"
            )
        generators: dict[Direction, nn.Module] = {direction: _empty_generator(card) for direction in BOTH_DIRECTIONS}
        try:
            nn.ModuleDict(dict(generators.items())).load_state_dict(load_tensors(data), strict=True)
        except (SafetensorError, RuntimeError) as error:
            raise ProjectError(f"{file} does not fit its networks: {error}; train the translator again") from error
        where = choose_device(device)
        return cls(
            {direction: net.to(where) for direction, net in generators.items()},
            Instant(card.invert, card.source_look, card.target_look),
            card,
        )


def card_of(config: TrainTranslatorConfig, instant: Instant) -> TranslatorCard:
    """Describe a translator that was just trained."""
    return TranslatorCard(
        config=config,
        halo=halo_of(config.blocks),
        invert=instant.invert,
        source_look=tuple(map(float, instant.source_look)),
        target_look=tuple(map(float, instant.target_look)),
        versions=versions(),
    )


def _empty_generator(card: TranslatorCard) -> nn.Module:
    return with_fixed_norms(build_generator(card.config.channels, card.config.blocks))


def _read_card(file: Path) -> TranslatorCard:
    try:
        values = read_json(file)
    except FileNotFoundError:
        raise ProjectError(f"{file.parent} has no {file.name}: the translator has not finished training") from None
    except (OSError, ValueError) as error:
        raise ProjectError(f"{file} cannot be read: {error}; train the translator again") from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ProjectError(
            f"{file} has schema version {version}, made by a newer HistoBridge; this one reads {SCHEMA_VERSION}. "
            "Upgrade with: pip install -U napari-histobridge"
        )
    try:
        return TranslatorCard.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ProjectError(f"{file} is damaged at {where}: {first['msg']}; train the translator again") from error
