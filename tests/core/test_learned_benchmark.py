"""What learned translators gain, as the docs tell it."""

from pathlib import Path

MYELIN = "myelin-tem-mouse>myelin-sem-rat"


def test_the_docs_have_the_tables_of_learned_translators_that_the_results_make(benchmark, capsys):
    benchmark("learned").main([])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    docs = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    assert len(lines) > 40
    assert [line for line in lines if line not in docs] == []


def test_what_is_gained_is_told_by_seed_and_machine_with_its_spread(benchmark, tmp_path, capsys):
    scores = {"0": {"instant": (0.5, 0.6), "cut": (0.7, 0.5)}, "1": {"instant": (0.5, 0.6)}}
    rows = [
        {"machine": "mill", "preset": "p", "pair": MYELIN, "arm": f"{route}-{name}", "seed": seed, "image": "a.png"}
        | {"subject": "a", "axon": dice, "myelin": dice, "seconds": 1, "instance_f1": 0.5, "g_ratio_bias": -0.01}
        for seed, each in scores.items()
        for name, both in each.items()
        for route, dice in zip(("adaptation", "tutorship"), both, strict=True)
    ]
    benchmark("tables").append(tmp_path / "table.csv", benchmark("quality").COLUMNS, rows)
    benchmark("learned").main(["--table", str(tmp_path / "table.csv"), "--preset", "p"])
    said = capsys.readouterr().out.splitlines()
    assert "A: mill" in said
    assert "| `cut` | +0.050 (1) | not measured | not measured | not measured |" in said
    assert "| `instant` | 0, A | 0.500 | **0.600** |  | 0.500, 0.500 | −0.010, −0.010 |" in said
    assert "| `cut` | 0, A | **0.700** | 0.500 | +0.050 | 0.500, 0.500 | −0.010, −0.010 |" in said
    assert not any("| 1, A |" in line for line in said), "nothing learned was measured with that seed"
