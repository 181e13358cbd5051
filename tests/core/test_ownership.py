"""Ownership of sheaths: set, honoured, taken back, kept."""

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histobridge.core.config import AddImagesConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.delta import Delta, Entry, Owner, decode, encode
from histobridge.core.errors import ProjectError
from histobridge.core.export_staging import stage_final
from histobridge.core.fibres import derive_fibres
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.job import finish
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import ClassSpec, Manifest
from histobridge.core.ownership import standing_owners
from histobridge.core.project import Project
from histobridge.core.synthetic import two_modalities
from histobridge.core.tiles import tile_grid

NERVE = Manifest(name="nerve")
ODD = Manifest(
    name="odd",
    classes=(
        ClassSpec(name="core", value=7, color="#ff0000", inside="shell"),
        ClassSpec(name="shell", value=200, color="#00ff00"),
    ),
)
SHAPE = (40, 64)
TILES = tile_grid(SHAPE, tile=32, overlap=8)


def two_fibres(inner=1, outer=2):
    """Two axons in one block of sheath, at columns 3-6 and 13-16; the halfway line lies between columns 9 and 10."""
    classes = np.zeros((9, 20), np.uint8)
    classes[1:8, 1:19] = outer
    classes[3:6, 3:7], classes[3:6, 13:17] = inner, inner
    return classes


def block(axon, rows, columns):
    return Owner(axon, (slice(*rows), slice(*columns)), np.ones((rows[1] - rows[0], columns[1] - columns[0]), bool))


@pytest.fixture
def store(tmp_path):
    store = LabelStore(tmp_path, SHAPE, writable=True)
    yield store
    store.close()


def drawn(edit):
    painted = edit.classes
    painted[:9, :20] = two_fibres()
    edit.commit(painted)


@pytest.mark.parametrize(("manifest", "values"), [(NERVE, (1, 2)), (ODD, (7, 200))])
def test_a_piece_goes_to_the_named_axon_and_all_else_stays(manifest, values):
    classes = two_fibres(*values)
    before = derive_fibres(classes, manifest)
    after = derive_fibres(classes, manifest, [block((4, 4), (1, 8), (10, 12))])
    assert (after[1:8, 10:12] == after[4, 4]).all()
    after[1:8, 10:12] = before[1:8, 10:12]
    np.testing.assert_array_equal(after, before)


def test_only_sheath_is_given_never_an_axon_or_background():
    classes = two_fibres()
    after = derive_fibres(classes, NERVE, [block((4, 4), (0, 9), (8, 20))])
    assert (after[3:6, 13:17] == after[4, 14]).all()
    assert after[4, 14] != after[4, 4]
    np.testing.assert_array_equal(after == 0, classes == 0)


def test_what_a_piece_cuts_off_goes_along():
    classes = two_fibres()
    after = derive_fibres(classes, NERVE, [block((4, 14), (1, 8), (7, 8))])
    assert (after[1:8, 8] == after[4, 14]).all()
    assert (after[1:8, 1:3] == after[4, 4]).all()


def test_a_sheath_without_an_axon_can_be_given_to_one():
    classes = two_fibres()
    classes[1:8, 11] = 0
    classes[3:6, 13:17] = 2
    after = derive_fibres(classes, NERVE, [block((4, 4), (1, 8), (12, 19))])
    assert set(np.unique(after)) == {0, 1}


def test_the_later_of_two_constraints_counts():
    classes = two_fibres()
    first, second = block((4, 4), (1, 8), (10, 12)), block((4, 14), (1, 8), (10, 12))
    np.testing.assert_array_equal(derive_fibres(classes, NERVE, [first, second]), derive_fibres(classes, NERVE))


def test_a_constraint_without_its_axon_says_nothing():
    classes = two_fibres()
    classes[3:6, 3:7] = 0
    owner = block((4, 4), (1, 8), (10, 12))
    np.testing.assert_array_equal(derive_fibres(classes, NERVE, [owner]), derive_fibres(classes, NERVE))


def test_a_piece_of_an_axon_outside_the_field_belongs_to_none_of_those_seen():
    after = derive_fibres(two_fibres(), NERVE, [block((-5, 4), (1, 3), (1, 19))])
    assert len(set(np.unique(after[1:3, 1:19])) & {int(after[4, 4]), int(after[4, 14])}) == 0
    assert after.max() == 3


