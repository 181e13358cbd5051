"""The benchmark of quality: classes of a pair, blocks of one volume, tables that have grown, cells that are missing."""

import argparse
import csv
import json

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from histobridge.core.config import ProposeConfig
from histobridge.core.project import Project
from histobridge.core.synthetic import two_modalities
from histobridge.core.translate.presets import PRESETS

MITO = "em-sstem-drosophila-vnc>em-sbem-mito"
MYELIN = "myelin-tem-mouse>myelin-sem-rat"
MODEL = ("model.safetensors", "model.json", "view.json")


def write_set(folder, images, masks, pixel_size_um, subjects):
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "px_um", "subject"])
        for number, (image, mask, subject) in enumerate(zip(images, masks, subjects, strict=True)):
            file = f"{folder.name[:7]}{number}.png"
            Image.fromarray(image).save(folder / "images" / file)
            Image.fromarray(mask).save(folder / "masks" / file)
            writer.writerow([file, pixel_size_um, subject])


def write_index(folder, subjects):
    folder.mkdir()
    lines = ["file,px_um,subject", *(f"{number}.png,1,{subject}" for number, subject in enumerate(subjects))]
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def read(table):
    with table.open(newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture
def words(tmp_path):
    """Options for a tiny volume in two modalities: fibres stand for mitochondria in membranes."""
    import torch

    torch.set_num_threads(1)
    for domain, name, count in (("source", "em-sstem-drosophila-vnc", 3), ("target", "em-sbem-mito", 5)):
        fields = [each for each in two_modalities(count, 144, seed=0) if each.domain == domain]
        values = np.array([0, 2, 1] if domain == "source" else [0, 2, 0], np.uint8)
        masks = [values[each.classes] for each in fields]
        if domain == "source":
            for mask in masks:
                mask[:6, :6], mask[:6, 6:12] = 3, 4
        sizes = fields[0].pixel_size_um
        write_set(tmp_path / name, [each.image for each in fields], masks, sizes, [""] * count)
    paths = {"data": ".", "work": "work", "table": "table.csv"}
    options = [word for name, path in paths.items() for word in (f"--{name}", str(tmp_path / path))]
    return [*options, "--pairs", MITO, "--preset", "tiny", "--steps", "6", "--seeds", "0"]


@pytest.mark.slow
def test_a_volume_is_scored_by_blocks_on_the_classes_both_have_and_goes_on_where_it_was(
    benchmark, words, tmp_path, capsys
):
    quality = benchmark("quality")
    quality.main([*words, "--cells", "source-only", "supervised"])
    header, *rows = read(tmp_path / "table.csv")
    assert header == quality.COLUMNS
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["arm"] for row in rows] == ["source-only"] * 5 + ["supervised"] * 5
    assert [row["subject"] for row in rows[5:]] == ["block1", "block1", "block2", "block2", "block3"]
    assert all(0 <= float(row["mitochondrion"]) <= 1 and 0 <= float(row["instance_f1"]) <= 1 for row in rows)
    assert {(row["axon"], row["myelin"], row["g_ratio_bias"]) for row in rows} == {("", "", "")}
    bound = Project.open(tmp_path / "work" / MITO.replace(">", "--") / "bound-block2")
    assert {record.id: record.has_masks for record in bound.images()} == {
        **{"em-sbem0": True, "em-sbem2": False, "em-sbem3": False}
    }, "slices 1 and 4 lie next to the block that is held out"
    said = capsys.readouterr().out
    assert "optimistic" in said
    assert f"{len(quality.ARMS) - 2} of {len(quality.ARMS)} cells" in said
    before = read(tmp_path / "table.csv")
    quality.main([*words, "--cells", "source-only", "supervised"])
    assert read(tmp_path / "table.csv") == before


def test_a_fused_proposal_takes_the_models_that_the_routes_have_made(benchmark, words, tmp_path):
    quality = benchmark("quality")
    source, target = (tmp_path / name for name in MITO.split(">"))
    arguments = argparse.Namespace(**vars(quality.parse(words)) | {"source": source, "target": target})
    before = quality.Bench(arguments)
    noted = {"runs": {}, "done": []}
    for route in ("tutorship", "adaptation"):
        made = before.project.create_run("propose", ProposeConfig())
        for name in MODEL:
            (made.path / name).write_text(f"{route} {name}")
        noted["runs"][f"{route}-instant-0"] = [made.id, 40.0]
        noted["done"].append([f"{route}-instant", 0])
    before.notes.file.write_text(json.dumps(noted))
    bench = quality.Bench(arguments)
    fused, other = (bench.project.create_run("propose", ProposeConfig(route="fused")) for _ in range(2))
    assert bench.reuse(fused, "instant", 0) == 80
    for route in ("tutorship", "adaptation"):
        assert [(fused.path / route / name).read_text() for name in MODEL] == [f"{route} {name}" for name in MODEL]
    assert bench.reuse(other, "instant", 1) == 0, "another seed has made nothing yet"
    assert not (other.path / "tutorship").exists()


