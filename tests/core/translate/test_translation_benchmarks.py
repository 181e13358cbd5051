"""The benchmarks of translators find what they name, and run as far as they go without the authors' code."""

import sys
from itertools import product
from pathlib import Path

import pytest

from histobridge.core.translate.syndiff_presets import SYNDIFF

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import fidelity
import precision
import seams
import tables
import translation_speed as speed


@pytest.mark.parametrize(("method", "device"), [*product(speed.METHODS, ["cpu", "cuda"])])
def test_every_row_of_the_speed_table_has_a_config(method, device):
    theirs, same, fast, preset = (
        speed.config_of(method, who, device) for who in (speed.THEIRS, speed.SAME, speed.FAST, speed.PRESET)
    )
    assert theirs == same
    assert same.published
    assert same.method == fast.method == preset.method == method
    assert (same.half_precision, fast.half_precision, preset.half_precision) == (False, True, True)
    assert same.crop_px == (64 if device == "cpu" else 256)


@pytest.mark.parametrize("method", speed.METHODS)
def test_our_step_is_timed(method):
    row = speed.measured(method, speed.SAME, Path(), "cpu", 1)
    assert row["seconds_a_step"] > 0
    assert row["images_a_second"] == pytest.approx(2 / row["seconds_a_step"], rel=1e-2)


def test_a_step_is_timed_in_both_precisions_and_told(tmp_path, capsys):
    table = tmp_path / "precision.csv"
    precision.main(["--methods", "cyclegan", "--presets", "cpu", "--crop", "32", "--steps", "1", "--table", str(table)])
    timed = capsys.readouterr().out
    precision.main(["--report", "--table", str(table)])
    assert "cyclegan   preset cpu, 32 px" in timed
    assert timed == capsys.readouterr().out
    (row,) = tables.read_table(table)
    assert float(row["faster"]) == pytest.approx(float(row["float32"]) / float(row["bfloat16"]), abs=0.3)


def test_networks_are_compared_at_both_sizes_that_were_published():
    assert {SYNDIFF[preset].crop_px for preset in fidelity.PUBLISHED.values()} == set(fidelity.PUBLISHED) == {256, 512}


def test_the_newest_row_of_how_tiles_join_is_told(tmp_path, capsys):
    row = {"pair": "a>b", "method": "cut", "seed": 0, "direction": "source_to_target", "seams": 1.01, "before": 0.9}
    rows = [row | {"mean_levels": mean, "largest_levels": 20.5, "join": join} for mean, join in ((9, "no"), (1, "yes"))]
    tables.append(tmp_path / "seams.csv", seams.COLUMNS, rows)
    seams.main(["--report", "--table", str(tmp_path / "seams.csv")])
    (line,) = capsys.readouterr().out.splitlines()
    assert "seams 1.010 (before 0.900), mismatch 1.00 on average, 20.5 at most; join" in line