def test_constraints_reach_over_the_edge_of_the_field():
    classes = two_fibres()
    whole = derive_fibres(classes, NERVE, [block((4, 4), (1, 8), (10, 12))])
    wide = derive_fibres(classes, NERVE, [block((4, 4), (-3, 30), (10, 12))])
    np.testing.assert_array_equal(whole, wide)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_constraints_are_honoured_on_any_field_and_touch_no_other_class(data):
    classes = two_modalities(1, 64, seed=3)[data.draw(st.sampled_from([0, 1]))].classes
    axons = np.argwhere(classes == 1)
    owners = []
    for _ in range(data.draw(st.integers(1, 4))):
        axon = tuple(map(int, axons[data.draw(st.integers(0, len(axons) - 1))]))
        y, x, height, width = (data.draw(st.integers(*limits)) for limits in ((-9, 60), (-9, 60), (1, 20), (1, 20)))
        owners.append(block(axon, (y, y + height), (x, x + width)))
    before, after = derive_fibres(classes, NERVE), derive_fibres(classes, NERVE, owners)
    np.testing.assert_array_equal(before > 0, after > 0)
    assert len({*zip(before[classes == 1], after[classes == 1], strict=True)}) == len(np.unique(before[classes == 1]))
    last = owners[-1]
    piece = np.zeros_like(classes, bool)
    rows, columns = (slice(max(0, side.start), max(0, side.stop)) for side in last.window)
    piece[rows, columns] = True
    assert (after[piece & (classes == 2)] == after[last.axon]).all()


def test_one_step_of_undo_holds_classes_and_owners(store):
    edit = TileEdit(store, TILES[0])
    drawn(edit)
    painted = edit.classes
    painted[1, 1] = 0
    assert edit.commit(painted, owners=(block((4, 4), (1, 8), (10, 12)),)) == 1
    assert [owner.axon for owner in edit.owners] == [(4, 4)]
    assert edit.undo()[1, 1] == 2
    assert edit.owners == ()
    assert edit.redo()[1, 1] == 0
    assert [owner.axon for owner in edit.owners] == [(4, 4)]


def test_ownership_alone_is_a_step_too(store):
    edit = TileEdit(store, TILES[0])
    drawn(edit)
    before, state = edit.classes, edit.state
    edit.own((block((4, 4), (1, 8), (10, 12)),))
    np.testing.assert_array_equal(edit.classes, before)
    np.testing.assert_array_equal(edit.state, state)
    np.testing.assert_array_equal(edit.undo(), before)
    assert edit.owners == ()
    assert edit.can_undo, "the drawing itself is still to be taken back"


def test_ownership_outlives_the_program_and_a_snapshot(store):
    edit = TileEdit(store, TILES[0])
    drawn(edit)
    edit.own((block((4, 4), (1, 8), (10, 12)),))
    edit.own((block((4, 14), (1, 8), (8, 10)),))
    edit.undo()
    store.close()
    again = LabelStore(store.folder, SHAPE, writable=True)
    (found,) = TileEdit(again, TILES[0]).owners
    assert (found.axon, found.window) == ((4, 4), (slice(1, 8), slice(10, 12)))
    fibres = derive_fibres(again.read((slice(0, 40), slice(0, 64)))[0], NERVE, standing_owners(again.journal))
    assert (fibres[1:8, 10:12] == fibres[4, 4]).all()
    edit = TileEdit(again, TILES[0])
    edit.redo()
    assert len(edit.owners) == 2
    again.close()


def test_a_tile_sees_the_ownership_set_in_its_neighbour_counted_from_its_own_corner(store):
    TileEdit(store, TILES[0]).own((block((4, 20), (2, 6), (22, 30)),))
    (seen,) = TileEdit(store, TILES[1]).owners
    start = TILES[1].window[1].start
    assert (seen.axon, seen.window) == ((4, 20 - start), (slice(2, 6), slice(22 - start, 30 - start)))
    assert TileEdit(store, TILES[-1]).owners == ()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["own", "paint", "undo", "redo"]), max_size=12))