def test_settings_are_changed_by_name_and_others_stay(benchmark):
    preset = PRESETS["bridgecut"]["cpu"]
    config = benchmark("pairs").changed(preset, ["steps=7", "bridge.contrast=1", "class_balanced=true"])
    assert (config.steps, config.bridge.contrast, config.class_balanced) == (7, 1, True)
    assert config.bridge.similarity == preset.bridge.similarity
    for unknown in ("patches=1", "bridge.channels=1", "bridges.contrast=1"):
        with pytest.raises(ValidationError, match="Extra inputs"):
            benchmark("pairs").changed(preset, [unknown])


@pytest.mark.slow
def test_other_settings_of_a_translator_are_arms_of_their_own_and_count_for_no_default(
    benchmark, words, tmp_path, capsys
):
    quality = benchmark("quality")
    changes = ["steps=1", "crop_px=32", "bridge.contrast=1"]
    quality.main([*words, "--cells", "adaptation-instant", "adaptation-bridgecut", "--change", *changes])
    arm = f"adaptation-bridgecut {' '.join(changes)}"
    header, *rows = read(tmp_path / "table.csv")
    assert {row[header.index("arm")] for row in rows} == {"adaptation-instant", arm}
    said = capsys.readouterr().out
    assert arm in said
    assert f"{len(quality.ARMS) - 1} of {len(quality.ARMS)} cells" in said, "that of the preset is still missing"
    assert benchmark("standing").gains_of(tmp_path / "table.csv", "tiny-6", "bridgecut") == {}
    (trained,) = (tmp_path / "work").glob("*/pair/runs/*train-translator*/run.json")
    assert json.loads(trained.read_text())["config"]["steps"] == 1


def test_slices_without_subject_come_in_blocks_and_a_gap_keeps_neighbours_from_training(benchmark, tmp_path):
    folders = benchmark("folders")
    rows = folders.read_set(write_index(tmp_path / "volume", [""] * 10))
    assert [row["subject"] for row in rows] == ["block1"] * 4 + ["block2"] * 3 + ["block3"] * 3
    trained = {
        name: [int(row["file"][0]) for row in folders.training_rows(rows, name)]
        for name in ("block1", "block2", "block3")
    }
    assert trained == {"block1": [5, 6, 7, 8, 9], "block2": [0, 1, 2, 8, 9], "block3": [0, 1, 2, 3, 4, 5]}


def test_animals_stay_as_they_are_and_neighbours_in_the_index_train(benchmark, tmp_path):
    folders = benchmark("folders")
    rows = folders.read_set(write_index(tmp_path / "animals", ["rat1", "rat1", "rat2"]))
    assert [row["subject"] for row in rows] == ["rat1", "rat1", "rat2"]
    assert [row["file"] for row in folders.training_rows(rows, "rat2")] == ["0.png", "1.png"]


@pytest.mark.parametrize(
    ("pair", "known", "scored"),
    [
        (MITO, ["membrane", "mitochondrion", "glia", "synapse"], ["mitochondrion"]),
        ("em-sbem-mito>em-sstem-drosophila-vnc", ["mitochondrion"], ["mitochondrion"]),
        (MYELIN, ["axon", "myelin"], ["axon", "myelin"]),
    ],
)
def test_a_pair_has_the_classes_of_its_source_and_is_scored_on_those_both_have(benchmark, pair, known, scored):
    folders, tables = benchmark("folders"), benchmark("tables")
    assert [spec.name for spec in folders.classes_of(pair)] == known
    assert [spec.name for spec in folders.scored_classes(pair)] == scored
    assert list(tables.measures(pair))[: len(scored)] == scored
    assert ("g_ratio_bias" in tables.measures(pair)) == (pair == MYELIN)


def test_classes_that_are_not_asked_for_are_background_and_unlabelled_stays(benchmark, tmp_path):
    folders = benchmark("folders")
    mask = np.array([[0, 1, 2], [3, 4, 255]], np.uint8)
    folder = tmp_path / "em-sstem-drosophila-vnc"
    write_set(folder, [mask], [mask], 1, [""])
    read_back = folders.read_masks(folder, "em-sste0.png", folders.scored_classes(MITO))
    assert read_back.tolist() == [[0, 0, 2], [0, 0, 255]]
    assert folders.read_masks(folder, "em-sste0.png", folders.classes_of(MITO)).tolist() == mask.tolist()


def test_a_table_that_began_with_fewer_columns_keeps_them_and_is_read_whole(benchmark, tmp_path):
    tables = benchmark("tables")
    table = tmp_path / "table.csv"
    table.write_text("pair,axon,seconds\np,0.5,3\nq\n")
    tables.append(table, ["pair", "axon", "seconds", "mitochondrion"], [{"pair": "m", "mitochondrion": 0.25}])
    assert read(table) == [["pair", "axon", "seconds"], ["p", "0.5", "3"], ["q"], ["m", "", "", "0.25"]]
    rows = tables.read_table(table)
    assert [(row["pair"], row["axon"], row["mitochondrion"]) for row in rows] == [
        *(("p", "0.5", ""), ("q", "", ""), ("m", "", "0.25"))
    ]
    assert tables.read_table(table, pair="q") == rows[1:2]
    with pytest.raises(SystemExit, match="--table"):
        tables.append(table, ["axon", "pair"], [])
    assert tables.read_table(tmp_path / "none.csv") == []


