import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from histobridge.core.errors import ProjectError
from histobridge.core.files import write_json
from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.translate.base import look_of
from histobridge.core.translate.instant import Identity, Instant
from histobridge.core.translate.quality.features import segmenter_features
from histobridge.core.translate.quality.measure import examine, measure
from histobridge.core.translate.quality.panel import Panel, Shown, panel_of_fields
from histobridge.core.translate.quality.report import read_quality, write_quality
from histobridge.core.translate.quality.verdict import joins, judged, tiling_words

CENTRES = ((30, 30), (30, 98), (98, 30), (98, 98), (64, 64))


class Threshold(nn.Module):
    """Finds what is bright."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x):
        self.norm(nn.functional.avg_pool2d(x, 4))
        return torch.cat([-20 * x, 20 * x], dim=1)


def discs(dy, dx, radius=12):
    y, x = np.mgrid[:128, :128]
    inside = np.zeros((128, 128), np.uint8)
    for row, column in CENTRES:
        inside[np.hypot(y - row - dy, x - column - dx) < radius] = 1
    return inside


def drawn(labels, seed, blur=0.0):
    noise = np.random.default_rng(seed).normal(0, 0.1, labels.shape)
    image = np.where(labels, 0.6, -0.6) + ndimage.gaussian_filter(noise, blur) * (1 + 3 * blur)
    return np.clip(ndimage.gaussian_filter(image, 0.7), -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def panel():
    labels = [discs(*offset) for offset in ((0, 0), (4, -3))]
    source = [Shown(image := drawn(one, seed), look_of(image), one) for seed, one in enumerate(labels)]
    target = [Shown(image := drawn(discs(-4, 4), 5, 1.0), look_of(image))]
    instant = Instant(False, source[0].look, target[0].look)
    card = ModelCard(
        preset="tiny",
        classes=("disc",),
        values=(1,),
        domain="source",
        working_um=1,
        object_diameter_px=24,
        quantiles=tuple(map(float, source[0].look)),
        trained_on=(),
    )
    return Panel(source, target, instant, Segmenter(Threshold(), card))


class Bent(Identity):
    """Does to images of the source what it is told; leaves those of the target alone."""

    def __init__(self, change):
        super().__init__()
        object.__setattr__(self, "change", change)

    def translate(self, image, direction, look, origin=(0, 0)):
        return self.change(image).astype(np.float32) if direction == "source_to_target" else image


def flaws(panel, change):
    quality = measure(Bent(change), panel)
    return quality.verdict, quality.words(), quality.structure


def test_a_translation_that_keeps_everything_is_not_failed(panel):
    quality = examine(panel.instant, panel)[0]
    assert (quality.verdict, quality.words()[:5]) == ("good", "Good.")
    assert quality.structure.dice_after == pytest.approx(quality.structure.dice_before, abs=0.03)
    assert (quality.structure.count, quality.structure.boundary_px) == (1, 0)
    assert all(tiling.mismatch < 1e-6 for tiling in quality.tiling.values())
    assert quality.score == pytest.approx(0.875, abs=0.02)


def test_a_translation_that_loses_all_objects_is_failed(panel):
    verdict, words, structure = flaws(panel, lambda image: np.full_like(image, -0.6))
    assert verdict == "failed"
    assert "Only 0% of the agreement with your labels" in words
    assert (structure.count, structure.size) == (0, 0)


def test_a_translation_that_moves_borders_is_failed(panel):
    verdict, words, structure = flaws(panel, lambda image: ndimage.grey_dilation(image, 7))
    assert verdict == "failed"
    assert structure.boundary_px == pytest.approx(3, abs=0.75)
    assert "px from those of your labels" in words


def test_a_translation_that_invents_structures_is_failed(panel):
    stripes = np.where(np.arange(128) % 32 < 8, 1.2, 0)
    verdict, words, structure = flaws(panel, lambda image: np.clip(image + stripes, -1, 1))
    assert verdict == "failed"
    assert structure.hallucinated > 0.15
    assert "another structure after translation" in words


def test_what_hides_in_a_fake_does_not_count(panel):
    """A fake that is nearly blank but carries the image in its last digits comes back only where nothing disturbs."""

    class Hidden(Identity):
        def translate(self, image, direction, look, origin=(0, 0)):
            if direction == "source_to_target":
                return (image * 1e-3).astype(np.float32)
            return np.clip(image * 1e3, -1, 1).astype(np.float32)

    quality = measure(Hidden(), panel)
    way = quality.ways["source_to_target"]
    assert way.cycle.ssim > 0.99
    assert way.robust.ssim < 0.3
    assert quality.verdict == "failed"


def test_looking_more_like_the_target_raises_the_score_and_less_makes_it_doubtful(panel):
    quality = measure(panel.instant, panel)

    def at(kid):
        ways = {
            name: way.model_copy(
                update={
                    "looks": way.looks.model_copy(update={"kid": kid}),
                    "instant": way.instant.model_copy(update={"kid": 1.0}),
                }
            )
            for name, way in quality.ways.items()
        }
        return judged(quality.model_copy(update={"ways": ways}))

    better, same, worse = at(0.1), at(1.0), at(2.0)
    assert 1 >= better.score > same.score > worse.score >= 0
    assert (better.verdict, same.verdict, worse.verdict) == ("good", "good", "doubtful")
    assert "no more like the other modality than by grey values alone" in worse.words()


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


@pytest.fixture(scope="module")
def unjudged(panel):
    """The panel without a segmenter, which says nothing of tiles."""
    fields = [[shown.image for shown in side] for side in (panel.source, panel.target)]
    return panel_of_fields(*fields, panel.instant)


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
    assert pictures["tiles"].std(axis=2).max() > 0


def test_how_tiles_join_is_told_for_both_directions_wherever_it_was_measured(panel):
    lines = tiling_words(examine(panel.instant, panel)[0]).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Tiles join, source to target",
        "Tiles join, target to source",
    ]
    assert all(line.endswith("mismatch 0.0 on average, 0.0 at most, of 255 grey levels.") for line in lines)
    assert tiling_words(measure(panel.instant, panel)) == ""


def test_a_file_of_when_one_direction_was_looked_at_is_still_read(tmp_path):
    write_json(tmp_path / "quality.json", {"ways": {}, "seam_ratio": 1.2, "tile_mismatch": 0.1})
    (tiling,) = read_quality(tmp_path).tiling.values()
    assert (tiling.seam_ratio, tiling.mismatch) == (1.2, 0.1)
    write_json(tmp_path / "quality.json", {"ways": {}, "seam_ratio": None, "tile_mismatch": None})
    assert read_quality(tmp_path).tiling == {}


def test_without_a_segmenter_the_verdict_is_doubtful_and_says_so(panel, unjudged):
    quality = measure(panel.instant, unjudged)
    assert quality.structure is None
    assert quality.verdict == "doubtful"
    assert "No segmenter of the source has looked at it" in quality.words()


def test_quality_is_read_back_as_written(panel, tmp_path):
    assert read_quality(tmp_path) is None
    quality = measure(panel.instant, panel)
    write_quality(tmp_path, quality)
    assert read_quality(tmp_path) == quality


def test_a_damaged_quality_file_is_named(tmp_path):
    (tmp_path / "quality.json").write_text("{}")
    with pytest.raises(ProjectError, match=r"quality\.json is damaged"):
        read_quality(tmp_path)


def test_features_of_a_segmenter_are_those_of_its_deepest_layer(panel):
    image = np.zeros((32, 64), np.float32)
    image[:, 32:] = 0.5
    found = segmenter_features(panel.segmenter)([image])[:7]
    np.testing.assert_allclose(found[:, 0], [0, 0, 0, 0.25, 0.5, 0.5, 0.5], atol=1e-4)


def test_agreement_falls_where_the_segmenter_finds_something_else_in_images_of_the_target(panel):
    def agreement(change):
        class Back(Bent):
            def translate(self, image, direction, look, origin=(0, 0)):
                return self.change(image).astype(np.float32) if direction == "target_to_source" else image

        ways = measure(Back(change), panel).ways
        assert ways["source_to_target"].agreement is None
        return ways["target_to_source"].agreement

    kept, grown, gone = (
        agreement(change) for change in (np.copy, lambda x: ndimage.grey_dilation(x, 9), np.zeros_like)
    )
    assert kept > 0.95 > 0.9 > grown > gone
    assert measure(panel.instant, panel).ways["target_to_source"].agreement == 1


class Oneway(Bent):
    """The same, but knows one direction only."""

    def __init__(self, direction, change=np.copy):
        super().__init__(change)
        object.__setattr__(self, "directions", frozenset({direction}))

    def translate(self, image, direction, look, origin=(0, 0)):
        assert direction in self.directions
        return super().translate(image, direction, look, origin)


def test_a_translator_without_a_way_back_is_judged_by_what_it_makes(panel):
    quality = measure(Oneway("source_to_target", lambda image: np.full_like(image, -0.6)), panel)
    assert (quality.verdict, quality.structure.count) == ("failed", 0)
    assert quality.ways["source_to_target"].cycle is None
    assert measure(Oneway("source_to_target"), panel).structure.dice_after > 0.9


def test_without_labels_on_its_way_nobody_knows_what_becomes_of_structures(panel):
    quality, pictures = examine(Oneway("target_to_source"), panel)
    assert quality.structure is None
    assert quality.verdict == "doubtful"
    assert "images of the target alone, which have no labels" in quality.words()
    assert list(quality.tiling) == ["target_to_source"]
    assert set(pictures) == {"tiles"}