def test_replay_tells_the_same_ownership_as_the_session(tmp_path_factory, steps):
    store = LabelStore(tmp_path_factory.mktemp("labels"), SHAPE, writable=True)
    edit = TileEdit(store, TILES[0])
    done, undone = [], []
    for number, step in enumerate(steps, 1):
        if step == "undo" and done:
            undone.append(done.pop())
        elif step == "redo" and undone:
            done.append(undone.pop())
        if step in ("undo", "redo"):
            getattr(edit, step)()
            continue
        painted = edit.classes
        painted[0, number] = number
        edit.commit(painted, owners=(block((number, 0), (0, 1), (0, number)),) if step == "own" else ())
        done.append((step, number))
        undone.clear()
    expected = [(number, 0) for step, number in done if step == "own"]
    assert sorted(owner.axon for owner in edit.owners) == expected
    store.close()
    again = LabelStore(store.folder, SHAPE)
    assert [owner.axon for owner in standing_owners(again.journal)] == [owner.axon for owner in edit.owners]


@settings(max_examples=30, deadline=None)
@given(st.lists(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))), max_size=3), arrays(bool, (2, 3)))
def test_owners_survive_encoding(masks, mask):
    owners = tuple(
        Owner((5, 6), (slice(2, 2 + piece.shape[0]), slice(3, 3 + piece.shape[1])), piece) for piece in masks
    )
    count = int(mask.sum())
    values = np.arange(2 * count, dtype=np.uint8).reshape(2, count)
    entry = Entry("own", "r000c000", (slice(1, 3), slice(4, 7)), count, sequence=3)
    found = decode(encode(Delta(entry, mask, values, values + 1, owners)))
    assert found.entry == entry
    np.testing.assert_array_equal(found.new, values + 1)
    for one, other in zip(found.owners, owners, strict=True):
        assert (one.axon, one.window) == (other.axon, other.window)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_an_export_numbers_fibres_as_the_user_has_said(tmp_path):
    project = Project.create(tmp_path / "project")
    run = project.create_run("add", AddImagesConfig())
    record = image_record("rat1-a", "target", subject="rat1", pixel_size_um=0.1, pixel_size_from="user")
    stage_array(run, record, np.zeros((9, 20), np.uint8), classes=two_fibres())
    with project.editing():
        project.adopt(run)
        (tile,) = project.tiles(project.image("rat1-a"))
        labels = project.labels("rat1-a")
        TileEdit(labels, tile).own((block((4, 4), (1, 8), (10, 12)),))
        labels.close()
    final = finish(stage_final(project, project.image("rat1-a"), tmp_path / "scratch"))
    fibres = final.fibres[:]
    assert (fibres[1:8, 10:12] == fibres[4, 4]).all()
    assert fibres[4, 4] != fibres[4, 14]


def head_of(payload):
    (length,) = struct.unpack_from("<I", payload)
    return length, json.loads(payload[4 : 4 + length])


def test_records_without_owners_stay_readable_by_older_versions_and_the_others_say_they_are_not():
    assert head_of(encode(Delta.event(Entry("skip", "r000c000"))))[1]["format"] == 1
    payload = encode(Delta.event(Entry("own", "r000c000")))
    length, head = head_of(payload)
    assert head["format"] == 2
    newer = json.dumps(head | {"format": 3}).encode()
    with pytest.raises(ProjectError, match="newer HistoBridge"):
        decode(struct.pack("<I", len(newer)) + newer + payload[4 + length :])


@pytest.mark.parametrize("owners", ["[1]", "[[1, 2, 3]]", '"x"', "[[1, 2, 3, 4, -1, 5]]", "7"])
def test_a_record_with_strange_owners_is_refused(owners):
    payload = encode(Delta.event(Entry("own", "r000c000")))
    length, head = head_of(payload)
    strange = json.dumps(head).encode()[:-1] + b', "owners": ' + owners.encode() + b"}"
    with pytest.raises(ValueError, match="journal record"):
        decode(struct.pack("<I", len(strange)) + strange + payload[4 + length :])


def test_an_owner_whose_mask_does_not_fill_its_window_is_never_made():
    strange = Owner((0, 0), (slice(0, 2), slice(0, 2)), np.ones((3, 2), bool))
    nothing = np.zeros((2, 0), np.uint8)
    with pytest.raises(ValueError, match="does not fill"):
        Delta(Entry("own", "r000c000"), np.zeros((0, 0), bool), nothing, nothing, (strange,))
