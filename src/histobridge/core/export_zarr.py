"""Write an image with its labels as OME-Zarr 0.5, and read it back.

<id>.ome.zarr/               image pyramid, provenance in the attribute `histobridge`
    0 1 2 ...
    labels/
        classes/ 0 1 2 ...   class values, colours and names in `image-label`
        fibres/  0 1 2 ...   ids of fibres; left out for very large images
        state/   0 1 2 ...   who says so: 0 model, 1 accepted, 2 corrected, 3 ignore
<id>_confidence.ome.zarr/    of the proposal, 0 to 255
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from histobridge.core.export_publish import need_equal, need_identical, published
from histobridge.core.export_staging import ExportItem
from histobridge.core.files import read_json
from histobridge.core.images.pyramid import ArrayLike, Pyramid, halve, write_pyramid
from histobridge.core.manifest import IGNORE

STATES = ((1, "accepted", "#009E73"), (2, "corrected", "#D55E00"), (3, "ignore", "#999999"))
"""Value, name and colour of every state but 0, in colours of Okabe and Ito's palette."""


def zarr_names(image_id: str) -> tuple[str, str]:
    """Names of the group of an image with its labels, and of the one of the confidence."""
    return f"{image_id}.ome.zarr", f"{image_id}_confidence.ome.zarr"


def write_ome_zarr(item: ExportItem, out: Path, *, replace: bool) -> list[Path]:
    """Write one image, its labels and the confidence; nothing appears before all was read back and is identical.

    Parameters
    ----------
    item : ExportItem
    out : Path
        Folder that exists.
    replace : bool
        Whether groups of the same names may be replaced.

    Returns
    -------
    list of Path
        The groups; the one with the labels first.

    Raises
    ------
    ReadBackError
        If what was written reads back differently.
    """
    finals = [out / name for name in zarr_names(item.record.id)]
    if item.labels.confidence is None:
        finals.pop()
    with ExitStack() as stack:
        # Left in reverse: the group with the labels appears last, when the confidence beside it is there.
        image, *confidence = [stack.enter_context(published(final, replace=replace)) for final in finals]
        for folder in confidence:
            _write_image(folder, f"{item.record.id} confidence", item.labels.confidence, item)
        _write_image(image, item.record.id, item.image, item)
        _write_labels(image / "labels", item)
    return finals


def _write_image(folder: Path, name: str, image: Any, item: ExportItem) -> None:
    """Write one pyramid with provenance and read it back."""
    write_pyramid(folder, image, item.record.pixel_size_um)
    _set_attributes(folder, {"name": name}, {}, {"histobridge": item.provenance})
    _verify_pyramid(folder, image, item.record.pixel_size_um, labels=False)
    need_equal(_attributes(folder)["histobridge"], item.provenance, f"{name}: provenance")


def _write_labels(folder: Path, item: ExportItem) -> None:
    """Write the label images and the list of them, and read both back."""
    import zarr

    classes = [(spec.value, spec.name, spec.color) for spec in item.manifest.classes]
    classes.append((IGNORE, "unlabelled", STATES[-1][2]))
    images: dict[str, tuple[ArrayLike, Sequence[tuple[int, str, str]]]] = {"classes": (item.labels.classes, classes)}
    if item.labels.fibres is not None:
        images["fibres"] = (item.labels.fibres, ())
    images["state"] = (item.labels.state, STATES)
    listed = {"version": "0.5", "labels": list(images)}
    zarr.create_group(str(folder), zarr_format=3).attrs["ome"] = listed
    for name, (image, table) in images.items():
        write_pyramid(folder / name, image, item.record.pixel_size_um, labels=True)
        meaning = image_label(table)
        _set_attributes(folder / name, {"name": name}, {"image-label": meaning}, {})
        _verify_pyramid(folder / name, image, item.record.pixel_size_um, labels=True)
        need_equal(_attributes(folder / name)["ome"]["image-label"], meaning, f"{item.record.id}: colours of {name}")
    need_equal(_attributes(folder)["ome"], listed, f"{item.record.id}: list of labels")


def image_label(table: Sequence[tuple[int, str, str]]) -> dict[str, Any]:
    """Describe label values the OME-NGFF way.

    Parameters
    ----------
    table : sequence of (int, str, str)
        Value, name and ``#rrggbb`` of every label; the values stay integers in JSON, which viewers look them up by.

    Returns
    -------
    dict
        ``image-label`` of a label image that lies two folders below its image; without colours where there is no table.
    """
    colors = [{"label-value": value, "rgba": [*bytes.fromhex(color[1:]), 255]} for value, _, color in table]
    properties = [{"label-value": value, "name": name} for value, name, _ in table]
    return {"source": {"image": "../../"}} | ({"colors": colors, "properties": properties} if table else {})


def _set_attributes(folder: Path, multiscale: dict[str, Any], ome: dict[str, Any], beside: dict[str, Any]) -> None:
    """Add to the metadata of a group: to its pyramid's description, to `ome`, and next to `ome`."""
    import zarr

    group = zarr.open_group(str(folder), mode="r+")
    known: dict[str, Any] = dict(group.attrs)["ome"]  # type: ignore[assignment]
    pyramids = [known["multiscales"][0] | multiscale, *known["multiscales"][1:]]
    group.attrs.update({"ome": known | {"multiscales": pyramids} | ome} | beside)


def _attributes(folder: Path) -> dict[str, Any]:
    """Attributes of a group as they lie on disk."""
    attributes: dict[str, Any] = read_json(folder / "zarr.json")["attributes"]
    return attributes


def _verify_pyramid(folder: Path, meant: ArrayLike, pixel_size_um: float | None, *, labels: bool) -> None:
    """Read a pyramid back: the finest level against what was meant, each coarser one against the finer."""
    pyramid = Pyramid.open(folder)
    need_equal(pyramid.pixel_size_um, pixel_size_um, f"{folder.name}: pixel size")
    need_identical(pyramid.levels[0], meant, f"{folder.name}: level 0")
    for index in range(1, len(pyramid.levels)):
        halved = _Halved(pyramid.levels[index - 1], labels=labels)
        need_identical(pyramid.levels[index], halved, f"{folder.name}: level {index}")


class _Halved:
    """A level at half its size, computed where it is sliced."""

    def __init__(self, finer: ArrayLike, *, labels: bool):
        self._finer, self._labels = finer, labels
        self.shape = tuple(-(-size // 2) for size in finer.shape)
        self.dtype = finer.dtype

    def __getitem__(self, window: Any) -> Any:
        """Read a (Y, X) window of non-negative bounds."""
        fine = self._finer[tuple(slice(2 * side.start, 2 * side.stop) for side in window)]
        return halve(fine, labels=self._labels)
