"""Generators that were trained elsewhere, with instance norms: import them, and translate whole images with them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from histobridge.core.config import Direction, TrainTranslatorConfig
from histobridge.core.device import choose_device
from histobridge.core.errors import InputError
from histobridge.core.job import Job, Progress
from histobridge.core.matching import load_matching
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.translate.base import Image, Look, Window, check_direction, translate_window
from histobridge.core.translate.card import TranslatorCard, card_of
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.generators import generator_of, reach_of
from histobridge.core.translate.import_config import ImportTranslatorConfig, Spread
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.map_norms import Grid, Moments, Place, Statistics, norms_of, with_map_norms
from histobridge.core.translate.quality.lines import result_of
from histobridge.core.translate.quality.measure import examine
from histobridge.core.translate.quality.panel import panel_of_project
from histobridge.core.translate.quality.report import write_quality

IMAGES_KEPT = 8
"""Images whose statistics are remembered."""

Read = Callable[[Window], Image]


class Imported(CycleGan):
    """Generators from elsewhere, between images as they are; see `CycleGan`.

    A crop alone is normalised by its own statistics. `translate_window` asks for `of_image` first.
    """

    def __init__(self, generators: Mapping[Direction, nn.Module], instant: Instant, card: TranslatorCard):
        self.place = Place()
        super().__init__({way: with_map_norms(net, self.place) for way, net in generators.items()}, instant, card)
        self.directions = frozenset(generators)
        self.spread: Spread = "interpolated" if card.spread == "interpolated" else "pooled"
        self._known: OrderedDict[tuple[Direction, tuple[int, int], bytes], Statistics] = OrderedDict()

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate one crop by its own statistics."""
        check_direction(self, direction)
        return self.generate(image, direction, origin)

    def apply(self, x: Tensor, direction: Direction, origin: tuple[int, int]) -> Tensor:
        """Apply one generator to (1, 1, Y, X) whose first pixel is at `origin`."""
        self.place.crop, self.place.origin = (x.shape[2], x.shape[3]), origin
        return super().apply(x, direction, origin)

    def of_image(self, read: Read, shape: tuple[int, int], direction: Direction, look: Look) -> Job["OfImage"]:
        """Measure a whole image, unless that was done; return what translates windows of it.

        Parameters
        ----------
        read : callable
            Maps a window inside the image to (Y, X) float32 in [-1, 1].
        shape : tuple of int
            (Y, X) of the image.
        direction : {"source_to_target", "target_to_source"}
        look : array, (257,) float32
            Grey quantiles of the image; images of the same shape and look are taken for the same.

        Yields
        ------
        Progress
            After each tile that was measured.

        Returns
        -------
        OfImage
        """
        check_direction(self, direction)
        key = direction, shape, look.tobytes()
        if key not in self._known:
            self._known[key] = yield from self._measure(read, shape, direction, look)
            while len(self._known) > IMAGES_KEPT:
                self._known.popitem(last=False)
        return OfImage(self, direction, Grid(shape, self.card.tile_px), self._known[key])

    def _measure(self, read: Read, shape: tuple[int, int], direction: Direction, look: Look) -> Job[Statistics]:
        """Statistics of every layer in every tile.

        In the first sweep layers normalise tiles by themselves; each further one settles the next layer, which is then
        normalised as it will be used. Those behind it must not be settled yet: what they showed after layers that have
        changed since would not fit, and such misfits grow from layer to layer.
        """
        grid = Grid(shape, self.card.tile_px)
        rows, columns = grid.counts
        norms = norms_of(self.generators[direction])
        statistics: Statistics = {}
        for sweep in range(self.card.sweeps):
            settled = {name: statistics[name] for name in list(norms)[:sweep]}
            seen = OfImage(self, direction, grid, settled)
            found: dict[str, list[tuple[Tensor, Tensor, int]]] = {name: [] for name in norms}
            for number, place in enumerate(product(range(rows), range(columns)), sweep * rows * columns + 1):
                seen.tile = grid.window(*place)
                translate_window(seen, read, shape, seen.tile, direction, look)
                for name, norm in norms.items():
                    found[name].append(norm.measured)
                yield Progress(number, self.card.sweeps * rows * columns, "measuring the whole image")
            statistics = {name: _table(tiles, grid) for name, tiles in found.items()}
        return statistics

    @staticmethod
    def empty(card: TranslatorCard) -> nn.Module:
        """Generator of the shape that a card tells, its weights to be read."""
        return generator_of(card.config)


