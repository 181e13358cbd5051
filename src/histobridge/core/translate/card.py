"""The two files of a trained translator: what it is, and its weights."""

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from histobridge.core.config import Config, Direction, TrainTranslatorConfig
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_bytes, write_json
from histobridge.core.translate.import_config import Spread
from histobridge.core.translate.instant import Instant
from histobridge.core.translator_config import Method

SCHEMA_VERSION = 1
CARD = "translator.json"
WEIGHTS = "translator.safetensors"

Networks: TypeAlias = Mapping[Direction, nn.Module] | Mapping[str, nn.Module]


class TranslatorCard(Config):
    """What `translator.json` says of the weights beside it."""

    schema_version: Literal[1] = 1
    """Format of the two files."""

    method: Method = "cyclegan"
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

    spread: Literal["fixed"] | Spread = "fixed"
    """Where the statistics of its norms come from: fixed after training; of generators from elsewhere, the image."""

    tile_px: int = 0
    """Side of the tiles in which an image is measured where they come from there."""

    sweeps: int = 0
    """How often it is read for that."""

    ways: tuple[Direction, ...] = ("source_to_target", "target_to_source")
    """The directions that it has."""

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


def card_of(config: TrainTranslatorConfig, instant: Instant, halo: int) -> TranslatorCard:
    """Describe a translator that was just trained and needs `halo` px around a window."""
    return TranslatorCard(
        method=config.method,
        config=config,
        halo=halo,
        invert=instant.invert,
        source_look=tuple(map(float, instant.source_look)),
        target_look=tuple(map(float, instant.target_look)),
        versions=versions(),
    )


def instant_of(card: TranslatorCard) -> Instant:
    """Rebuild the instant translator that a trained one refines."""
    return Instant(card.invert, card.source_look, card.target_look)


def write_translator(folder: Path, networks: Networks, card: TranslatorCard) -> TranslatorCard:
    """Write ``translator.safetensors`` and, last, ``translator.json`` into `folder`.

    Parameters
    ----------
    folder : Path
        Of the run.
    networks : mapping of str to nn.Module
        Weights are named ``<key>.<name>``.
    card : TranslatorCard

    Returns
    -------
    TranslatorCard
        With the checksum of the weights.
    """
    tensors = {
        f"{key}.{name}": tensor.detach().cpu().contiguous()
        for key, net in networks.items()
        for name, tensor in net.state_dict().items()
    }
    data = save_tensors(tensors)
    signed = card.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    write_bytes(folder / WEIGHTS, data)
    write_json(folder / CARD, signed.model_dump(mode="json"))
    return signed


def read_weights(folder: Path, card: TranslatorCard, networks: Networks) -> None:
    """Fill `networks`, in place, with what `write_translator` wrote beside `card`.

    Parameters
    ----------
    folder : Path
    card : TranslatorCard
        As read from `folder`.
    networks : mapping of str to nn.Module
        Of the shapes that the card tells.

    Raises
    ------
    ProjectError
        If the weights are missing, damaged or do not fit; names the file.
    """
    file = folder / WEIGHTS
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ProjectError(f"{file} cannot be read ({error.strerror}); train the translator again") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ProjectError(
            f"{file} is not the file that {folder / CARD} describes (its SHA-256 differs); "
            "restore both from a copy or train the translator again"
        )
    try:
        nn.ModuleDict(dict(networks.items())).load_state_dict(load_tensors(data), strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise ProjectError(f"{file} does not fit its networks: {error}; train the translator again") from error


def read_card(folder: Path) -> TranslatorCard:
    """Read what a translator is.

    Parameters
    ----------
    folder : Path
        Of the run that trained it.

    Raises
    ------
    ProjectError
        If the card is missing, damaged or of a newer version; names the file.
    """
    file = folder / CARD
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
