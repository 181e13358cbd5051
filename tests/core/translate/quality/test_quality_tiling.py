"""Whether tiles join: what is found, said and shown."""

import numpy as np
import pytest

from histobridge.core.translate.instant import Identity
from histobridge.core.translate.quality.evidence import YELLOW
from histobridge.core.translate.quality.measure import examine, measure
from histobridge.core.translate.quality.verdict import joins, tiling_words


class Stepped(Identity):
    """Adds a constant to every crop, another to each, in one direction."""

    def __init__(self, wrong):
        super().__init__()
        object.__setattr__(self, "wrong", wrong)

    def translate(self, image, direction, look, origin=(0, 0)):
        return image + np.float32(0.3 * (sum(origin) // 20 % 2)) if direction == self.wrong else image


class OwnTiles(Stepped):
    """The same by tiles of its own, wherever a crop starts; so two grids of crops never differ."""

    side = 32

    def __init__(self, wrong):
        super().__init__(wrong)
        object.__setattr__(self, "alignment", self.side)

    def translate(self, image, direction, look, origin=(0, 0)):
        y, x = (np.arange(size) + start for size, start in zip(image.shape, origin, strict=True))
        steps = 0.5 * ((y[:, None] // self.side + x // self.side) % 2)
        return (image + steps).astype(np.float32) if direction == self.wrong else image


class LargeTiles(OwnTiles):
    """The same, of tiles that are larger than what is looked at."""

    side = 384


class FadingTiles(Identity):
    """Tiles of its own that fade into each other, each brighter or darker than the next: no border has a step."""

    def __init__(self, wrong, step=0.5):
        super().__init__()
        for name, value in {"wrong": wrong, "step": step, "alignment": 32}.items():
            object.__setattr__(self, name, value)

    def translate_inside(self, image, direction, look, origin, inside):
        return self.translate(image, direction, look, origin)

    def translate(self, image, direction, look, origin=(0, 0)):
        # A tile starts where the crop does.
        y, x = (np.arange(size) / 32 + start // 32 for size, start in zip(image.shape, origin, strict=True))
        waves = self.step * np.cos(np.pi * y)[:, None] * np.cos(np.pi * x)
        return (image + waves).astype(np.float32) if direction == self.wrong else image


@pytest.mark.parametrize("translator", [Stepped, OwnTiles, LargeTiles])
@pytest.mark.parametrize("wrong", ["source_to_target", "target_to_source"])
def test_a_constant_added_to_each_tile_is_caught_in_either_direction(unjudged, wrong, translator):
    quality = examine(translator(wrong), unjudged)[0]
    told = dict(zip(quality.tiling, tiling_words(quality).splitlines(), strict=True))
    assert {way for way, line in told.items() if line.startswith("Tiles do not join")} == {wrong}
    worst = quality.tiling[wrong].worst
    assert f"most at {worst.axis} {worst.at} ({worst.ratio:.2f})" in told[wrong]
    assert told[wrong] in quality.reasons
    assert quality.verdict == "doubtful"


@pytest.mark.parametrize("wrong", ["source_to_target", "target_to_source"])
def test_tiles_that_differ_are_caught_where_they_fade_into_each_other(unjudged, wrong):
    quality, pictures = examine(FadingTiles(wrong), unjudged)
    tiling = quality.tiling[wrong]
    assert tiling.seam_ratio <= 1.1 * max(1, tiling.before)
    assert not joins(tiling)
    assert "most at" not in tiling_words(quality)
    assert [line for line in quality.reasons if "do not join" in line] == [
        line for line in tiling_words(quality).splitlines() if wrong.replace("_", " ") in line
    ]
    assert joins(examine(FadingTiles(wrong, step=0.02), unjudged)[0].tiling[wrong])
    picture = pictures["tiles"]
    assert (picture != picture[..., :1]).any(), "what depends on the grid is red"
    assert not (picture == YELLOW).all(axis=-1).any(), "there is no border to mark"


def test_how_tiles_join_is_told_for_both_directions_wherever_it_was_measured(panel):
    lines = tiling_words(examine(panel.instant, panel)[0]).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Tiles join, source to target",
        "Tiles join, target to source",
    ]
    assert all(line.endswith("mismatch 0.0 on average, 0.0 at most, of 255 grey levels.") for line in lines)
    assert tiling_words(measure(panel.instant, panel)) == ""
