"""What is installed: metadata, plugin manifest, wheel."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
NAME = "napari-histobridge"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


def build_wheel(tree: Path, out: Path) -> zipfile.ZipFile:
    """Build the wheel of a source tree."""
    done = subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=tree, capture_output=True, text=True, check=True)
    return zipfile.ZipFile(out / done.stdout.split()[-1])


def wheel_metadata(wheel: zipfile.ZipFile) -> dict[str, str]:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return dict(Parser().parsestr(wheel.read(name).decode()))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def canonical(requirement: str) -> str:
    """Name of the distribution a requirement asks for."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def imported(*places: str) -> set[str]:
    """Top-level packages imported anywhere in some files, functions included."""
    files = [file for place in places for file in ((ROOT / place).rglob("*.py"))]
    found = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        found |= {name.split(".")[0] for name in names}
    return found - set(sys.stdlib_module_names) - {"histobridge"}


def distributions_of(packages: set[str]) -> set[str]:
    known = packages_distributions()
    return {canonical(known[package][0]) for package in packages}


def test_metadata_says_what_the_package_is():
    metadata = distribution(NAME).metadata
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert {"app", "test"} <= set(metadata.get_all("Provides-Extra"))
    assert "Framework :: napari" in metadata.get_all("Classifier")


def test_entry_points_lead_to_the_command_and_the_manifest():
    points = {(point.group, point.name): point for point in distribution(NAME).entry_points}
    assert points["napari.manifest", NAME].value == "histobridge:napari.yaml"
    assert callable(points["console_scripts", "histobridge"].load())


def test_a_headless_install_brings_no_window():
    plain = {canonical(requirement) for requirement in PROJECT["dependencies"]}
    assert not plain & {"napari", "qtpy", "magicgui", "superqt", "pyqt6", "pyside6"}


def test_headless_code_imports_what_the_dependencies_name_and_nothing_else():
    used = imported("src/histobridge/core", "src/histobridge/engine", "src/histobridge/cli")
    # The command opens the window only if it is installed.
    used -= {"napari", "qtpy"}
    # MONAI is loaded by name, see `histobridge.core.loading`.
    used |= {"monai"}
    # The certificate of the engine is made by `distributed`, which does not ask for what it needs.
    used |= {"cryptography"}
    assert distributions_of(used) == {canonical(requirement) for requirement in PROJECT["dependencies"]}


def test_window_code_imports_what_the_app_extra_names():
    declared = {canonical(requirement) for requirement in PROJECT["optional-dependencies"]["app"]}
    used = distributions_of(imported("src/histobridge/widgets") | {"napari"})
    assert used - {canonical(requirement) for requirement in PROJECT["dependencies"]} == declared


def test_tests_and_benchmarks_import_what_the_extras_name():
    declared = {canonical(r) for group in PROJECT["optional-dependencies"].values() for r in group}
    declared |= {canonical(requirement) for requirement in PROJECT["dependencies"]}
    own = {file.stem for place in ("tests", "benchmarks") for file in (ROOT / place).rglob("*.py")}
    tools = {"conftest", "importlinter", *own}
    assert not distributions_of(imported("tests", "benchmarks") - tools) - declared


def test_an_upper_bound_gives_its_reason_on_its_line():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    bounds = [line for line in lines if re.search(r'"[\w\[\],-]+.*(<|==|~=|!=).*"', line)]
    assert not [line for line in bounds if "#" not in line]


def test_manifest_is_named_like_the_distribution_and_everything_in_it_can_be_imported():
    manifest = PluginManifest.from_distribution(NAME)
    assert manifest.name == NAME
    assert manifest.contributions.widgets
    assert manifest.contributions.sample_data
    manifest.validate_imports()


def test_the_manifest_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").resolve() == ROOT / "src/histobridge/napari.yaml"


def test_the_wheel_holds_package_manifest_and_licence_and_nothing_else(wheel):
    names = set(wheel.namelist())
    top = {name.split("/")[0] for name in names}
    assert {"histobridge/napari.yaml", "histobridge/py.typed", "histobridge/cli/command.py"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert len(top) == 2
    assert "histobridge" in top


def test_a_source_tree_without_history_has_the_fallback_version(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    assert wheel_metadata(build_wheel(tree, tmp_path))["Version"] == "0.1.0"


def test_a_clone_without_tags_has_a_version_of_its_own(wheel):
    assert re.match(r"\d+\.\d+", wheel_metadata(wheel)["Version"])
