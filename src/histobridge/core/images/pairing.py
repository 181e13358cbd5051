"""Which masks belong to which images, told by their names."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path

from histobridge.core.images.masks import has_few_values
from histobridge.core.images.ngff import open_multiscale
from histobridge.core.images.problem import FileError
from histobridge.core.images.raster import ENDINGS, is_url, is_zarr, stem
from histobridge.core.manifest import ClassSpec

MASK_FOLDERS = ("masks", "mask", "labels", "label")
MASK_WORDS = frozenset({"seg", "mask", "masks", "label", "labels", "manual", "gt", "classes"})
EXPORTED_BESIDE = frozenset({"state", "fibres", "confidence"})
"""What an export writes beside the classes of an image: neither images nor masks."""

INNER_LABELS = ("classes", "labels")
PAIR = "two classes in one file"

Named = tuple[str, Path]
"""The kind that the name of a mask says, and the mask."""


class Pairing:
    """Images that are in no BIDS dataset, and the masks that their names say are theirs.

    Parameters
    ----------
    paths : sequence of Path
        Image files; those among them that are masks of others are none.
    kinds : mapping of str to str
        See `mask_kinds`.
    """

    def __init__(self, paths: Sequence[Path], kinds: Mapping[str, str]):
        self._kinds = kinds
        self.problems: list[FileError] = []
        self.unused: list[tuple[Path, str]] = []
        """Masks beside the images of what is no class of the project, with the word that says so."""
        stems = {(path.parent, stem(path).casefold()) for path in paths}
        self.images = [path for path in paths if not self._stands_beside(path, stems)]
        self._named: dict[str, list[Path]] = {}
        for path in self.images:
            self._named.setdefault(stem(path).casefold(), []).append(path)
        self._given: dict[Path, list[Named]] = {}
        self._beside: dict[Path, dict[str, list[Named]]] = {}

    def _stands_beside(self, path: Path, stems: Collection[tuple[Path, str]]) -> bool:
        """Whether a file is about another image of its folder."""
        if any((path.parent, owner) in stems for owner, _ in readings(path, self._kinds)[1:]):
            return True
        owner, last = _parted(path)
        if not owner or (path.parent, owner) not in stems:
            return False
        if last not in EXPORTED_BESIDE and not has_few_values(path):
            return False
        if last not in EXPORTED_BESIDE:
            self.unused.append((path, last))
        return True

    def give(self, masks: Iterable[Path]) -> None:
        """Give the images the masks that the user names: files, or folders of them."""
        masks = list(masks)
        shown = {path.resolve() for path in self.images if not is_url(path)}
        for mask in dict.fromkeys(self._mask_files(masks)):
            if not is_url(mask) and mask.resolve() in shown:
                continue
            owners, kind = self._owners(mask)
            if not owners and len(self.images) == len(masks) == 1 and masks[0] == mask:
                owners, kind = self.images, readings(mask, self._kinds)[-1][1]
            if len(owners) == 1:
                self._take(owners[0], kind, mask)
            elif owners:
                found = f"fits several images called {stem(owners[0])}: {', '.join(map(str, owners))}"
                self.problems.append(FileError(mask, found, "add each folder with masks of its own"))
            elif _parted(mask)[1] not in EXPORTED_BESIDE or _parted(mask)[0] not in self._named:
                self.problems.append(FileError(mask, "is a mask of none of these images", "name it like its image"))

    def _take(self, image: Path, kind: str, mask: Path) -> None:
        taken = self._given.setdefault(image, [])
        other = next((path for known, path in taken if known == kind), None)
        if other is None:
            taken.append((kind, mask))
        else:
            found = f"is a second mask of {image}, which has {other}"
            self.problems.append(FileError(mask, found, "name one of them, or add each folder with masks of its own"))

    def _mask_files(self, given: Iterable[Path]) -> Iterator[Path]:
        """Yield the mask files that the user's mask paths lead to."""
        for path in given:
            if path.is_file() or is_zarr(path):
                yield path
            elif path.is_dir():
                yield from image_files(path, skip=())
            else:
                self.problems.append(FileError(path, "is not there", "check the name of the mask"))

    def _owners(self, mask: Path) -> tuple[list[Path], str]:
        """Images that a mask may belong to, by the plainest reading of its name that fits one, and its kind."""
        for name, kind in readings(mask, self._kinds):
            if name in self._named:
                return _nearest(mask, self._named[name]), kind
        return [], ""

    def masks_of(self, image: Path) -> list[Named]:
        """Masks of an image: those given, else what lies beside it, else those inside it."""
        if image in self._given:
            return self._given[image]
        found = [] if is_url(image) else self._found_beside(image)
        return found or _inner_masks(image)

    def _found_beside(self, image: Path) -> list[Named]:
        if image.parent not in self._beside:
            self._beside[image.parent] = self._read_folder(image.parent)
        by_kind: dict[str, list[Path]] = {}
        for kind, mask in self._beside[image.parent].get(stem(image).casefold(), ()):
            if mask != image:
                by_kind.setdefault(kind, []).append(mask)
        found = []
        for kind, masks in by_kind.items():
            nearest = _nearest(image, masks)
            found.append((kind, nearest[0]))
            elsewhere = next((mask for mask in nearest if mask.parent != nearest[0].parent), None)
            if elsewhere:
                said = f"may be the mask of {image} as well as {nearest[0]}, which was taken"
                self.problems.append(FileError(elsewhere, said, "add each folder with masks of its own"))
        return found

    def _read_folder(self, folder: Path) -> dict[str, list[Named]]:
        """Masks that lie beside the images of a folder, by the names of the images that they may belong to."""
        images = set(self.images)
        found: dict[str, list[Named]] = {}
        for mask in _masks_beside(folder):
            if mask.parent == folder and mask in images:
                continue
            for name, kind in dict(reversed(readings(mask, self._kinds))).items():
                found.setdefault(name, []).append((kind, mask))
        return found


