"""What a training gives up, one thing after the other, when memory runs out; and what it says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import lcm
from typing import Any

import torch

from histobridge.core.errors import InputError
from histobridge.core.translate import crew
from histobridge.core.translator_config import TrainTranslatorConfig

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
SIGN_OF_CUDNN = "unable to find an engine to execute this computation"
"""What PyTorch says where cuDNN has tried all ways to convolve and none had memory to work in."""
SMALLEST_CROP = 64
COMPILERS = ("torch._dynamo", "torch._inductor", "torch._functorch")
WHOLE_BATCH = ("syndiff", "bridgecut")
"""Methods with a loss that looks at a batch as a whole: the spread within it, or the Dice of its labels."""
CHANGEABLE = ("identity_weight", "parts", "images_on_gpu", "recompute", "crop_px", "device", "compiled")
"""Fields of the config that a training may change by itself."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a training tells whoever runs it, and is told."""

    on_checkpoint: Callable[[int], object] = lambda step: None
    """Called with the step after each checkpoint is on disk."""

    on_change: Callable[[str], object] = lambda words: None
    """Called with a sentence when it changes how it trains, or starts over."""

    on_end: Callable[[TrainTranslatorConfig], object] = lambda config: None
    """Called with the settings that it ended with, when all steps are done."""

    identity_weight: float = 0.0
    """Of the identity loss that was switched off as the polarity is not certain; what it starts over with if dark and
    bright come out exchanged. 0: it was not."""

    kills: int = 0
    """How often in all it was ended because memory ran out."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or, where the system says so at all, on the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in (*SIGNS, SIGN_OF_CUDNN))


def is_of_compiler(error: BaseException) -> bool:
    """Whether networks could not be compiled."""
    return any(kind.__module__.startswith(COMPILERS) for kind in type(error).__mro__)


def step_down(
    config: TrainTranslatorConfig, error: BaseException, on_gpu: bool, images_there: bool = False
) -> tuple[TrainTranslatorConfig, str] | None:
    """Change how a translator is trained so that what went wrong goes right.

    First what changes no result, or hardly one (the batch in parts, images kept outside the GPU, networks computed
    twice), then the crops, then the device.
    Networks that cannot be compiled are left as they are.

    Parameters
    ----------
    config : TrainTranslatorConfig
        As it was when the error came.
    error : BaseException
        What went wrong.
    on_gpu : bool
        Whether that was on a GPU.
    images_there : bool
        Whether images are kept in its memory.

    Returns
    -------
    tuple of TrainTranslatorConfig and str, or None
        What to go on with, and one sentence on what is different; none if nothing can be done about it.
    """
    if is_of_compiler(error) and config.compiled != "off":
        return config.model_copy(update={"compiled": "off"}), (
            "The networks could not be compiled on this machine; training goes on with them as they are, "
            "a little slower, with the same result."
        )
    if not is_out_of_memory(error):
        return None
    if config.parts < config.batch_size:
        parts = min(2 * config.parts, config.batch_size)
        result = "about the same result" if config.method in WHOLE_BATCH or config.augment else "the same result"
        return config.model_copy(update={"parts": parts}), (
            f"Memory ran out: each batch of {config.batch_size} crops is now computed in {parts} parts, "
            f"a little slower, with {result}."
        )
    if images_there and config.images_on_gpu:
        return config.model_copy(update={"images_on_gpu": False}), (
            "Memory of the GPU ran out: images are now kept in the memory of the machine, "
            "a little slower, with the same result."
        )
    if not config.recompute:
        return config.model_copy(update={"recompute": True}), (
            "Memory ran out: networks are now computed twice instead of kept in memory, "
            "about a third slower, with the same result."
        )
    smaller = _smaller_crop(config)
    if smaller:
        return config.model_copy(update={"crop_px": smaller}), (
            f"Memory ran out: crops are now {smaller} px wide instead of {config.crop_px}, "
            "so that the translator sees less of the surroundings."
        )
    if on_gpu:
        return config.model_copy(update={"device": "cpu"}), (
            "Memory of the GPU ran out: training goes on on the processor, many times slower."
        )
    return None


def after_kills(config: TrainTranslatorConfig, kills: int) -> tuple[TrainTranslatorConfig, list[str]]:
    """Step down once for each time that a run was ended from outside because memory ran out.

    Parameters
    ----------
    config : TrainTranslatorConfig
        As it was before.
    kills : int
        That it has not been changed for yet.

    Returns
    -------
    tuple of TrainTranslatorConfig and list of str
        What to train with, and a sentence a step.
    """
    words = []
    for _ in range(kills):
        found = step_down(config, MemoryError(), on_gpu=False)
        if found is None:
            break
        config = found[0]
        words.append(found[1])
    return config, words


def check_processes(config: TrainTranslatorConfig) -> None:
    """Raise `InputError` if a training is for several processes and not as many have gathered."""
    if config.processes != crew.size():
        raise InputError(
            f"processes: {config.processes} found, but this training runs in {crew.size()}; "
            "run it by the engine (--engine, or --scheduler ADDRESS), or set processes to 1"
        )


def changes(asked: TrainTranslatorConfig, now: TrainTranslatorConfig) -> dict[str, Any]:
    """What a training has changed of what was asked, as JSON values, for its checkpoint."""
    values, before = now.model_dump(mode="json"), asked.model_dump(mode="json")
    return {name: values[name] for name in CHANGEABLE if values[name] != before[name]}


def changes_told(asked: TrainTranslatorConfig, now: TrainTranslatorConfig) -> dict[str, Any]:
    """What is changed of what was asked, for the user: also a loss that was switched off before the start."""
    contrast = {"contrast.identity": now.contrast.identity} if now.contrast != asked.contrast else {}
    return changes(asked, now) | contrast


def changed(asked: TrainTranslatorConfig, changes: Mapping[str, Any]) -> TrainTranslatorConfig:
    """Apply what `changes` returned."""
    return asked.model_copy(update=dict(changes))


def _smaller_crop(config: TrainTranslatorConfig) -> int:
    """Half of the crop, as the networks can take it; 0 if it is small already."""
    fits = 16
    if config.method == "syndiff":
        fits = lcm(16, 2 ** max(len(config.syndiff.multipliers) - 1, config.syndiff.judge_halvings))
    half = config.crop_px // 2 // fits * fits
    return half if half >= SMALLEST_CROP else 0
