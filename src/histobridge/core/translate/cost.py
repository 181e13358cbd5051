"""What training a translator will cost, before it starts: estimates in words, readable without torch."""

from collections.abc import Sequence
from math import ceil

from histobridge.core.translator_config import TrainTranslatorConfig

TERAFLOPS_PER_STEP = {"cyclegan": 1.85, "cut": 2.55, "fastcut": 1.44, "syndiff": 5.5, "bridgecut": 1.5}
"""Published networks in both directions, one crop of 256 px of each domain, as counted for a step (torch's
FlopCounterMode): 64 channels, 9 residual blocks; SynDiff as its authors have it; BridgeCUT, which was not published, as
large as CUT."""
GIGABYTES = {"cyclegan": 4.8, "cut": 7.2, "fastcut": 4.5, "syndiff": 16.0, "bridgecut": 5.0}
"""Memory of the same, beside the least: 4.8 for CycleGAN, the others by what they keep for gradients, as counted, and
what weights and optimizers take."""
MILLIONS = {"cyclegan": 28.3, "cut": 29.4, "fastcut": 29.4, "syndiff": 156.1, "bridgecut": 29.9}
"""Weights of the same, as counted."""
BYTES_PER_WEIGHT = 20
"""Of its value, gradient, two moments of Adam and running average, whatever the size of crops."""
WITHOUT_IDENTITY = {"cyclegan": 0.69, "cut": 0.53}
"""What switching the identity loss off leaves of the work, as counted."""
SYNDIFF_WORK, SYNDIFF_MEMORY = (0.29, 0.47, 0.24), (0.51, 0.25, 0.24)
"""Shares of SynDiff's generators, of their discriminators and of its cycle, counted for `faithful-256`."""
SYNDIFF_WEIGHTS = (0.51, 0.36, 0.13)
"""Shares of the same of the weights, as counted."""
SYNDIFF_LEVELS, SYNDIFF_BLOCKS = (1, 1, 2, 2, 4, 4), 2
"""Of the published generators: multiples of their width, blocks at each."""
SHARED_FAKES = 0.72
"""What is left of the work of generators where discriminators learn from what these learned from, as counted."""
SYNDIFF_DEPTH = 15 / 18
"""Depth of its cycle, of 6 blocks; see `_depth`."""
HALF = 0.7
"""What bfloat16 leaves of the memory; counted 0.56 to 0.77 for the presets `fast`."""
RECOMPUTED_WORK, RECOMPUTED_MEMORY = 4 / 3, 0.45
"""What computing networks twice leaves of both: one more forward pass, a third of a step; the memory was measured for
all methods on a CPU (0.29 to 0.54)."""
A_FURTHER_PART = 0.05
"""Share by which each further part of a batch lengthens its step: fewer images at once use a GPU less well."""
TOGETHER = 0.9
"""What several GPUs do of as many times the work of one, as they wait for each other."""
TERAFLOPS_A_SECOND = 15.0
"""What such networks get out of an ordinary GPU."""
ON_TWO_CORES = {"cyclegan": 0.04, "cut": 0.04, "fastcut": 0.04, "syndiff": 0.018, "bridgecut": 0.027}
"""The same of two CPU cores with the small presets, time to look at checkpoints included: 1.6 times what one core did
in benchmarks/results/known_truth.csv."""
LEAST_GIGABYTES = 0.5
SHORTEST_S = 10
"""Shorter times are not told apart: starting takes longer."""
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def cost_in_words(config: TrainTranslatorConfig) -> str:
    """Estimate time and memory of a training.

    Parameters
    ----------
    config : TrainTranslatorConfig

    Returns
    -------
    str
        Marked as an estimate; time on as many GPUs as there are processes and on two CPU cores, which processes share,
        and memory of each process.
    """
    count = config.processes
    gpus = "a GPU" if count == 1 else f"{count} GPUs"
    on_gpus, on_cores = seconds_of(config)
    memory = f"{memory_of(config):.1f} GB of memory" + ("" if count == 1 else f" for each of {count} processes")
    return f"{in_words(on_gpus)} on {gpus}, {in_words(on_cores)} on two CPU cores; {memory} (estimates)"


