"""Read generators that were trained elsewhere, and make them a translator of a project: the job `import-translator`."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.device import choose_device
from histobridge.core.errors import InputError
from histobridge.core.job import Job, Progress
from histobridge.core.matching import load_matching
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.translate.card import card_of
from histobridge.core.translate.generators import generator_of, reach_of
from histobridge.core.translate.import_config import ImportTranslatorConfig
from histobridge.core.translate.imported import Imported
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.quality.lines import result_of
from histobridge.core.translate.quality.measure import examine
from histobridge.core.translate.quality.panel import panel_of_project
from histobridge.core.translate.quality.report import write_quality

MOST_CHANNELS = 512
"""No published generator has more in its first layer."""

EXPECTED = (
    "expected a safetensors file of a residual generator with one grey channel and instance norms; "
    "save its weights with safetensors.torch.save_file where it was trained"
)


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
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); {EXPECTED}") from error
    tensors = {
        name.removeprefix("model.").replace("conv_block", "body"): tensor
        for name, tensor in found.items()
        if not name.endswith((".filt", ".kernel"))
    }
    first = _checked(path, tensors)
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
        raise InputError(f"{path} does not fit: {' '.join(str(error).split())}; {EXPECTED}") from error
    return net, config


def _checked(path: Path, tensors: dict[str, Tensor]) -> Tensor:
    """Return the weights of the first layer, by which the network is built; all must be finite numbers."""
    first = tensors.get("1.weight")
    if first is None or first.ndim != 4 or not 0 < first.shape[0] <= MOST_CHANNELS:
        raise InputError(f"{path} has the weights {', '.join(list(tensors)[:4])} ...; {EXPECTED}")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise InputError(f"{path}: {name} ({tensor.dtype}) holds values that are no finite numbers; {EXPECTED}")
    return first


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
