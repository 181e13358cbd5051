"""The ablation runs through on a tiny synthetic pair, trains what is shared once, and goes on where it was."""

import csv
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histobridge.core.config import ProposeConfig, SegmenterTraining
from histobridge.core.synthetic import two_modalities


@pytest.fixture
def ablation(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("ablation")


@pytest.fixture
def words(tmp_path):
    import torch

    torch.set_num_threads(1)
    for domain in ("source", "target"):
        fields = [each for each in two_modalities(2, 144, seed=0) if each.domain == domain]
        for kind in ("images", "masks"):
            (tmp_path / domain / kind).mkdir(parents=True)
        with (tmp_path / domain / "index.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["file", "px_um", "subject"])
            for number, each in enumerate(fields):
                Image.fromarray(each.image).save(tmp_path / domain / "images" / f"{domain}{number}.png")
                Image.fromarray(each.classes).save(tmp_path / domain / "masks" / f"{domain}{number}.png")
                writer.writerow([f"{domain}{number}.png", each.pixel_size_um, each.subject])
    paths = {"source": "source", "target": "target", "work": "work", "table": "table.csv"}
    options = [word for name, path in paths.items() for word in (f"--{name}", str(tmp_path / path))]
    return [*options, "--preset", "tiny", "--steps", "20", "--seeds", "0"]


def read(words):
    with Path(words[words.index("--table") + 1]).open(newline="") as stream:
        return list(csv.DictReader(stream))


def performed(words):
    (notes,) = Path(words[words.index("--work") + 1]).glob("*/notes-*.json")
    return set(json.loads(notes.read_text())["runs"])


@pytest.mark.slow
def test_arrows_run_through_share_their_training_and_go_on_where_they_were(ablation, words, capsys):
    ablation.main([*words, "--arrows", "flips", "smallest-object"])
    assert performed(words) == {
        *("learn-0", "match-0", "tutor-default-0"),
        *("ablation-flips-0", "ablation-smallest-object-0"),
    }
    rows = read(words)
    assert [row["arrow"] for row in rows] == ["flips"] * 2 + ["smallest-object"] * 2
    assert set(rows[0]) == set(ablation.COLUMNS)
    assert all(0 <= float(row["axon"]) <= 1 and int(row["seconds"]) >= 0 for row in rows)
    said = capsys.readouterr().out
    assert said.count("missing") == len(ablation.ARROWS) - 2
    ablation.main([*words, "--arrows", "flips", "statistics"])
    assert read(words)[:4] == rows
    assert [row["arrow"] for row in read(words)[4:]] == ["statistics"] * 2
    assert {key for key in performed(words) if key.startswith("tutor")} == {"tutor-default-0"}
    assert capsys.readouterr().out.count("missing") == len(ablation.ARROWS) - 3


def test_the_chain_ends_at_the_default_recipe_and_every_arrow_changes_one_thing(ablation):
    def recipe(arrow):
        training = SegmenterTraining().model_copy(update=ablation.TUTORS[arrow.tutor])
        proposing = ProposeConfig(training=training, **arrow.proposing).model_dump()
        return proposing.pop("training") | proposing

    arrows = {arrow.name: arrow for arrow in ablation.ARROWS}
    assert recipe(arrows["smallest-object"]) == recipe(ablation.Arrow("default", ""))
    for arrow in ablation.ARROWS[1:]:
        one, other = recipe(arrow), recipe(arrows[arrow.before])
        assert len([name for name in one if one[name] != other[name]]) == 1, arrow.name


def test_the_report_means_over_animals_then_seeds_and_names_what_is_missing(ablation, tmp_path, capsys):
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ablation.COLUMNS)
        writer.writeheader()
        for arrow, seed, offset in (("plain", 0, 0.0), ("plain", 1, 0.2), ("sheaths", 0, 0.1)):
            for image, subject, dice in (("a", "one", 0.2), ("b", "one", 0.4), ("c", "two", 0.5)):
                scores = dict.fromkeys(("axon", "myelin", "instance_f1", "g_ratio_bias"), dice + offset)
                cell = {"pair": "p", "preset": "tiny", "arrow": arrow, "seed": seed, "seconds": 1}
                writer.writerow(cell | scores | {"image": image, "subject": subject})
    ablation.report(table, "p", "tiny", ["0", "1"])
    lines = {line[:19].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert "0.500  0.400-0.600" in lines["plain"], "0.4 and 0.6: mean of 0.3 and 0.5, with the offset of each seed"
    assert "+0.100 (+0.100 +0.100)" in lines["sheaths"]
    assert lines["sheaths"].endswith("missing: seed 1")
    assert lines["turns"].split() == ["turns", "missing"]
    assert np.isclose(float(lines["plain"].split()[1]), 0.5)
