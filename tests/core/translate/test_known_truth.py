"""A drawn pair that no map of grey values solves: presets for two cores come closer to the truth than such a map."""

import csv
import sys
from pathlib import Path

import pytest

from histobridge.core.translate.presets import PRESETS

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import known_truth


def rows(seed, *words):
    return {row["method"]: row for row in known_truth.results(seed, known_truth.parse(words))}


@pytest.fixture
def small(monkeypatch):
    """Few and small fields: what networks learn of them does not matter."""
    monkeypatch.setattr(known_truth, "FIELDS", 3)
    monkeypatch.setattr(known_truth, "TESTED", 2)


def test_no_map_of_grey_values_gives_insides_their_place(small):
    found = rows(0, "--methods")
    assert list(found) == ["instant", "target drawn again"]
    assert found["instant"]["insides"] < 0.2 < 0.5 < found["target drawn again"]["insides"]
    assert found["instant"]["error"] > 2 * found["target drawn again"]["error"]


def test_results_are_kept_and_reported(small, tmp_path, capsys):
    table = tmp_path / "known.csv"
    words = ["--methods", "fastcut", "--steps", "2", "--table", str(table)]
    known_truth.main(words)
    printed = capsys.readouterr().out
    with table.open(newline="") as stream:
        kept = list(csv.DictReader(stream))
    assert [row["method"] for row in kept] == ["instant", "target drawn again", "fastcut"]
    assert (kept[-1]["seed"], kept[-1]["step"], kept[-1]["of"]) == ("0", "2", "2")
    known_truth.main([*words, "--report"])
    assert capsys.readouterr().out == printed
    assert table.read_text().count("fastcut") == 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("method", PRESETS)
def test_every_preset_for_two_cores_comes_closer_to_the_truth_than_grey_values_alone(method, seed):
    found = rows(seed, "--methods", method)
    assert found[method]["error"] < 0.8 * found["instant"]["error"]
    assert found[method]["psnr_db"] > found["instant"]["psnr_db"] + 4
    assert found[method]["insides"] > 3 * found["instant"]["insides"]
