"""Whose turn it is in the review queue."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.turns import Entrant, take_turns

ENTRANTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 9), st.integers(0, 2), st.floats(0, 1)),
    max_size=40,
    unique_by=lambda each: each[:3],
).map(lambda rows: [Entrant(s, f"{s}{i}", str(tile), look, score) for s, i, tile, look, score in rows])


def in_turns(entrants, shown=(), seed=0, sharpness=2.0):
    return [entrants[index] for index in take_turns(entrants, shown, seed, sharpness)]


@given(ENTRANTS, st.integers(0, 5))
@settings(deadline=None, max_examples=80)
def test_every_tile_comes_exactly_once_and_in_the_same_order_whatever_order_they_are_given_in(entrants, seed):
    first = in_turns(entrants, seed=seed)
    assert Counter(first) == Counter(entrants)
    assert in_turns(entrants[::-1], seed=seed) == first


@given(ENTRANTS, st.integers(0, 5))
@settings(deadline=None, max_examples=80)
def test_no_subject_gets_ahead_of_another_that_still_has_tiles(entrants, seed):
    order = in_turns(entrants, seed=seed)
    total = Counter(each.subject for each in order)
    for stop in range(1, len(order) + 1):
        turns = Counter(each.subject for each in order[:stop])
        for ahead in turns:
            assert all(turns[ahead] <= turns[name] + 1 for name in total if turns[name] < total[name])


def test_images_of_a_subject_then_looks_of_an_image_take_turns():
    entrants = [Entrant("rat1", image, f"{n}", n % 2, 0.5) for image in "ab" for n in range(8)]
    order = in_turns(entrants)
    for stop in range(2, 17, 2):
        assert set(Counter(each.image for each in order[:stop]).values()) == {stop // 2}
    assert set(Counter(each.stratum for each in order[:4]).values()) == {1}


def test_it_is_never_plain_highest_score_first():
    hard = [Entrant("rat1", "hard", str(n), 0, 0.9 + n / 1000) for n in range(10)]
    easy = [Entrant("rat2", "easy", str(n), 0, 0.1) for n in range(10)]
    for seed in range(5):
        order = in_turns([*hard, *easy], seed=seed)
        assert {each.image for each in order[:2]} == {"hard", "easy"}
        assert [each.score for each in order if each.image == "hard"] != sorted((e.score for e in hard), reverse=True)


def test_chances_within_a_stratum_grow_with_the_score_to_the_power_asked_for():
    entrants = [Entrant("rat1", "a", "low", 0, 0.3), Entrant("rat1", "a", "high", 0, 0.6)]
    for sharpness, share in ((0.0, 1 / 2), (1.0, 2 / 3), (2.0, 4 / 5)):
        wins = sum(in_turns(entrants, seed=seed, sharpness=sharpness)[0].tile == "high" for seed in range(2000))
        assert abs(wins / 2000 - share) < 0.04


def test_what_was_reviewed_before_counts_as_turns():
    entrants = [Entrant(f"rat{n}", f"{n}", str(tile), 0, 0.5) for n in range(3) for tile in range(3)]
    shown = [Entrant("rat0", "0", "seen"), Entrant("rat2", "2", "seen")]
    for seed in range(5):
        order = in_turns(entrants, shown, seed)
        assert order[0].subject == "rat1"
        assert {each.subject for each in order[1:4]} == {"rat0", "rat1", "rat2"}


def test_a_tile_without_any_score_is_still_drawn():
    entrants = [Entrant("rat1", "a", str(n), 0, 0.0 if n else 1.0) for n in range(2)]
    assert any(in_turns(entrants, seed=seed, sharpness=1.0)[0].tile == "1" for seed in range(100))


def test_only_so_many_turns_are_taken():
    entrants = [Entrant("rat1", image, str(n)) for image in "ab" for n in range(50)]
    order = take_turns(entrants, (), 0, 0.0, most=6)
    assert Counter(entrants[index].image for index in order) == {"a": 3, "b": 3}
