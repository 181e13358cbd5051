"""The verb `doctor`: what this machine has and lacks, and what to do about it."""

import argparse
import contextlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from histobridge.cli.output import FAILED, OK, Outcome
from histobridge.core.errors import HistoBridgeError

NEEDED = ("numpy", "torch", "monai", "zarr", "dask", "distributed", "pydantic", "scikit-image", "safetensors")
WINDOW = ("napari", "qtpy")
FREE_GB, MEMORY_GB = 5.0, 4.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed` ones that are not `good` make the command fail."""

    name: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = True


def doctor_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `doctor`."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=".", help="Folder projects go to. Default: here."
    )


def doctor(namespace: argparse.Namespace) -> Outcome:
    """Look at versions, device, memory, disk, display and engine."""
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _packages,
        _device,
        _memory,
        lambda: _disk(Path(namespace.folder)),
        _window,
        _display,
        _engine,
    )
    findings = [check() for check in checks]
    lines = []
    for finding in findings:
        mark = "ok" if finding.good else "LACKS" if finding.needed else "note"
        lines.append(f"{mark:5}  {finding.name:9} {finding.found}")
        lines += [f"{'':5}  {'':9} -> {finding.remedy}"] if not finding.good and finding.remedy else []
    code = OK if all(finding.good or not finding.needed for finding in findings) else FAILED
    return Outcome({"verb": "doctor", "findings": [asdict(finding) for finding in findings]}, lines, code)


def _python() -> Finding:
    return Finding("python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}")


def _installed(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return "name version" of those installed, and the names of the others."""
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return found, missing


def _packages() -> Finding:
    found, missing = _installed(("napari-histobridge", *NEEDED))
    return Finding("packages", not missing, ", ".join(found), f"pip install {' '.join(missing)}")


def _device() -> Finding:
    if find_spec("torch") is None:
        return Finding("device", False, "torch is not installed", "pip install torch")
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return Finding("device", True, f"{torch.cuda.get_device_name()}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free")
    found = f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    return Finding("device", False, found, "a CUDA GPU makes training faster; the CPU presets do without", needed=False)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    return Finding("memory", memory.available > MEMORY_GB * 1e9, found, f"free {MEMORY_GB:.0f} GB", needed=False)


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    found = f"{free:.1f} GB free at {there}"
    if not os.access(there, os.W_OK):
        return Finding("disk", False, f"{there} cannot be written to", "choose another folder")
    return Finding("disk", free > FREE_GB, found, f"free {FREE_GB:.0f} GB, or choose another folder", needed=False)


def _window() -> Finding:
    found, missing = _installed(WINDOW)
    if missing:
        remedy = "for the window: pip install 'napari-histobridge[app]'"
        return Finding("window", False, f"not installed: {', '.join(missing)}", remedy, needed=False)
    # Importing the binding shows whether the system has the libraries that Qt is linked against.
    try:
        from qtpy import API_NAME, QT_VERSION, QtWidgets
    except (ImportError, RuntimeError) as error:
        remedy = "install what the README says that a bare Debian or Ubuntu lacks, or the Qt binding again"
        return Finding("window", False, f"Qt cannot be loaded: {error}", remedy, needed=False)
    return Finding("window", bool(QtWidgets), f"{', '.join(found)}, {API_NAME} with Qt {QT_VERSION}")


def display_name() -> str:
    """Name of the display a window can be opened on; empty: there is none."""
    if os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return ""
    if sys.platform != "linux":
        return sys.platform
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or ""


def _display() -> Finding:
    remedy = "work on a desktop or under `xvfb-run`; every verb but the window works without"
    return Finding("display", bool(display_name()), display_name() or "none", remedy, needed=False)


def _engine() -> Finding:
    """Run a job of a few steps in a worker process, there and back."""
    from tempfile import TemporaryDirectory

    from histobridge.cli.jobs import follow
    from histobridge.core.jobs import parse_config
    from histobridge.core.project import Project
    from histobridge.engine.client import Engine

    began = time.monotonic()
    with TemporaryDirectory(prefix="histobridge-doctor-") as folder:
        project = Project.create(Path(folder) / "project")
        run = project.create_run("selftest", parse_config("selftest", {}))
        try:
            with contextlib.closing(Engine()) as engine:
                follow(run, engine, lambda _: None)
        except HistoBridgeError as error:
            return Finding("engine", False, str(error), "jobs still run in this process, without --engine")
    return Finding("engine", True, f"a job went to a worker process and back in {time.monotonic() - began:.1f} s")
