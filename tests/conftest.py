"""Shared fixtures: no test sees the user's settings or running engine."""

import os
import random
import shutil
import sys

import pytest
from hypothesis import settings

# The same examples in every run, so that a change fails for what it did; `--hypothesis-profile explore` draws new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("same")

# Before torch is imported: threads of two test processes on two cores only get into each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Give every test its own config, state and runtime folders."""
    home = tmp_path_factory.mktemp("home")
    for name in ("CONFIG", "STATE", "DATA"):
        folder = home / name.lower()
        folder.mkdir()
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder))
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return home


@pytest.fixture(autouse=True)
def same_numbers():
    """Draw the same random numbers in every test, whatever ran before it."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory):
    """A project of two source images with masks and two target images, 64 px; not to be changed."""
    from histobridge.core.sample import make_sample_project

    return make_sample_project(tmp_path_factory.mktemp("sample") / "nerve", fields=2, size=64).path


@pytest.fixture
def small_project(sample_folder, tmp_path):
    """A copy of it, much quicker than making one."""
    from histobridge.core.project import Project

    return Project.open(shutil.copytree(sample_folder, tmp_path / "nerve"))


@pytest.fixture
def known_matching():
    """Make a matching of which a person has said scale and polarity."""
    from histobridge.core.matching import Matching

    def make(source_look, target_look, **values):
        looks = {"source_look": tuple(map(float, source_look)), "target_look": tuple(map(float, target_look))}
        said = {"run": "", "segmenter": "", "scale_from": "number", "polarity_from": "user", "invert": True}
        said |= {"source_working_um": 0.1, "target_working_um": 0.1, "object_diameter_px": 12, "images": ()}
        sure = {"certainty": 1, "certain": True, "score": "enclosure", "polarity_score": {}, "polarity_by_image": {}}
        return Matching(**looks, **said | sure | values)

    return make
