"""The table of fibres: what it says of rings of known size."""

import csv

import numpy as np
import pytest

from histobridge.core.export_publish import ReadBackError
from histobridge.core.export_staging import ExportItem, FinalLabels
from histobridge.core.export_table import write_table
from histobridge.core.fibres import derive_fibres
from histobridge.core.manifest import ClassSpec, ImageRecord, Manifest

NERVE = Manifest(name="nerve")
SIZE_UM = 0.1


def item(classes, state=None, pixel_size_um=SIZE_UM, manifest=NERVE, **changes):
    known = {"domain": "target", "subject": "rat1", "dtype": "uint8", "shape": classes.shape}
    labels = {"classes": classes, "state": np.zeros_like(classes) if state is None else state, "confidence": None}
    labels |= {"fibres": derive_fibres(classes, manifest), "proposal_run": "", "proposal_sha256": ""}
    record = ImageRecord(id="rat1-a", pixel_size_um=pixel_size_um, **known)
    final = FinalLabels(**labels | {"reviewed_fraction": 0.0} | changes)
    return ExportItem(record, classes, manifest, final, {"histobridge": "1"})


def rows(written):
    (path,) = written
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def rings():
    """A whole fibre of radii 24 and 40, a bare axon of radius 12 at the border, a sheath alone."""
    y, x = np.mgrid[:240, :240]
    classes = np.zeros((240, 240), np.uint8)
    away = np.hypot(y - 80, x - 100)
    classes[away < 40], classes[away < 24] = 2, 1
    classes[np.hypot(y - 200, x - 5) < 12] = 1
    classes[np.hypot(y - 200, x - 150) < 15] = 2
    return classes


def test_every_fibre_has_a_line_with_diameters_in_micrometres(rings, tmp_path):
    state = np.zeros_like(rings)
    state[:80], state[80:90] = 1, 2
    table = rows(write_table(item(rings, state), tmp_path, replace=False))
    whole, bare, alone = table
    assert (whole["id"], whole["classes"], whole["cut"]) == ("1", "axon+myelin", "0")
    assert (float(whole["y_px"]), float(whole["x_px"])) == (pytest.approx(80), pytest.approx(100))
    assert float(whole["axon_diameter_um"]) == pytest.approx(4.8, rel=0.01)
    assert float(whole["diameter_um"]) == pytest.approx(8.0, rel=0.01)
    assert float(whole["sheath_thickness_um"]) == pytest.approx(1.6, rel=0.02)
    assert float(whole["g_ratio"]) == pytest.approx(0.6, rel=0.01)
    assert float(whole["area_um2"]) == pytest.approx(np.pi * 16, rel=0.01)
    seen = np.hypot(*np.mgrid[-80:160, -100:140]) < 40
    assert float(whole["reviewed"]) == pytest.approx(seen[:90].sum() / seen.sum(), rel=1e-4)
    assert (bare["classes"], bare["cut"], bare["g_ratio"]) == ("axon", "1", "1")
    assert (alone["classes"], alone["g_ratio"], alone["axon_diameter_um"]) == ("myelin", "", "")


def test_without_a_pixel_size_lengths_are_in_pixels(rings, tmp_path):
    whole = rows(write_table(item(rings, pixel_size_um=None), tmp_path, replace=False))[0]
    assert float(whole["axon_diameter_px"]) == pytest.approx(48, rel=0.01)
    assert not any(name.endswith(("_um", "_um2")) for name in whole)


def test_objects_beside_ignored_pixels_are_cut(rings, tmp_path):
    rings[:, 130:135] = 255
    assert rows(write_table(item(rings), tmp_path, replace=False))[0]["cut"] == "1"


def test_without_nested_classes_every_object_has_a_line_and_no_g_ratio(tmp_path):
    manifest = Manifest(name="mito", classes=(ClassSpec(name="mitochondrion", value=1, color="#56B4E9"),))
    classes = np.zeros((600, 40), np.uint8)
    classes[2:6, 3:7], classes[510:530, 10:20] = 1, 1
    one, other = rows(write_table(item(classes, manifest=manifest), tmp_path, replace=False))
    assert "g_ratio" not in one
    assert (one["classes"], float(one["y_px"]), float(one["x_px"])) == ("mitochondrion", 3.5, 4.5)
    assert (float(other["y_px"]), float(other["area_um2"])) == (519.5, pytest.approx(2.0))


def test_an_image_without_fibres_has_a_head_and_one_too_large_has_no_table(rings, tmp_path):
    assert rows(write_table(item(np.zeros_like(rings)), tmp_path, replace=False)) == []
    assert write_table(item(rings, fibres=None), tmp_path / "none", replace=False) == []


def test_a_table_that_reads_back_differently_is_not_published(rings, tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "reader", lambda stream: [["id"]])
    with pytest.raises(ReadBackError, match="rat1-a_fibres"):
        write_table(item(rings), tmp_path, replace=False)
    assert list(tmp_path.iterdir()) == []
