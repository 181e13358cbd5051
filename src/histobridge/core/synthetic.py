"""Synthetic nerve cross-sections in two modalities, with the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Domain
from histobridge.core.errors import InputError
from histobridge.core.synthetic_look import FibreMap, render_sem, render_tem

AXON, MYELIN = 1, 2


@dataclass(frozen=True, slots=True)
class SyntheticField:
    """One field of view and its truth.

    Parameters
    ----------
    domain : {"source", "target"}
        Source fields look like TEM, target fields like SEM.
    image : ndarray (Y, X) uint8
    classes : ndarray (Y, X) uint8
        0 background, 1 axon, 2 myelin.
    fibres : ndarray (Y, X) uint32
        Which fibre owns a pixel of axon or myelin; 0 background.
    pixel_size_um : float
    subject : str
        The made-up animal; a look differs between animals.
    """

    domain: Domain
    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    fibres: NDArray[np.uint32]
    pixel_size_um: float
    subject: str


@dataclass(frozen=True, slots=True)
class _Tissue:
    """How fibres are shaped and packed in one modality; lengths in pixels."""

    radius: float
    spread: float
    packing: float
    g_ratio: float
    crumple: float
    pixel_size_um: float


_TEM = _Tissue(radius=17.0, spread=0.28, packing=0.66, g_ratio=0.66, crumple=0.09, pixel_size_um=0.05)
_SEM = _Tissue(radius=11.5, spread=0.48, packing=0.50, g_ratio=0.58, crumple=0.16, pixel_size_um=0.1)


def two_modalities(fields: int = 4, size: int = 256, seed: int = 0) -> list[SyntheticField]:
    """Make labelled TEM-like and hidden SEM-like fields of myelinated axons.

    Beyond polarity the modalities differ in object size, packing, sheath thickness, shape, blur, texture and artefacts,
    so that an inverted grey scale alone does not carry a segmenter across. In the third SEM subject the background is
    darker than the axons.

    Parameters
    ----------
    fields : int
        Fields of each modality, spread over up to three subjects each.
    size : int
        Side of a field in pixels, at least 64.
    seed : int
        The same seed gives the same pixels.

    Returns
    -------
    list of SyntheticField
        The TEM fields (source) first, then the SEM fields (target).

    Raises
    ------
    InputError
        If there are no fields or they are too small.
    """
    if fields < 1 or size < 64:
        raise InputError(f"{fields} synthetic fields of {size} px asked for; give at least 1 field of at least 64 px")
    source = [_field("source", index, size, seed) for index in range(fields)]
    target = [_field("target", index, size, seed) for index in range(fields)]
    return source + target


def _field(domain: Domain, index: int, size: int, seed: int) -> SyntheticField:
    """Draw one field; its random numbers depend on nothing but seed, modality and index."""
    random = np.random.default_rng([seed, domain == "target", index])
    subject = index % 3
    tissue = _TEM if domain == "source" else _SEM
    fibre_map = _fibres(tissue, size, random)
    render = render_tem if domain == "source" else render_sem
    animal = "mouse" if domain == "source" else "rat"
    return SyntheticField(
        domain=domain,
        image=render(fibre_map, subject, random),
        classes=fibre_map.classes,
        fibres=fibre_map.owner,
        pixel_size_um=tissue.pixel_size_um,
        subject=f"{animal}{subject + 1}",
    )


def _fibres(tissue: _Tissue, size: int, random: np.random.Generator) -> FibreMap:
    """Pack deformed ellipses; where two overlap, each pixel goes to the one it is deeper in."""
    centres, radii = _pack(tissue, size, random)
    owner = np.zeros((size, size), np.uint32)
    depth = np.ones((size, size), np.float32)
    inner = np.full((size, size), np.inf, np.float32)
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True), 1):
        reach = int(radius * 1.7) + 2
        low = np.maximum(np.floor(centre).astype(int) - reach, 0)
        high = np.minimum(np.floor(centre).astype(int) + reach + 1, size)
        if np.any(low >= high):
            continue
        window = (slice(low[0], high[0]), slice(low[1], high[1]))
        outline, hollow = _distances(np.mgrid[window], centre, radius, tissue, random)
        mine = outline < depth[window]
        depth[window][mine] = outline[mine]
        inner[window][mine] = hollow[mine]
        owner[window][mine] = number
    classes = np.where(owner == 0, 0, np.where(inner < 1, AXON, MYELIN)).astype(np.uint8)
    return FibreMap(classes, owner, depth, inner)


def _pack(tissue: _Tissue, size: int, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Place fibres, large ones first, so that they touch and overlap a little but rarely much."""
    margin = 2 * tissue.radius
    side = size + 2 * margin
    mean_area = np.pi * tissue.radius**2 * np.exp(2 * tissue.spread**2)
    count = max(int(tissue.packing * side**2 / mean_area), 1)
    radii = np.sort(tissue.radius * np.exp(tissue.spread * random.standard_normal(count)))[::-1]
    radii = np.clip(radii, 0.45 * tissue.radius, 2.8 * tissue.radius)
    centres = np.full((count, 2), np.inf)
    for number, radius in enumerate(radii):  # the tightest of six free places: bundles with gaps between them
        tries = random.uniform(-margin, size + margin, (60, 2))
        if number:
            apart = np.linalg.norm(tries[:, None] - centres[None, :number], axis=-1)
            slack = (apart - 0.94 * (radius + radii[:number])).min(axis=1)
        else:
            slack = np.zeros(len(tries))
        fits = np.flatnonzero(slack >= 0)
        if len(fits):
            some = fits[:6]
            centres[number] = tries[some[slack[some].argmin()]]
    placed = np.isfinite(centres[:, 0])
    return centres[placed], radii[placed]


def _distances(
    grid: NDArray[np.int64],
    centre: NDArray[np.float64],
    radius: float,
    tissue: _Tissue,
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance from the centre in units of the outline and of the axon's outline; 1 is on it."""
    along = random.uniform(0, np.pi)
    longer = np.sqrt(random.uniform(1.0, 1.7))
    y, x = grid[0] - centre[0], grid[1] - centre[1]
    u = (np.cos(along) * x + np.sin(along) * y) / longer
    v = (np.cos(along) * y - np.sin(along) * x) * longer
    distance, angle = np.hypot(u, v) / radius, np.arctan2(v, u)
    waves = np.arange(2, 6)
    height = tissue.crumple * random.standard_normal((2, 4)) / (waves - 1)
    phase = random.uniform(0, 2 * np.pi, (2, 4))
    ripple = np.cos(angle[None, None] * waves[None, :, None, None] + phase[..., None, None])
    ripple = np.clip((ripple * height[..., None, None]).sum(axis=1), -0.35, 0.35)
    thickness = float(np.clip(tissue.g_ratio + 0.08 * random.standard_normal(), 0.35, 0.82))
    outline = distance / (1 + ripple[0])
    hollow = outline / (thickness * (1 + 0.6 * ripple[1]))
    return outline.astype(np.float32), np.maximum(hollow, outline).astype(np.float32)
