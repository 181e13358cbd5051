"""Write a table of fibres, or of other objects, and read it back."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histobridge.core.export_publish import need_equal, published
from histobridge.core.export_staging import ExportItem
from histobridge.core.fibres import filled_axons
from histobridge.core.files import write_json
from histobridge.core.manifest import IGNORE
from histobridge.core.morphometry import measure_fibres
from histobridge.core.states import ACCEPTED, CORRECTED

ROWS = 512
NESTED = ("axon_diameter", "sheath_thickness", "g_ratio")

Row = list[str]


def table_names(image_id: str) -> tuple[str, ...]:
    """Name of the table of an image."""
    return (f"{image_id}_fibres.csv",)


def write_table(item: ExportItem, out: Path, *, replace: bool) -> list[Path]:
    """Write a line for each fibre or other object; lengths in µm, or in pixels where the pixel size is unknown.

    Parameters
    ----------
    item : ExportItem
    out : Path
        Folder that exists.
    replace : bool
        Whether a file of the same name may be replaced.

    Returns
    -------
    list of Path
        The table; a ``.json`` beside it has the provenance. None where fibres were not numbered.

    Raises
    ------
    ReadBackError
        If what was written reads back differently.
    """
    if item.labels.fibres is None:
        return []
    final = out / table_names(item.record.id)[0]
    rows = list(_rows(item))
    with published(final, replace=replace) as beside:
        with beside.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)
        with beside.open(newline="", encoding="utf-8") as stream:
            need_equal(list(csv.reader(stream)), rows, f"{final.name}: lines")
    write_json(final.with_name(final.name + ".json"), item.provenance)
    return [final]


def _rows(item: ExportItem) -> Iterator[Row]:
    """Head of the table, and its lines in the order of ids."""
    size, unit = (item.record.pixel_size_um, "um") if item.record.pixel_size_um else (1.0, "px")
    pair = item.manifest.nested_pair()
    lengths = [f"{name}_{unit}" for name in NESTED[:2]] if pair else []
    nested = [*lengths, NESTED[2]] if pair else []
    yield ["id", "classes", "y_px", "x_px", f"area_{unit}2", f"diameter_{unit}", *nested, "cut", "reviewed"]
    fibres = np.asarray(item.labels.fibres[:, :] if item.labels.fibres is not None else ())
    classes = filled_axons(np.asarray(item.labels.classes[:, :]), item.manifest)
    counts = _Counts(fibres, item)
    # As a whole and, of nested classes, as axons: of what has no axon there is nothing to say.
    anything = np.where(classes == IGNORE, np.uint8(IGNORE), np.uint8(1))
    whole = measure_fibres(fibres, anything, 1, size, IGNORE)
    inner = measure_fibres(fibres, classes, pair[0].value, size, IGNORE) if pair else None
    axons = {} if inner is None else {int(fibre): number for number, fibre in enumerate(inner.ids)}
    for number, fibre in enumerate(whole.ids):
        measures: Row = []
        if inner is not None:
            measures = [""] * len(NESTED)
            if (at := axons.get(int(fibre))) is not None:
                found = inner.axon_diameter_um[at], inner.sheath_thickness_um[at], inner.g_ratio[at]
                measures = [_digits(value) for value in found]
        area = counts.area[fibre]
        yield [
            str(fibre),
            counts.names(int(fibre)),
            *(_digits(total[fibre] / area) for total in counts.place),
            _digits(area * size**2),
            _digits(whole.fibre_diameter_um[number]),
            *measures,
            str(int(whole.cut[number])),
            _digits(counts.reviewed[fibre] / area),
        ]


class _Counts:
    """Pixels of each id, summed a band of rows at a time."""

    def __init__(self, fibres: NDArray[np.uint32], item: ExportItem):
        count = int(fibres.max(initial=0)) + 1
        self._specs = item.manifest.classes
        self.area, self.reviewed = np.zeros(count), np.zeros(count)
        self.place = np.zeros((2, count))
        self._of_class = np.zeros((len(self._specs), count), bool)
        for top in range(0, fibres.shape[0], ROWS):
            band = slice(top, min(top + ROWS, fibres.shape[0]))
            ids = fibres[band]
            state = np.asarray(item.labels.state[band, :])
            classes = np.asarray(item.labels.classes[band, :])
            self.area += np.bincount(ids.ravel(), minlength=count)
            self.reviewed += np.bincount(ids[(state == ACCEPTED) | (state == CORRECTED)], minlength=count)
            for axis, positions in enumerate(np.indices(ids.shape, np.float32)):
                self.place[axis] += np.bincount(ids.ravel(), positions.ravel() + (top, 0)[axis], count)
            for of_class, spec in zip(self._of_class, self._specs, strict=True):
                of_class[np.unique(ids[classes == spec.value])] = True

    def names(self, fibre: int) -> str:
        """Names of the classes that an object has pixels of."""
        return "+".join(spec.name for spec, found in zip(self._specs, self._of_class[:, fibre], strict=True) if found)


def _digits(value: float) -> str:
    return f"{value:.6g}"
