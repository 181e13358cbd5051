"""Which files are images; which masks belong to them is told in pairing.py."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from histobridge.core.config import AddImagesConfig
from histobridge.core.images import bids
from histobridge.core.images.masks import MaskFiles
from histobridge.core.images.pairing import PAIR, Pairing, image_files, mask_kinds, word
from histobridge.core.images.problem import FileError
from histobridge.core.images.raster import ENDINGS, is_url, is_zarr
from histobridge.core.manifest import ClassSpec

NO_IMAGES = "give image files, a folder of them, an OME-Zarr group or a BIDS dataset"


@dataclass(frozen=True)
class Candidate:
    """One image file to be added.

    Parameters
    ----------
    path : Path
    masks : MaskFiles, optional
    dataset : BidsImage, optional
        What the dataset says of it, if it lies in one.
    """

    path: Path
    masks: MaskFiles | None = None
    dataset: bids.BidsImage | None = None


@dataclass
class Found:
    """All that the user's paths lead to."""

    candidates: list[Candidate] = field(default_factory=list)
    problems: list[FileError] = field(default_factory=list)
    unused: list[tuple[Path, str]] = field(default_factory=list)
    """Mask files of classes that the project does not have, with the name of the class."""

    def add(
        self,
        path: Path,
        masks: Sequence[tuple[str, Path]],
        kinds: Mapping[str, str],
        known: bids.BidsImage | None = None,
    ) -> None:
        """Add an image with its mask files, each with the kind or the word that its name says."""
        chosen = {kinds.get(word(kind), kind): mask for kind, mask in reversed(masks)}
        names = set(kinds.values()) - {PAIR}
        per_class = tuple((kind, chosen[kind]) for kind in sorted(names & set(chosen)))
        files = MaskFiles(chosen.get(""), chosen.get(PAIR), per_class)
        self.unused.extend((mask, kind) for kind, mask in chosen.items() if kind not in names | {PAIR, ""})
        self.candidates.append(Candidate(path, None if files == MaskFiles() else files, known))


def find_images(config: AddImagesConfig, classes: Sequence[ClassSpec]) -> Found:
    """Find the images that `config` names and the masks that belong to each.

    Parameters
    ----------
    config : AddImagesConfig
        Its `paths` and `masks` are followed.
    classes : sequence of ClassSpec
        Their names are looked for in the names of mask files.

    Returns
    -------
    Found
        In the order given; a path that leads nowhere is a problem.
    """
    found, plain, datasets = Found(), dict[Path, Path](), dict[Path, list[bids.BidsImage]]()
    kinds = mask_kinds(classes)
    seen = set[Path]()
    for given in config.paths:
        try:
            for path, known in _images_of(given, datasets):
                whole = path if is_url(path) else path.resolve()
                if known and whole not in seen:
                    found.add(path, known.masks, kinds, known)
                elif not known:
                    plain.setdefault(whole, path)
                seen.add(whole)
        except FileError as problem:
            found.problems.append(problem)
    pairing = Pairing(list(plain.values()), kinds)
    pairing.give(config.masks)
    for path in pairing.images:
        found.add(path, pairing.masks_of(path), kinds)
    found.problems.extend(pairing.problems)
    found.unused.extend(pairing.unused)
    return found


def _images_of(given: Path, datasets: dict[Path, list[bids.BidsImage]]) -> Iterator[tuple[Path, bids.BidsImage | None]]:
    """Yield the images a path leads to; what was found in `datasets` is kept there."""
    root = None if is_url(given) else bids.root_of(given)
    if not is_url(given) and not given.exists():
        raise FileError(given, "is not there", "check the name, or plug in the drive it lies on")
    if root:
        if root not in datasets:
            datasets[root] = bids.images(root)
        place = given.absolute()
        paths: list[tuple[Path, bids.BidsImage | None]] = [
            (image.path, image) for image in datasets[root] if place in (image.path, *image.path.parents)
        ]
    elif is_zarr(given) or given.is_file():
        paths = [(given, None)]
    else:
        folder = next((given / name for name in ("images", "Images") if (given / name).is_dir()), given)
        paths = [(path, None) for path in image_files(folder)]
    if not paths:
        raise FileError(given, f"has no images ({', '.join(ENDINGS)} or OME-Zarr)", NO_IMAGES)
    yield from paths
