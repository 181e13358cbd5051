import pytest

from histobridge.core.translate.quality.ranking import beats_the_default, measures_of, rank_correlations
from histobridge.core.translate.quality.report import Cycle, Looks, Quality, Structure, WayQuality


def row(dice, **measures):
    return {"dice": dice, **measures}


def test_a_measure_that_ranks_as_the_truth_has_one_and_its_opposite_minus_one():
    group = [row(dice, good=dice**3, bad=-dice, same=1.0) for dice in (0.2, 0.7, 0.4, 0.5)]
    found = rank_correlations([group])
    assert (found["good"].rho, found["bad"].rho) == (pytest.approx(1), pytest.approx(-1))
    assert (found["good"].groups, found["good"].count) == (1, 4)
    assert "same" not in found


def test_ranks_and_ties_are_those_of_spearman():
    # Ranks 1 2 3 4 against 1 2.5 2.5 4: covariance 4.5 over the root of 5 times 4.5.
    group = [row(0.1, m=1.0), row(0.2, m=5.0), row(0.3, m=5.0), row(0.4, m=9.0)]
    assert rank_correlations([group])["m"].rho == pytest.approx(4.5 / (5 * 4.5) ** 0.5)


def test_translators_are_ranked_within_their_pair_and_pairs_are_averaged():
    easy = [row(0.8 + step / 100, m=step) for step in range(4)]
    hard = [row(0.2 - step / 100, m=10 + step) for step in range(5)]
    found = rank_correlations([easy, hard])["m"]
    assert (found.rho, found.low, found.high) == (pytest.approx(0), pytest.approx(-1), pytest.approx(1))
    assert (found.groups, found.count) == (2, 9)


def test_measures_that_few_translators_have_say_nothing():
    group = [row(0.1, m=1), row(0.2, m=2), row(0.3, m=3), row(0.4)]
    assert rank_correlations([group]) == {}


def quality(**values):
    ways = {}
    for name, kid, ssim, agreement in (("source_to_target", 0.1, 0.9, None), ("target_to_source", 0.4, 0.7, 0.8)):
        looks, cycle = Looks(kid=kid, fid=2.0, grey=0.05, spectrum=0.3), Cycle(ssim=ssim, psnr_db=20.0, l1=0.1)
        ways[name] = WayQuality(cycle=cycle, robust=cycle, looks=looks, instant=looks, agreement=agreement)
    return Quality(ways=ways, score=0.6, **values)


def test_measures_are_turned_so_that_more_is_better():
    kept = Structure(
        dice_before=0.8,
        dice_after=0.6,
        count=2.0,
        size=0.5,
        hallucinated=0.1,
        boundary_px=1.5,
        boundary_high_px=3.0,
        boundary_before_px=0.5,
    )
    found = measures_of(quality(structure=kept), "source_to_target")
    assert (found["kid"], found["cycle l1"], found["borders"]) == (-0.1, -0.1, -1.5)
    assert found["dice kept"] == pytest.approx(0.75)
    assert found["count kept"] == found["size kept"] == pytest.approx(-0.6931, abs=1e-4)
    assert "dice kept" not in measures_of(quality(), "source_to_target")


def test_measured_is_the_direction_that_is_used():
    there, back = (measures_of(quality(), direction) for direction in ("source_to_target", "target_to_source"))
    assert (there["cycle ssim"], back["robust cycle ssim"]) == (0.9, 0.7)
    assert (there["kid"], back["kid"]) == (-0.1, -0.4)
    assert (there.get("agreement"), back["agreement"]) == (None, 0.8)
    assert there["score"] == back["score"]


@pytest.mark.parametrize(
    ("gains", "wins"),
    [
        pytest.param({"a": (0.05, 0.06, 0.07), "b": (0.03, 0.03, 0.04)}, True, id="more than the spread everywhere"),
        pytest.param({"a": (0.05, 0.06, 0.07), "b": (0.0, 0.03, 0.06)}, False, id="within the spread of one pair"),
        pytest.param({"a": (0.5, 0.5, 0.5), "b": (-0.01, -0.01, -0.01)}, False, id="worse on one pair"),
        pytest.param({"a": (0.05, 0.06, 0.07)}, False, id="a pair is missing"),
        pytest.param({"a": (0.05, 0.06), "b": (0.05, 0.06)}, False, id="too few seeds"),
    ],
)
def test_the_default_changes_only_for_a_win_on_every_pair_by_more_than_the_spread(gains, wins):
    assert beats_the_default(gains, ("a", "b")) == wins
