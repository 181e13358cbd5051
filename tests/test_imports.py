"""What a fresh process loads: the window must open fast and never hold torch, core must never meet Qt."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
HEAVY = ("torch", "monai", "zarr", "dask", "distributed", "skimage", "scipy")
WINDOW = ("qtpy", "napari", "magicgui", "superqt", "vispy", "PyQt5", "PyQt6", "PySide2", "PySide6")
SHOWN_IN_THE_WINDOW = (
    "histobridge.core.project",
    "histobridge.core.runs",
    "histobridge.core.labels",
    "histobridge.core.journal",
    "histobridge.core.corrections",
    "histobridge.core.tiles",
    "histobridge.core.gate",
    "histobridge.core.manifest",
    "histobridge.core.config",
    "histobridge.core.queue",
    "histobridge.core.jobs",
    "histobridge.core.perform",
    "histobridge.core.images.pyramid",
    "histobridge.engine.client",
)
COMMAND = ("histobridge.cli.command", "histobridge.cli.jobs", "histobridge.cli.project", "histobridge.cli.demo")


def modules(*packages: str) -> list[str]:
    """Names of all modules below some packages or of some files."""
    found = []
    for package in packages:
        place = SOURCE / package.replace(".", "/")
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        found += [".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return found


def loaded_after(*names: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after importing `names`."""
    code = f"import sys, importlib; [importlib.import_module(n) for n in {names!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_what_the_window_shows_of_core_and_engine_loads_nothing_heavy():
    assert not loaded_after(*SHOWN_IN_THE_WINDOW) & set(HEAVY)


def test_the_command_loads_nothing_heavy_before_its_verb_runs():
    assert not loaded_after(*COMMAND) & {*HEAVY, *WINDOW, "numpy"}


def test_the_dock_and_all_its_pages_load_no_torch_and_no_zarr():
    loaded = loaded_after(*modules("histobridge.widgets", "histobridge.layers", "histobridge.sample_data"))
    assert "qtpy" in loaded
    assert not loaded & {"torch", "monai", "zarr", "distributed"}


def test_core_meets_neither_qt_nor_napari():
    loaded = loaded_after(*modules("histobridge.core"))
    assert "torch" in loaded
    assert not loaded & set(WINDOW)


def test_core_imports_nothing_of_the_window_inside_functions_either():
    found = []
    for path in sorted((SOURCE / "histobridge/core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: {name}" for name in names if name.split(".")[0] in WINDOW]
    assert not found


def test_import_contracts_are_kept():
    pytest.importorskip("importlinter", reason="a development tool")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SOURCE.parent, check=False)
    assert done.returncode == 0, done.stdout


TOGETHER = """
import sys, threading
sys.setswitchinterval(1e-6)
wrong = []
def load(name):
    try:
        __import__(name)
    except (ImportError, KeyError) as error:
        wrong.append(repr(error))
threads = [threading.Thread(target=load, args=(name,)) for name in ("zarr", "histobridge.core.durable_store")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(", ".join(wrong) or 0)
"""


def test_labels_are_written_while_another_thread_loads_zarr():
    done = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