def test_the_report_computes_nothing_and_shows_all_pairs_with_what_is_missing(benchmark, tmp_path, capsys):
    quality, table = benchmark("quality"), tmp_path / "table.csv"
    old = quality.COLUMNS[:-1]
    cells = [
        (MYELIN, "supervised", 0, "a", 0.2),
        (MYELIN, "supervised", 0, "b", 0.4),
        (MYELIN, "supervised", 1, "b", 1),
    ]
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerow(old)
        for pair, arm, seed, image, dice in cells:
            row = {"pair": pair, "preset": "tiny-20", "arm": arm, "seed": seed, "image": image, "subject": image}
            writer = csv.DictWriter(stream, old[: old.index("instance_f1")])
            writer.writerow(row | {"axon": dice, "myelin": dice / 2, "seconds": 7})
    columns = ["mitochondrion", "instance_f1", "image", "subject", "seconds"]
    blocks = [
        *((0.9, 0.5, "z1", "block1", 5), (0.1, 0.5, "z1", "block1", 5)),
        *((0.3, 0.5, "z2", "block1", 5), (0.6, 0.5, "z3", "block2", 5)),
    ]
    common = {"pair": MITO, "preset": "tiny-20", "arm": "source-only", "seed": 0}
    benchmark("tables").append(
        table, quality.COLUMNS, [common | dict(zip(columns, row, strict=True)) for row in blocks]
    )
    quality.main(["--report", "--table", str(table), "--preset", "tiny", "--steps", "20", "--seeds", "0", "1", "2"])
    said = capsys.readouterr().out
    of = {part.split(",")[0].strip(): part for part in said.strip().split("\n\n")}
    assert set(quality.PAIRS) <= set(of)
    lines = {line.split()[0]: line.split() for line in of[MITO].splitlines()}
    assert lines["source-only"][:4] == ["source-only", "0.400", "0.400-0.400", "0.400"], "block1 0.2, block2 0.6"
    assert lines["source-only"][4:] == [
        "0.500",
        "5",
        "block1",
        "0.200",
        "block2",
        "0.600",
        "missing:",
        "seed",
        "1,",
        "2",
    ]
    assert lines["supervised"] == ["supervised", "missing"]
    assert "optimistic" in of[MITO]
    assert "optimistic" not in of[MYELIN]
    lines = {line.split()[0]: line.split() for line in of[MYELIN].splitlines()}
    assert lines["supervised"][1:5] == ["0.488", "0.225-0.750", "0.650", "0.325"]
    assert lines["supervised"][5:7] == ["-", "-"], "rows of that time have neither F1 nor g-ratio"
    assert lines["supervised"][-3:] == ["missing:", "seed", "2"]
    assert "189 of 192 cells (pair, arm, seed) are missing" in said


def test_a_translator_gains_over_the_default_of_its_own_machine_and_each_seed_counts_once(benchmark, tmp_path):
    """The same seed on another processor is another training, but no other seed."""
    quality, table = benchmark("quality"), tmp_path / "quality.csv"
    scores = {"here": (0.5, 0.6), "there": (0.8, 0.6), "elsewhere": (0.9, None)}
    rows = [
        {"machine": machine, "preset": "p", "pair": MYELIN, "arm": f"{route}-{name}", "seed": seed, "image": "a.png"}
        | {"subject": "a", "axon": dice, "myelin": dice, "seconds": 1}
        for seed, machine, both in [*((0, *one) for one in scores.items()), (1, "here", (0.5, 0.75))]
        for name, dice in zip(("instant", "cut"), both, strict=True)
        for route in ("adaptation", "tutorship")
        if dice is not None
    ]
    benchmark("tables").append(table, quality.COLUMNS, rows)
    gains = benchmark("standing").gains_of(table, "p", "cut")
    assert gains == {MYELIN: [pytest.approx((0.1 - 0.2) / 2), pytest.approx(0.25)]}


def test_what_to_compute_has_to_be_said(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark("quality").main([])
    assert "--report" in capsys.readouterr().err


def test_regret_is_what_a_route_lacks_to_the_best_of_its_seed(benchmark):
    here, there = "one machine", "another"
    scores = {
        "tutorship-instant": {("0", here): 0.8, ("1", here): 0.7, ("1", there): 0.5, ("2", here): 0.9},
        "adaptation-instant": {("0", here): 0.75, ("1", here): 0.72},
        "fused-instant": {("0", here): 0.79, ("1", here): 0.71, ("1", there): 0.9},
        "auto-instant": {("0", here): 0.79, ("1", here): 0.7},
    }
    by_seed, chosen = benchmark("quality").regrets(scores)
    assert by_seed.startswith("regret by seed (0 1): tutorship-instant 0.000 0.020; adaptation-instant 0.050 0.000")
    assert chosen == "the chosen route: mean regret 0.015, worst of the routes for 1 seeds"
    assert benchmark("quality").regrets({arm: {} for arm in scores}) == []
