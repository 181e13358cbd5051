"""What README and docs say is true: commands parse, Python blocks run, links lead somewhere."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from histobridge.cli.command import VERBS, parser_of

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CI = ROOT / ".ci/run"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(path: Path) -> list[str]:
    """Lines of the shell blocks that call `histobridge`, continued lines joined."""
    lines = "\n".join(blocks(path, "bash")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("histobridge ")]


def set_up_commands() -> list[str]:
    return [
        line for block in blocks(README, "bash") for line in block.splitlines() if line.startswith("python3 -m venv")
    ]


def test_two_commands_do_all_the_set_up():
    demo, tests = set_up_commands()
    assert demo.endswith("&& .venv/bin/histobridge demo")
    assert tests.endswith("-m pytest")
    for command in (demo, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install torch==")
        assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0


def test_one_line_names_the_system_packages():
    lines = [line for block in blocks(README, "bash") for line in block.splitlines() if "apt-get" in line]
    assert len(lines) == 1
    assert {"xvfb", "libgl1", "libxcb-cursor0", "python3-venv"} <= set(lines[0].split())


def test_ci_runs_what_the_readme_says():
    script = CI.read_text(encoding="utf-8")
    patterns = re.findall(r"readme_line '(.*?)'", script)
    found = [re.findall(f"^{pattern}.*$", README.read_text(encoding="utf-8"), re.MULTILINE) for pattern in patterns]
    assert [len(lines) for lines in found] == [1, 1]
    assert found[1] == set_up_commands()[1:]
    assert 'bash -euo pipefail -c "${command//.venv/$venv}"' in script
    assert os.access(CI, os.X_OK)
    assert subprocess.run(["bash", "-n", str(CI)], check=False).returncode == 0


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_commands_have_the_options_they_are_shown_with(page):
    for line in commands(page):
        _, verb, *words = shlex.split(line.split(" #")[0])
        parser_of(verb, VERBS[verb]).parse_intermixed_args(words)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_python_blocks_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        exec(compile(block, name_of(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "index.md"]
    assert not [page.name for page in pages if f"({page.name})" not in index]
