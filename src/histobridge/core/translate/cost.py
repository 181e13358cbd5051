"""What training a translator will cost, before it starts: estimates in words, readable without torch."""

from histobridge.core.translator_config import TrainTranslatorConfig

TERAFLOPS_PER_STEP = {"cyclegan": 1.87, "cut": 1.4, "fastcut": 0.77, "syndiff": 5.0, "bridgecut": 1.6}
"""Published networks, one crop of 256 px of each domain: 64 channels, 9 residual blocks; SynDiff 64 wide;
BridgeCUT, which was not published, as large."""
GIGABYTES = {"cyclegan": 4.8, "cut": 3.3, "fastcut": 2.3, "syndiff": 16.0, "bridgecut": 3.6}
"""Memory of the same."""
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
        Marked as an estimate; time on a GPU and on two CPU cores, and memory.
    """
    size = config.batch_size * (config.crop_px / 256) ** 2
    width = (config.syndiff.width if config.method == "syndiff" else config.channels) / 64
    # Half of the work lies outside of the residual blocks.
    depth = 1.0 if config.method == "syndiff" else (9 + config.blocks) / 18
    work = TERAFLOPS_PER_STEP[config.method] * size * width**2 * depth * config.steps
    memory = LEAST_GIGABYTES + GIGABYTES[config.method] * size * width * depth
    times = ", ".join(f"{_duration(work / speed)} on {where}" for where, speed in TERAFLOPS_A_SECOND.items())
    return f"≈ {times}; {memory:.1f} GB of memory (estimates)"


def _duration(seconds: float) -> str:
    """Say a time in the largest unit of which there are at least two."""
    if seconds < SHORTEST_S:
        return f"under {SHORTEST_S} s"
    size, name = next(((size, name) for size, name in UNITS if seconds >= 2 * size), UNITS[-1])
    return f"{seconds / size:.0f} {name}"