@dataclass
class OfImage:
    """Imported generators with the statistics of one image; a `Translator` of that image alone.

    Parameters
    ----------
    of : Imported
    direction : {"source_to_target", "target_to_source"}
    grid : Grid
    statistics : mapping of str to Moments
        Empty: every crop by the statistics of `tile`.
    tile : Window, optional
        Is being measured.
    """

    of: Imported
    direction: Direction
    grid: Grid
    statistics: Statistics
    tile: Window | None = None

    def __post_init__(self) -> None:
        self.name, self.halo, self.alignment = self.of.name, self.of.halo, self.of.alignment
        self.directions = frozenset({self.direction})

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate a crop of the image; see `Translator.translate`."""
        place = self.of.place
        for name, norm in norms_of(self.of.generators[direction]).items():
            norm.moments = self.statistics.get(name)
        place.grid, place.tile = self.grid, self.tile
        place.spread = self.of.spread if self.statistics else None
        try:
            return self.of.translate(image, direction, look, origin)
        finally:
            place.tile = place.spread = None


def _table(tiles: list[tuple[Tensor, Tensor, int]], grid: Grid) -> Moments:
    """Arrange what was measured in each tile, row by row."""
    means = torch.stack([mean for mean, _, _ in tiles], dim=1)
    variances = torch.stack([variance for _, variance, _ in tiles], dim=1)
    counts = torch.tensor([float(count) for _, _, count in tiles], device=means.device)
    return Moments(
        means.unflatten(1, grid.counts), variances.unflatten(1, grid.counts), counts.unflatten(0, grid.counts)
    )


# -- import ------------------------------------------------------------------------------------------------------------


def read_generator(path: Path) -> tuple[nn.Sequential, TrainTranslatorConfig]:
    """Read a residual generator as published, of one grey channel, with instance norms.

    Parameters
    ----------
    path : Path
        Safetensors file with the weights by the number of their layer, as `build_resnet` has them (``1.weight``,
        ``10.body.1.weight``) or with the prefixes of the first implementation (``model.10.conv_block.1.weight``).

    Returns
    -------
    generator : nn.Sequential
    config : TrainTranslatorConfig
        Of the method whose published generator it is: `cyclegan`, or the anti-aliased one of `cut`.

    Raises
    ------
    InputError
        If the file cannot be read or is of another network.
    """
    expected = (
        "expected a safetensors file of a residual generator with one grey channel and instance norms; "
        "save its weights with safetensors.torch.save_file where it was trained"
    )
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); {expected}") from error
    tensors = {
        name.removeprefix("model.").replace("conv_block", "body"): tensor
        for name, tensor in found.items()
        if not name.endswith((".filt", ".kernel"))
    }
    first = tensors.get("1.weight")
    if first is None or first.ndim != 4:
        raise InputError(f"{path} has the weights {', '.join(list(found)[:4])} ...; {expected}")
    config = TrainTranslatorConfig(
        method="cyclegan" if "7.weight" in tensors else "cut",
        published=True,
        channels=first.shape[0],
        blocks=max(1, sum(name.endswith(".body.1.weight") for name in tensors)),
    )
    net = generator_of(config)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit: {' '.join(str(error).split())}; {expected}") from error
    return net, config


def import_translator(project: Project, run: Run, config: ImportTranslatorConfig) -> Job[dict[str, Any]]:
    """Make generators that were trained elsewhere a translator of a project, and look at what they make.

    Parameters
    ----------
    project : Project
    run : Run
        Gets ``translator.safetensors``, ``translator.json`` and, with both directions, ``quality.json``.
    config : ImportTranslatorConfig

    Yields
    ------
    Progress

    Returns
    -------
    dict
        ``directions``, and ``verdict`` in words and ``measured``, a row a measure, where the images are large enough to
        tell.

    Raises
    ------
    InputError
        If no file is given, one is of another network, or the two are of different ones.
    ProjectError
        If the domains are not matched.
    """
    matching = load_matching(project, run.settle(matching=load_matching(project, config.matching).run)["matching"])
    files = config.files
    if not files:
        raise InputError("no generator was given; name its file with source_to_target, target_to_source, or both")
    yield Progress(0, 2, "reading the generators")
    read = {way: read_generator(path) for way, path in files.items()}
    network, *others = [network for _, network in read.values()]
    if others and others[0] != network:
        raise InputError(f"{' and '.join(map(str, files.values()))} are of different networks; import them one by one")
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    working_um = (matching.source_working_um, matching.target_working_um)
    own = {"spread": config.spread, "tile_px": config.tile_px, "sweeps": config.sweeps, "ways": tuple(files)}
    card = card_of(network, instant, reach_of(network)).model_copy(
        update={"run": run.id, "working_um": working_um, **own}
    )
    where = choose_device(config.device)
    translator = Imported({way: deepcopy(net).to(where) for way, (net, _) in read.items()}, instant, card)
    translator.save(run.path)
    yield Progress(1, 2, "looking at what it makes")
    result: dict[str, Any] = {"directions": list(files)}
    panel = panel_of_project(project, matching, config.device)
    if panel is not None:
        quality, pictures = examine(translator, panel)
        write_quality(run.path, quality)
        result |= result_of(quality)
        yield Progress(2, 2, "looked at what it makes", {}, pictures)
    return result
