"""HistoBridge: carry labels from one microscopy modality to another."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("napari-histobridge")
except PackageNotFoundError:  # a bare source tree on the path
    __version__ = "0.0.0"
