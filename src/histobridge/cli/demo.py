"""The verb `demo`: the whole loop on a small sample, then the first tile to correct."""

import argparse
import contextlib
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from histobridge.cli.doctor import display_name
from histobridge.cli.output import Outcome, ProgressLine, table
from histobridge.cli.stopping import interrupted_between_steps
from histobridge.core.job import finish


def demo_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `demo`."""
    parser.add_argument(
        "--out", default="histobridge-demo", metavar="DIR", help="Folder to make. Default: %(default)s."
    )
    parser.add_argument("--no-window", action="store_true", help="Do not open napari; say where the files are.")


def demo(namespace: argparse.Namespace) -> Outcome:
    """Make the sample, learn, match, translate, propose, score, export; then open the first tile."""
    from histobridge.core.demo import run_demo

    began = time.monotonic()
    out = Path(namespace.out).expanduser().absolute()
    line = ProgressLine("Demo")
    job = run_demo(out)
    output, shown, running = contextlib.redirect_stdout(sys.stderr), contextlib.closing(line), contextlib.closing(job)
    # The job is closed, and so writes its checkpoint, before signals act as usual again.
    with output, shown, interrupted_between_steps(line) as watch, running:
        result = finish(job, watch)
    seconds = round(time.monotonic() - began, 1)
    lines = [*table(result["table"]), "", *(f"{name}: {path}" for name, path in result["files"].items())]
    lines += [f"took {seconds:.0f} s"]
    values = {"verb": "demo", "seconds": seconds, "result": result}
    reason = "" if namespace.no_window else _why_no_window()
    if namespace.no_window or reason:
        lines += [reason] if reason else []
        lines += [f"project: {result['project']}"]
        return Outcome(values | {"window": False}, lines)
    sys.stderr.write("\n".join(lines) + "\n")
    _open_window(Path(result["project"]))
    return Outcome(values | {"window": True}, [])


def _why_no_window() -> str:
    """Say why napari cannot be opened; empty if it can."""
    if find_spec("napari") is None:
        return "napari is not installed; for the window: pip install 'napari-histobridge[app]'"
    return "" if display_name() else "there is no display, so napari is not opened"


def _open_window(project: Path) -> None:
    """Open napari with the dock on the first tile to correct, until the user closes it."""
    import napari

    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-histobridge")
    dock.open_project(project)
    dock.go("review")
    napari.run()
