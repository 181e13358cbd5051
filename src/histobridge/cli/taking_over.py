"""The option of verbs that edit, to take the edit lock from a machine that nobody works at any more."""

import argparse
from pathlib import Path

from histobridge.core.project import Project


def take_over_option(parser: argparse.ArgumentParser) -> None:
    """Add `--take-over`."""
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="Edit although the lock says that somebody does; only if nobody is at it any more.",
    )


def opened(namespace: argparse.Namespace) -> Project:
    """Open the project of a verb that may edit it."""
    project = Project.open(Path(namespace.project))
    project.take_over = getattr(namespace, "take_over", False)
    return project