def _nearest(path: Path, others: Sequence[Path]) -> list[Path]:
    """Those of the others that share most folders with a path."""
    shared = [len(set(path.parent.parts) & set(other.parent.parts)) for other in others]
    return [other for other, count in zip(others, shared, strict=True) if count == max(shared)]


def _parted(path: Path) -> tuple[str, str]:
    """Part a file name before its last word; empty where it has but one."""
    match = re.fullmatch(r"(.+)[_.\-]([^_.\-]+)", stem(path).casefold())
    return (match[1], match[2]) if match else ("", "")


def _masks_beside(folder: Path) -> list[Path]:
    """Files that may be masks of the images of a folder: beside them, and in ``masks`` in it or beside ``images``."""
    files = [path for path in sorted(folder.iterdir()) if path.name.lower().endswith(ENDINGS)]
    images = next((place for place in (folder, *folder.parents) if place.name.lower() == "images"), None)
    for place in (folder, *([images.parent] if images else [])):
        for name in MASK_FOLDERS:
            if (place / name).is_dir():
                files.extend(image_files(place / name, skip=()))
    return files


def _inner_masks(path: Path) -> list[Named]:
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
    words = {word(spec.name): spec.name for spec in classes}
    return {"axonmyelin": PAIR} | {a + b: PAIR for a, b in permutations(words, 2)} | words


def word(name: str) -> str:
    """Write a name as it may stand in a file name: small letters and digits alone."""
    return re.sub(r"[\W_]", "", name.casefold())


def readings(path: Path, kinds: Mapping[str, str]) -> list[tuple[str, str]]:
    """Ways to read the name of a mask as (name of its image, kind), the plainest first.

    ``a.png`` in a folder ``axon``, ``a_axon.png``, ``a_seg-axon-manual.png``: kind ``axon``; ``a.png``, ``a_mask.png``:
    kind empty, a label map.
    """
    kind = kinds.get(word(path.parent.name), "")
    if path.parent.name == "labels" and is_zarr(path.parent.parent):
        return [(stem(path.parent.parent).casefold(), "")]
    rest = stem(path).casefold()
    found = [(rest, kind)]
    if match := re.fullmatch(r"(.+)_seg-([a-z0-9]+)(-.+)?", rest):
        return [*found, (match[1], kinds.get(match[2], match[2]))]
    while match := re.fullmatch(r"(.+)[_.\-]([^_.\-]+)", rest):
        rest, last = match.groups()
        if last in kinds and not kind:
            kind = kinds[last]
        elif last not in MASK_WORDS:
            break
        found.append((rest, kind))
    return found
