"""What training a translator will cost, before it starts: estimates in words, readable without torch."""

from math import ceil

from histobridge.core.translator_config import TrainTranslatorConfig

TERAFLOPS_PER_STEP = {"cyclegan": 1.87, "cut": 1.4, "fastcut": 0.77, "syndiff": 5.0, "bridgecut": 1.6}
"""Published networks, one crop of 256 px of each domain: 64 channels, 9 residual blocks; SynDiff 64 wide;
BridgeCUT, which was not published, as large."""
GIGABYTES = {"cyclegan": 4.8, "cut": 3.3, "fastcut": 2.3, "syndiff": 16.0, "bridgecut": 3.6}
"""Memory of the same, beside the least."""
RECOMPUTED_WORK, RECOMPUTED_MEMORY = 4 / 3, 0.45
"""What computing networks twice leaves of both: one more forward pass, a third of a step; the memory was measured for
all methods on a CPU (0.29 to 0.54)."""
A_FURTHER_PART = 0.05
"""Share by which each further part of a batch lengthens its step: fewer images at once use a GPU less well."""
TOGETHER = 0.9
"""What several GPUs do of as many times the work of one, as they wait for each other."""
TERAFLOPS_A_SECOND = {"a GPU": 15.0, "two CPU cores": 0.04}
"""What such networks get out of an ordinary GPU, and of the machine the small ones were tried on."""
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
    return f"≈ {in_words(on_gpus)} on {gpus}, {in_words(on_cores)} on two CPU cores; {memory} (estimates)"


def seconds_of(config: TrainTranslatorConfig) -> tuple[float, float]:
    """Estimate how long a training takes, in seconds: on a GPU for each process, and on two CPU cores."""
    crops = config.batch_size * (config.crop_px / 256) ** 2
    width, depth = _size(config)
    work = TERAFLOPS_PER_STEP[config.method] * crops * width**2 * depth * config.steps
    work *= (RECOMPUTED_WORK if config.recompute else 1) * (1 + A_FURTHER_PART * (_parts(config) - 1))
    on_gpus = work / TERAFLOPS_A_SECOND["a GPU"]
    if config.processes > 1:
        on_gpus /= config.processes * TOGETHER
    return on_gpus, work / TERAFLOPS_A_SECOND["two CPU cores"]


def memory_of(config: TrainTranslatorConfig) -> float:
    """Estimate the memory that each process takes, in GB: for the images that it computes at once."""
    crops = ceil(config.batch_size / (config.processes * _parts(config))) * (config.crop_px / 256) ** 2
    width, depth = _size(config)
    kept = RECOMPUTED_MEMORY if config.recompute else 1.0
    return LEAST_GIGABYTES + GIGABYTES[config.method] * crops * width * depth * kept


def _parts(config: TrainTranslatorConfig) -> int:
    """In how many parts each process computes its share of a batch; no part is less than an image."""
    return max(1, min(config.parts, config.batch_size // config.processes))


def _size(config: TrainTranslatorConfig) -> tuple[float, float]:
    """Width and depth of the networks over those published."""
    if config.method == "syndiff":
        return config.syndiff.width / 64, 1.0
    # Half of the work lies outside of the residual blocks.
    return config.channels / 64, (9 + config.blocks) / 18


def in_words(seconds: float) -> str:
    """Say a time in the largest unit of which there are at least two."""
    if seconds < SHORTEST_S:
        return f"under {SHORTEST_S} s"
    size, name = next(((size, name) for size, name in UNITS if seconds >= 2 * size), UNITS[-1])
    return f"{seconds / size:.0f} {name}"
