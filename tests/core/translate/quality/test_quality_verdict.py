from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from histobridge.core.errors import ProjectError
from histobridge.core.files import write_json
from histobridge.core.translate.instant import Identity
from histobridge.core.translate.quality.features import segmenter_features
from histobridge.core.translate.quality.measure import examine, measure
from histobridge.core.translate.quality.report import read_quality, write_quality
from histobridge.core.translate.quality.verdict import judged


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


def test_classes_that_no_image_shows_speak_for_nothing(panel):
    """They counted as found in full: of four classes one is shown, and a blank image kept three quarters of them."""
    many = panel.segmenter.card.model_copy(update={"classes": ("disc", "b", "c", "d"), "values": (1, 2, 3, 4)})
    segmenter = copy(panel.segmenter)
    segmenter.card = many
    of_many = replace(panel, segmenter=segmenter)
    verdict, _, structure = flaws(of_many, lambda image: np.full_like(image, -0.6))
    assert (verdict, structure.dice_after) == ("failed", 0)
    assert measure(panel.instant, of_many) == measure(panel.instant, panel)


def test_borders_of_other_images_are_at_chance_and_fail(panel):
    _, _, structure = flaws(panel, lambda image: np.roll(image, (40, 40), (0, 1)))
    assert structure.boundary_px == pytest.approx(structure.boundary_chance_px, abs=0.5)
    verdict, words, structure = flaws(panel, lambda _: np.random.default_rng(0).normal(0, 0.3, (128, 128)))
    assert verdict == "failed"
    assert "px from those of your labels" in words


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
    assert "look less like the other modality than by grey values alone" in worse.words()
    assert "look no less like the other modality" in same.words()


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


@pytest.mark.parametrize("change", [lambda image: np.full_like(image, -1), lambda image: image + 0.9])
def test_where_nothing_is_found_by_grey_values_alone_there_is_nothing_to_agree_with(panel, change):
    """As where a segmenter is blind to the other modality: a translator that blanks all agreed with it perfectly."""

    class Back(Bent):
        def translate(self, image, direction, look, origin=(0, 0)):
            return self.change(image).astype(np.float32) if direction == "target_to_source" else image

    seen = measure(Back(change), panel).ways["target_to_source"]
    assert seen.agreement is not None
    dark = [replace(shown, image=np.minimum(shown.image, -0.2)) for shown in panel.target]
    assert measure(Back(change), replace(panel, target=dark)).ways["target_to_source"].agreement is None


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


class KeepsLooks(Identity):
    """As generators from elsewhere do, it takes and gives images as they are."""

    def of_image(self, read, shape, direction, look):
        raise NotImplementedError


def test_what_comes_back_in_its_own_look_is_compared_with_the_image(unjudged):
    cycle = measure(KeepsLooks(), unjudged).ways["source_to_target"].cycle
    assert cycle.ssim == pytest.approx(1)
    assert cycle.l1 == pytest.approx(0, abs=1e-6)
