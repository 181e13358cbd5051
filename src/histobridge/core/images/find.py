"""Which files are images, and which masks belong to them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

from histobridge.core.config import AddImagesConfig
from histobridge.core.images import bids
from histobridge.core.images.masks import MaskFiles
from histobridge.core.images.ngff import open_multiscale
from histobridge.core.images.problem import FileError
from histobridge.core.images.raster import ENDINGS, is_url, is_zarr, stem
from histobridge.core.manifest import ClassSpec

MASK_FOLDERS = ("masks", "mask", "labels", "label")
MASK_WORDS = frozenset({"seg", "mask", "masks", "label", "labels", "manual", "gt"})
INNER_LABELS = ("classes", "labels")
PAIR = "two classes in one file"
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
        chosen = {kinds.get(_word(kind), kind): mask for kind, mask in reversed(masks)}
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
    found, plain = Found(), dict[Path, Path]()
    kinds = mask_kinds(classes)
    for given in config.paths:
        try:
            for path, known in _images_of(given):
                if known:
                    found.add(path, known.masks, kinds, known)
                else:
                    plain.setdefault(path if is_url(path) else path.resolve(), path)
        except FileError as problem:
            found.problems.append(problem)
    _pair(list(plain.values()), config.masks, kinds, found)
    return found


def _images_of(given: Path) -> Iterator[tuple[Path, bids.BidsImage | None]]:
    """Yield the images a path leads to."""
    root = None if is_url(given) else bids.root_of(given)
    if not is_url(given) and not given.exists():
        raise FileError(given, "is not there", "check the name, or plug in the drive it lies on")
    if root:
        paths: list[tuple[Path, bids.BidsImage | None]] = [(image.path, image) for image in bids.images(root, given)]
    elif is_zarr(given) or given.is_file():
        paths = [(given, None)]
    else:
        folder = next((given / name for name in ("images", "Images") if (given / name).is_dir()), given)
        paths = [(path, None) for path in image_files(folder)]
    if not paths:
        raise FileError(given, f"has no images ({', '.join(ENDINGS)} or OME-Zarr)", NO_IMAGES)
    yield from paths


def _pair(paths: Sequence[Path], given_masks: Sequence[Path], kinds: Mapping[str, str], found: Found) -> None:
    """Give each image that is in no BIDS dataset its masks, by name."""
    stems = {(path.parent, stem(path).casefold()) for path in paths}
    images = [
        path for path in paths if not any((path.parent, owner) in stems for owner, _ in readings(path, kinds)[1:])
    ]
    masks: dict[Path, list[tuple[str, Path]]] = {path: [] for path in images}
    for mask in _mask_files(given_masks, found):
        owner = _owner(mask, images, kinds)
        if owner:
            masks[owner[0]].append((owner[1], mask))
        elif len(images) == len(given_masks) == 1 and given_masks[0] == mask:
            masks[images[0]].append((readings(mask, kinds)[-1][1], mask))
        else:
            found.problems.append(FileError(mask, "is a mask of none of these images", "name it like its image"))
    beside = {folder: _masks_beside(folder) for folder in {path.parent for path in images if not is_url(path)}}
    for path in images:
        if not masks[path]:
            for mask in beside.get(path.parent, ()):
                owner = _owner(mask, [path], kinds) if mask != path else None
                if owner and (mask.parent != path.parent or mask not in images):
                    masks[path].append((owner[1], mask))
        found.add(path, masks[path] or _inner_masks(path), kinds)


def _mask_files(given: Iterable[Path], found: Found) -> Iterator[Path]:
    """Yield the mask files that the user's mask paths lead to."""
    for path in given:
        if path.is_file() or is_zarr(path):
            yield path
        elif path.is_dir():
            yield from image_files(path, skip=())
        else:
            found.problems.append(FileError(path, "is not there", "check the name of the mask"))


def _masks_beside(folder: Path) -> list[Path]:
    """Files that may be masks of the images of a folder: beside them, and in ``masks`` where they are in ``images``."""
    files = [path for path in sorted(folder.iterdir()) if path.name.lower().endswith(ENDINGS)]
    for images in (folder, *folder.parents):
        if images.name.lower() == "images":
            for name in MASK_FOLDERS:
                if (images.parent / name).is_dir():
                    files.extend(image_files(images.parent / name, skip=()))
            break
    return files


def _owner(mask: Path, images: Sequence[Path], kinds: Mapping[str, str]) -> tuple[Path, str] | None:
    """Return the image that a mask belongs to, and the kind of the mask."""
    for name, kind in readings(mask, kinds):
        same = [path for path in images if stem(path).casefold() == name]
        if same:
            return max(same, key=lambda path: len(set(path.parent.parts) & set(mask.parent.parts))), kind
    return None


def _inner_masks(path: Path) -> list[tuple[str, Path]]:
    """Label images inside an OME-Zarr, of the names that stand for classes."""
    if is_url(path) or not is_zarr(path):
        return []
    try:
        names = open_multiscale(path).labels
    except FileError:
        return []
    return [("", path / "labels" / name) for name in INNER_LABELS if name in names][:1]


def image_files(folder: Path, skip: tuple[str, ...] = ("mask", "label", "derivatives")) -> list[Path]:
    """All image files and OME-Zarr groups under a folder, in order, but for folders whose names begin with `skip`."""
    files = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_zarr(path) or (path.is_file() and path.name.lower().endswith(ENDINGS)):
            files.append(path)
        elif path.is_dir() and not (skip and path.name.lower().startswith(skip)):
            files.extend(image_files(path, skip))
    return files


def mask_kinds(classes: Sequence[ClassSpec]) -> dict[str, str]:
    """Words in file names -> the class they name, or `PAIR`."""
    words = {_word(spec.name): spec.name for spec in classes}
    return {"axonmyelin": PAIR} | {a + b: PAIR for a, b in permutations(words, 2)} | words


def _word(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def readings(path: Path, kinds: Mapping[str, str]) -> list[tuple[str, str]]:
    """Ways to read the name of a mask as (name of its image, kind), the plainest first.

    ``a.png`` in a folder ``axon``, ``a_axon.png``, ``a_seg-axon-manual.png``: kind ``axon``; ``a.png``, ``a_mask.png``:
    kind empty, a label map.
    """
    kind = kinds.get(_word(path.parent.name), "")
    if path.parent.name == "labels" and is_zarr(path.parent.parent):
        return [(stem(path.parent.parent).casefold(), "")]
    rest = stem(path).casefold()
    found = [(rest, kind)]
    if match := re.fullmatch(r"(.+)_seg-([a-z0-9]+)(-.+)?", rest):
        return [*found, (match[1], kinds.get(match[2], match[2]))]
    while match := re.fullmatch(r"(.+)[_.\-]([^_.\-]+)", rest):
        rest, word = match.groups()
        if word in kinds and not kind:
            kind = kinds[word]
        elif word not in MASK_WORDS:
            break
        found.append((rest, kind))
    return found