def seconds_of(config: TrainTranslatorConfig) -> tuple[float, float]:
    """Estimate how long a training takes, in seconds: on a GPU for each process, and on two CPU cores."""
    crops = config.batch_size * (config.crop_px / 256) ** 2
    work = TERAFLOPS_PER_STEP[config.method] * crops * _work(config) * config.steps
    work *= (RECOMPUTED_WORK if config.recompute else 1) * (1 + A_FURTHER_PART * (_parts(config) - 1))
    on_gpus = work / TERAFLOPS_A_SECOND
    if config.processes > 1:
        on_gpus /= config.processes * TOGETHER
    return on_gpus, work / ON_TWO_CORES[config.method]


def memory_of(config: TrainTranslatorConfig) -> float:
    """Estimate the memory that each process takes, in GB: for the images that it computes at once."""
    crops = ceil(config.batch_size / (config.processes * _parts(config))) * (config.crop_px / 256) ** 2
    kept = (RECOMPUTED_MEMORY if config.recompute else 1.0) * (HALF if config.half_precision else 1.0)
    weights = MILLIONS[config.method] * BYTES_PER_WEIGHT / 1000
    shown = (GIGABYTES[config.method] - weights) * crops * _memory(config) * kept
    return LEAST_GIGABYTES + weights * _weights(config) + shown


def _parts(config: TrainTranslatorConfig) -> int:
    """In how many parts each process computes its share of a batch; no part is less than an image."""
    return max(1, min(config.parts, config.batch_size // config.processes))


def _work(config: TrainTranslatorConfig) -> float:
    """Work of a step over that of the published networks."""
    width, depth = config.channels / 64, _depth(config)
    if config.method != "syndiff":
        identity = config.contrast.identity if config.method == "cut" else config.identity_weight
        return width**2 * depth * (1 if identity else WITHOUT_IDENTITY.get(config.method, 1))
    settings = config.syndiff
    once = SHARED_FAKES if settings.share_fakes else 1.0
    sides = once * _levels(config, 2), (settings.judge_width / 64) ** 2, once * width**2 * depth / SYNDIFF_DEPTH
    return sum(share * side for share, side in zip(SYNDIFF_WORK, sides, strict=True))


def _memory(config: TrainTranslatorConfig) -> float:
    """Memory for an image over that of the published networks."""
    width, depth = config.channels / 64, _depth(config)
    if config.method != "syndiff":
        return width * depth
    sides = _levels(config, 1), config.syndiff.judge_width / 64, width * depth / SYNDIFF_DEPTH
    return sum(share * side for share, side in zip(SYNDIFF_MEMORY, sides, strict=True))


def _weights(config: TrainTranslatorConfig) -> float:
    """Number of weights over that of the published networks."""
    width, depth = config.channels / 64, _depth(config)
    if config.method != "syndiff":
        return width**2 * depth
    sides = _levels(config, 2, 1), (config.syndiff.judge_width / 64) ** 2, width**2 * depth / SYNDIFF_DEPTH
    return sum(share * side for share, side in zip(SYNDIFF_WEIGHTS, sides, strict=True))


def _depth(config: TrainTranslatorConfig) -> float:
    """Depth of a generator over that of 9 blocks: half of the work lies outside of the residual blocks."""
    return (9 + config.blocks) / 18


def _levels(config: TrainTranslatorConfig, power: int, smaller: int = 4) -> float:
    """What the levels of SynDiff's generators come to over those published, by a power of their channels.

    Each level is so many times smaller than the one before.
    """

    def total(width: int, multipliers: Sequence[int], blocks: int) -> float:
        areas = (float(width * times) ** power / float(smaller**level) for level, times in enumerate(multipliers))
        return (2 * blocks + 3) * float(sum(areas))

    settings = config.syndiff
    ours = total(settings.width, settings.multipliers, settings.residual_blocks)
    return ours / total(64, SYNDIFF_LEVELS, SYNDIFF_BLOCKS)


def in_words(seconds: float) -> str:
    """Say about how long something takes, in the largest unit of which there are at least two."""
    if seconds < SHORTEST_S:
        return f"under {SHORTEST_S} s"
    size, name = next(((size, name) for size, name in UNITS if seconds >= 2 * size), UNITS[-1])
    return f"≈ {seconds / size:.0f} {name}"
