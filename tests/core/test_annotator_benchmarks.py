"""The benchmarks built on the simulated annotator run through on a tiny synthetic pair, and go on where they were."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histobridge.core.manifest import IGNORE, ImageRecord
from histobridge.core.synthetic import two_modalities

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUICK = ("--preset", "tiny", "--steps", "20", "--seeds", "0", "--tile", "48")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Folders of a tiny synthetic pair, and a work folder whose models all tests share."""
    import torch

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("pair")
    for domain in ("source", "target"):
        fields = [field for field in two_modalities(2, 144, seed=0) if field.domain == domain]
        rows = []
        for kind in ("images", "masks"):
            (root / domain / kind).mkdir(parents=True)
        for number, field in enumerate(fields):
            file = f"{domain}{number}.png"
            Image.fromarray(field.image).save(root / domain / "images" / file)
            Image.fromarray(field.classes).save(root / domain / "masks" / file)
            rows.append({"file": file, "px_um": field.pixel_size_um, "subject": field.subject})
        with (root / domain / "index.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["file", "px_um", "subject"])
            writer.writeheader()
            writer.writerows(rows)
    return [*QUICK, "--source", f"{root / 'source'}", "--target", f"{root / 'target'}", "--work", f"{root / 'work'}"]


def read(table):
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_learning_curve_runs_through_and_goes_on_where_it_was(benchmark, pair, tmp_path, capsys):
    curve, table = benchmark("learning_curve"), tmp_path / "curve.csv"
    words = [*pair, "--table", str(table), "--tuning-steps", "2", "--orders", "random", "entropy"]
    curve.main([*words, "--levels", "0", "1"])
    rows = read(table)
    assert {(row["order"], row["tiles"]) for row in rows} == {("none", "0"), ("random", "1"), ("entropy", "1")}
    assert len(rows) == 3 * 2 * 2, "cells, images, classes"
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
    assert all((int(row["strokes"]) > 0) == (row["tiles"] != "0") for row in rows)
    said = capsys.readouterr().out
    assert "no tile reviewed" in said
    assert "missing" not in said
    curve.main([*words, "--levels", "0", "1", "500"])
    assert read(table) == rows, "what is done is not done again, and what cannot be is left out"
    assert "missing" in capsys.readouterr().out


@pytest.mark.slow
def test_effort_runs_through_and_goes_on_where_it_was(benchmark, pair, tmp_path, capsys):
    effort, table = benchmark("effort"), tmp_path / "effort.csv"
    words = [*pair, "--table", str(table), "--bound", "0.85"]
    effort.main([*words, "--tiles", "2"])
    rows = read(table)
    assert len(rows) == 2 * 2 * 2, "tiles, shares, starts"
    scratch = [row for row in rows if row["start"] == "scratch"]
    assert all(float(row["dice_before"]) == 0 and int(row["strokes"]) > 0 for row in scratch)
    assert all(float(row["dice_after"]) >= 0.95 * 0.85 for row in scratch)
    effort.main([*words, "--tiles", "3"])
    assert read(table)[: len(rows)] == rows
    assert len(read(table)) == 12
    assert re.search(r"changed_pixels +[\d.]+ +[\d.]+ +-?[\d.]+%", capsys.readouterr().out)


@pytest.mark.slow
def test_effort_with_the_tools_runs_through_and_only_reports_when_asked(benchmark, pair, tmp_path, capsys):
    review, table = benchmark("review_effort"), tmp_path / "review.csv"
    words = [*pair, "--table", str(table), "--bound", "0.85", "--goals", "0.85", "--tiles", "1"]
    review.main(words)
    rows = read(table)
    assert [row["start"] for row in rows] == [start for start in ("tools", "proposal", "scratch") for _ in range(3)]
    assert all(int(row["reached"]) == (float(row["dice_after"]) >= float(row["goal"])) for row in rows)
    assert all(row["delete_fibre"] == row["undone"] == "0" for row in rows if row["start"] != "tools")
    review.main(words)
    assert read(table) == rows, "what is done is not done again"
    capsys.readouterr()
    review.main([*words, "--tiles", "2", "--report"])
    assert read(table) == rows
    assert "1 of 1 tiles" in capsys.readouterr().out


def test_the_bound_is_the_mean_of_classes_newest_images_animals_and_seeds(benchmark, tmp_path):
    table = tmp_path / "quality.csv"
    lines = ["pair,preset,arm,seed,subject,image,axon,myelin"]
    images = (("a", 1, 0.2), ("a", 1, 1), ("b", 2, 0.5), ("b", 3, 0))
    lines += [f"p,cpu,supervised,0,{subject},{image},{value},{value}" for subject, image, value in images]
    table.write_text("\n".join(lines) + "\n")
    assert benchmark("effort").supervised(table, "p", "cpu") == pytest.approx((1 + 0.25) / 2)
    with pytest.raises(SystemExit, match="--bound"):
        benchmark("effort").supervised(table, "p", "gpu")


@pytest.mark.parametrize("shape", [(2001, 2001), (839, 769), (758, 737), (256, 256), (300, 1278)])
def test_tiles_to_review_are_never_scored_and_half_of_an_image_is(benchmark, shape):
    review = benchmark("review")
    record = ImageRecord(id="a", subject="m1", domain="target", shape=shape, dtype="uint8")
    tiles = review.pool(record, 256)
    scored = review.scored_truth(np.zeros(shape, np.uint8), tiles) != IGNORE
    assert tiles
    assert all(not scored[tile.window].any() for tile in tiles)
    assert all(tile.shape == (256, 256) for tile in tiles)
    if min(shape) > 512:
        assert scored.mean() > 0.3


def test_intervals_over_seeds_are_student_s(benchmark):
    told = benchmark("learning_curve").mean_and_interval
    assert told([]) == "missing"
    assert told([0.5]) == "0.500"
    assert told([0.4, 0.5, 0.6]) == "0.500 ± 0.248", "4.303 * 0.1 / sqrt(3)"
