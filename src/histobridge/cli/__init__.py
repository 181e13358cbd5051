"""The command `histobridge`: everything the window does, without a window."""

from histobridge.cli.command import main

__all__ = ["main"]
