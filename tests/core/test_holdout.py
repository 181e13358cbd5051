"""The split into tiles that train and tiles that judge: frozen, stratified, the same every time."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.config import FineTuneConfig
from histobridge.core.errors import ProjectError
from histobridge.core.holdout import ReviewedTile, Split, choose_split, earlier_splits, folds, settle_split, within
from histobridge.core.project import Project
from histobridge.core.tiles import tile_grid

GRID = tile_grid((192, 1920), tile=192, overlap=0)


def tile(number, image="a", subject="rat1", **known):
    return ReviewedTile(image, GRID[number].id, subject, GRID[number].window, **known)


@st.composite
def histories(draw):
    """Sets of reviewed tiles that grow from one fine-tuning to the next."""
    places = [(image, number) for image in "abcd" for number in range(8)]
    order = draw(st.permutations(places))
    tiles = [
        tile(
            number,
            image,
            f"rat{'abcd'.index(image) // 2}",
            decided=draw(st.integers(0, 9)) > 0,
            shows_class=draw(st.integers(0, 9)) > 0,
        )
        for image, number in order[: draw(st.integers(1, 20))]
    ]
    stops = sorted(draw(st.sets(st.integers(1, len(tiles)), min_size=1, max_size=5)))
    return [tiles[:stop] for stop in stops]


@given(histories())
@settings(deadline=None, max_examples=150)
def test_what_was_held_out_never_trains_and_what_has_trained_is_never_held_out(history):
    splits: list[Split] = []
    for tiles in history:
        split = choose_split(tiles, splits)
        assert sorted((*split.held_out, *split.trained, *split.begun)) == sorted(each.key for each in tiles)
        for before in splits:
            assert not set(before.held_out) & set(split.trained)
            assert not set(before.trained) & set(split.held_out)
        splits.append(split)


@given(histories())
@settings(deadline=None, max_examples=100)
def test_up_to_four_tiles_all_train_and_never_more_than_a_fifth_is_held_out(history):
    for tiles in history:
        split = choose_split(tiles, [])
        decided = [each for each in tiles if each.decided]
        if len(decided) < 5:
            assert split.held_out == ()
        assert len(split.held_out) <= round(len(decided) / 5)
        assert set(split.held_out) <= {each.key for each in decided}
        if len(decided) >= 5:
            assert len(split.held_out) == round(len(decided) / 5)


@given(histories(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_split_depends_on_tiles_and_history_alone(history, random):
    earlier = [choose_split(history[0], [])]
    shuffled = list(history[-1])
    random.shuffle(shuffled)
    assert choose_split(shuffled, earlier) == choose_split(history[-1], earlier)


def test_every_subject_and_every_image_gives_its_fifth():
    tiles = [
        tile(number, image, subject)
        for image, subject in (("a", "rat1"), ("b", "rat1"), ("c", "rat2"), ("d", "rat2"))
        for number in range(5)
    ]
    held = choose_split(tiles, []).held_out
    assert Counter(image for image, _ in held) == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_tiles_of_background_alone_are_held_out_in_proportion():
    empty = {tile(number).key for number in (0, 2, 4, 6, 8)}
    tiles = [tile(number, shows_class=tile(number).key not in empty) for number in range(10)]
    assert len(empty & set(choose_split(tiles, []).held_out)) == 1
    few = [tile(number, shows_class=number > 1) for number in range(6)]
    assert not {tile(0).key, tile(1).key} & set(choose_split(few, []).held_out)


def test_a_subject_of_many_tiles_gives_more_than_one_of_few():
    tiles = [tile(number, "a", "rat1") for number in range(8)] + [tile(number, "b", "rat2") for number in range(2)]
    assert Counter(image for image, _ in choose_split(tiles, []).held_out) == {"a": 2}


def test_the_fifth_tile_is_held_out_when_the_first_four_have_trained():
    first = [tile(number) for number in range(4)]
    earlier = choose_split(first, [])
    split = choose_split([*first, tile(4)], [earlier])
    assert (split.held_out, split.trained) == ((tile(4).key,), earlier.trained)
    sixth = choose_split([*first, tile(4), tile(5)], [earlier, split])
    assert (sixth.held_out, len(sixth.trained)) == (split.held_out, 5)


def test_a_tile_that_was_begun_when_it_trained_can_be_held_out_once_it_is_decided():
    begun = [tile(number, decided=False, share=0.01) for number in range(5)]
    earlier = choose_split(begun, [])
    assert (earlier.trained, earlier.begun) == ((), tuple(each.key for each in begun))
    assert len(choose_split([tile(number) for number in range(5)], [earlier]).held_out) == 1


def test_a_tile_that_shares_most_of_its_pixels_with_another_is_not_held_out():
    wide = tile_grid((192, 200), tile=192, overlap=128)
    alike = [ReviewedTile("w", each.id, "rat1", each.window) for each in wide]
    assert len(alike) == 2
    split = choose_split([*alike, *(tile(number) for number in range(3))], [])
    assert {image for image, _ in split.held_out} == {"a"}


def test_of_two_tiles_one_is_left_out_in_turn_and_of_one_its_halves():
    pair = [tile(1), tile(0)]
    assert [[each.key for each, _ in part] for part in folds(pair)] == [[tile(0).key], [tile(1).key]]
    ((_, left),), ((_, right),) = folds([tile(0)])
    assert (left[0], right[0]) == (slice(0, 96), slice(96, 192))
    assert left[1] == right[1] == slice(0, 192)
    assert folds([]) == []


@given(st.integers(2, 10))
@settings(deadline=None)
def test_every_tile_is_left_out_exactly_once(count):
    parts = folds([tile(number) for number in range(count)])
    assert len(parts) == 2
    assert sorted(each.key for part in parts for each, _ in part) == sorted(tile(number).key for number in range(count))


def test_the_part_of_a_window_inside_another():
    assert within((slice(0, 10), slice(5, 20)), (slice(4, 12), slice(0, 10))) == (slice(0, 6), slice(5, 10))
    rows, columns = within((slice(0, 4), slice(0, 4)), (slice(8, 12), slice(0, 4)))
    assert (rows.stop - rows.start, columns) == (0, slice(0, 4))


def test_a_run_keeps_its_split_and_later_runs_keep_to_it(tmp_path):
    project = Project.create(tmp_path / "p")
    first = project.create_run("finetune", FineTuneConfig())
    six = [tile(number) for number in range(6)]
    split = settle_split(project, first, six)
    assert settle_split(project, first, [*six, tile(6)]) == split
    second = project.create_run("finetune", FineTuneConfig())
    assert earlier_splits(project, second) == [split]
    later = settle_split(project, second, [*six, tile(6), tile(7)])
    assert set(split.held_out) < set(later.held_out)
    assert set(later.held_out) - set(split.held_out) <= {tile(6).key, tile(7).key}


def test_a_damaged_split_is_not_guessed_anew(tmp_path):
    project = Project.create(tmp_path / "p")
    run = project.create_run("finetune", FineTuneConfig())
    (run.path / "split.json").write_text("{")
    with pytest.raises(ProjectError, match=r"split\.json cannot be read .* says which tiles are held out"):
        settle_split(project, project.create_run("finetune", FineTuneConfig()), [tile(0)])
