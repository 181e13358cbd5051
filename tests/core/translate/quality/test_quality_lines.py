"""Every measure in words, with a verdict of its own that agrees with the verdict of the whole."""

import pytest

from histobridge.core.translate.quality.lines import lines_of, result_of
from histobridge.core.translate.quality.report import Cycle, Looks, Quality, Structure, WayQuality
from histobridge.core.translate.quality.verdict import judged

THERE, BACK = "source_to_target", "target_to_source"


def looks(kid):
    return Looks(kid=kid, fid=2.0, grey=0.05, spectrum=0.3)


def way(**values):
    cycle = Cycle(ssim=0.91, psnr_db=24.5, l1=0.031)
    known = {"cycle": cycle, "robust": cycle, "looks": looks(0.01), "instant": looks(0.03), "upright": 0.9}
    return WayQuality(**known | values)


def structure(**values):
    known = {"dice_before": 0.8, "dice_after": 0.76, "count": 1.1, "size": 0.95, "hallucinated": 0.02}
    known |= {"boundary_px": 0.8, "boundary_high_px": 2.0, "boundary_before_px": 0.5}
    return Structure(**known | values)


def quality(**values):
    return judged(Quality(**{"ways": {THERE: way(), BACK: way(agreement=0.93)}, "structure": structure()} | values))


def said(of):
    return {line.what: line for line in lines_of(of)}


def test_a_good_translation_says_so_for_every_measure_that_decides():
    found = quality()
    assert found.verdict == "good"
    words = [line.words() for line in lines_of(found)]
    assert "Agreement with your labels: 95% left (Dice 0.76 of 0.80): good" in words
    assert "Borders: 0.8 px from your labels (0.5 before): good" in words
    assert (
        "There and back, source to target: SSIM 0.910, PSNR 24.5 dB, L1 0.031 (SSIM 0.910 with noise in between)"
        in (words)
    )
    assert said(found)["structures kept, target to source"].found.startswith("93%")
    assert {line.verdict for line in lines_of(found)} == {"good", None}


@pytest.mark.parametrize(
    ("changed", "what", "verdict"),
    [
        ({"structure": structure(dice_after=0.66)}, "agreement with your labels", "doubtful"),
        ({"structure": structure(dice_after=0.4)}, "agreement with your labels", "failed"),
        ({"structure": structure(count=0.6)}, "number of objects", "doubtful"),
        ({"structure": structure(count=2.5)}, "number of objects", "failed"),
        ({"structure": structure(size=1.3)}, "size of objects", "doubtful"),
        ({"structure": structure(hallucinated=0.2)}, "structures invented", "failed"),
        ({"structure": structure(boundary_px=3.0)}, "borders", "failed"),
        ({"ways": {THERE: way(looks=looks(0.05))}}, "look, source to target", "doubtful"),
        ({"ways": {THERE: way(), BACK: way(agreement=0.69)}}, "structures kept, target to source", "doubtful"),
        ({"ways": {THERE: way(), BACK: way(upright=-0.8)}}, "dark and bright, target to source", "failed"),
    ],
)
def test_what_speaks_against_it_is_the_line_that_says_so(changed, what, verdict):
    found = quality(**changed)
    against = [line for line in lines_of(found) if line.verdict not in ("good", None)]
    assert [(line.what, line.verdict) for line in against] == [(what, verdict)]
    assert (found.verdict, found.reasons) == (verdict, (against[0].reason,))


@pytest.mark.parametrize(
    ("before", "chance", "distance", "verdict"),
    [
        (0.5, 2.5, 1.5, "good"),
        (0.5, 2.5, 2.0, "failed"),
        (1.0, 2.0, 2.0, "failed"),
        (1.5, 2.5, 2.0, "good"),
        (1.5, 2.5, 2.5, "failed"),
        (2.0, 2.0, 2.5, None),
        (1.0, None, 2.0, "good"),
        (1.0, None, 2.5, "failed"),
    ],
)
def test_borders_fail_where_they_are_nearer_to_chance_than_to_the_labels(before, chance, distance, verdict):
    borders = {"boundary_px": distance, "boundary_before_px": before, "boundary_chance_px": chance}
    line = said(quality(structure=structure(**borders)))["borders"]
    assert line.verdict == verdict
    assert ("nothing can be told" in line.found) == (verdict is None)


def test_looks_that_are_farther_by_no_more_than_chance_are_no_reason_to_doubt():
    close = {THERE: way(looks=looks(0.05), lag_error=0.02)}
    assert quality(ways=close).verdict == "good"
    assert (
        said(quality(ways=close))["look, source to target"].found == "KID 0.050 (0.030 by grey values alone, ± 0.020)"
    )
    assert quality(ways={THERE: way(looks=looks(0.07), lag_error=0.02)}).verdict == "doubtful"


def test_a_segmenter_that_finds_nothing_cannot_tell_and_that_is_said():
    blind = quality(structure=structure(dice_before=0.0, dice_after=0.0, count=None, size=None, boundary_px=None))
    assert blind.verdict == "doubtful"
    assert "learn the labels again" in blind.reasons[0]
    seeing = quality(structure=structure(dice_before=0.8, dice_after=0.0, count=None, size=None, boundary_px=None))
    assert seeing.verdict == "failed"
    assert blind.score > seeing.score


def test_what_was_not_measured_has_no_line():
    bare = quality(structure=None, ways={THERE: way(cycle=None, robust=None, upright=None)})
    assert set(said(bare)) == {"look, source to target", "distances, source to target"}
    assert "size of objects" not in said(quality(structure=structure(size=None, count=None, boundary_px=None)))


def test_a_job_returns_a_row_for_each_measure():
    result = result_of(quality())
    assert result["verdict"].startswith("Good.")
    assert len(result["measured"]) == len(lines_of(quality()))
    assert result["measured"][0]["verdict"] == "good"
