"""The target before and after matching: one picture with a slider, and histograms."""

import numpy as np
import pytest
from PIL import Image

from histobridge.widgets.match_looks import COLORS, MatchLooks

GREYS = {"source": 40, "target": 200, "matched": 90}


@pytest.fixture
def files(tmp_path):
    for name, grey in GREYS.items():
        Image.fromarray(np.full((64, 96), grey, np.uint8)).save(tmp_path / f"{name}.png")
    return {name: tmp_path / f"{name}.png" for name in COLORS}


@pytest.fixture
def looks(qtbot, files):
    made = MatchLooks()
    qtbot.addWidget(made)
    made.show_files(files)
    made.resize(320, 300)
    made.show()
    return made


def columns(picture):
    """Grey values along the middle of what is drawn."""
    image = picture.grab().toImage()
    return np.array([image.pixelColor(x, image.height() // 2).red() for x in range(image.width())])


@pytest.mark.parametrize("percent", [0, 25, 50, 100])
def test_the_slider_wipes_between_the_target_and_what_it_was_matched_to(looks, percent):
    looks.slider.setValue(percent)
    greys = columns(looks.wiped)
    before, after = (int((greys == GREYS[name]).sum()) for name in ("target", "matched"))
    assert before / (before + after) == pytest.approx(percent / 100, abs=0.02)


def test_histograms_are_those_of_the_crops(looks):
    for name, grey in GREYS.items():
        share = looks.histograms.shares[name]
        assert share.argmax() == grey * len(share) // 256
        assert share.sum() == pytest.approx(1)
    assert not looks.histograms.grab().toImage().isNull()


def test_without_the_crops_nothing_is_shown(looks, files):
    files["matched"].unlink()
    looks.show_files(files)
    assert looks.isHidden()
