import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histobridge.core.config import MatchConfig, TrainTranslatorConfig
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.crops import Labelled
from histobridge.core.translate.fields import BLOCK_PX, fields_of, shared, uses_labels, windows

BRIDGE = TrainTranslatorConfig(method="bridgecut")


@pytest.fixture
def project(pair, tmp_path):
    """The first source image has labels, the second has none."""
    project = Project.create(tmp_path / "project")
    with project.editing():
        staged = project.create_run("add", MatchConfig())
        for index, field in enumerate(pair.source[:2]):
            folder = staged.path / "staged" / f"source{index}"
            folder.mkdir(parents=True)
            pixels = np.rint((field + 1) * 127.5).astype(np.uint8)
            write_pyramid(folder / "image", pixels, 0.1)
            if index == 0:
                LabelStore.create(folder / "labels", pixels.shape, pair.maps[0]).close()
            record = ImageRecord(
                id=folder.name,
                domain="source",
                subject="a",
                shape=pixels.shape,
                dtype="uint8",
                pixel_size_um=0.1,
                has_masks=index == 0,
            )
            write_json(folder / "record.json", record.model_dump(mode="json"))
        project.adopt(staged)
    return project


@pytest.fixture
def matching(pair, known_matching):
    looks = pair.instant.source_look, pair.instant.target_look
    return known_matching(*looks, source_working_um=0.2, target_working_um=0.2)


def test_labels_come_at_the_working_scale_with_images_that_have_them(project, matching, pair):
    labelled, bare, *_ = fields_of(project, "source", matching, BRIDGE)
    assert isinstance(labelled, Labelled)
    assert labelled.image.shape == labelled.classes.shape == (64, 64)
    assert np.mean(labelled.classes == pair.maps[0][::2, ::2]) > 0.9
    assert isinstance(bare, np.ndarray)


def test_labels_are_read_only_where_they_are_used(project, matching):
    assert all(
        isinstance(field, np.ndarray)
        for field in fields_of(project, "source", matching, TrainTranslatorConfig(method="cut"))
    )
    assert uses_labels(TrainTranslatorConfig(method="cut", class_balanced=True))
    assert not uses_labels(BRIDGE.model_copy(update={"bridge": BridgeSettings(segmentation=0)}))


def test_sheaths_are_shown_thinner_and_thicker_too(project, matching):
    """Else their thickness gives a domain away, and translations learn to change it."""
    labelled, _, *varied = fields_of(project, "source", matching, BRIDGE)
    own, *shares = (np.mean(field.classes == 2) for field in (labelled, *varied))
    assert all(isinstance(field, Labelled) for field in varied)
    assert shares == sorted(shares)
    assert shares[0] < 0.8 * own < own < 1.2 * own < shares[-1]
    assert all(np.corrcoef(labelled.image.ravel(), field.image.ravel())[0, 1] > 0.5 for field in varied)


def test_sheaths_stay_as_they_are_where_that_is_asked_for_or_nothing_encloses(project, matching):
    same = BRIDGE.model_copy(update={"bridge": BridgeSettings(sheath_variation=1)})
    assert len(fields_of(project, "source", matching, same)) == 2
    balanced = TrainTranslatorConfig(method="cut", class_balanced=True)
    assert len(fields_of(project, "source", matching, balanced)) == 2


def area(found):
    return sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in found)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1 << 24))
def test_blocks_of_a_large_image_lie_in_it_and_are_not_read_twice(high, wide, budget):
    found = windows((high, wide), budget)
    assert all(0 <= rows.start < rows.stop <= high for rows, _ in found)
    assert all(0 <= columns.start < columns.stop <= wide for _, columns in found)
    if area(found) < high * wide:
        assert area(found) <= max(budget, BLOCK_PX**2)
        read = np.zeros((high, wide), np.uint8)
        for window in found:
            read[window] += 1
        assert read.max() <= 4


def test_blocks_reach_the_middle_and_all_sides():
    """Not the corners alone, where a section often ends."""
    assert windows((3000, 3000), 1) == [(slice(1244, 1756), slice(1244, 1756))]
    rows, columns = zip(*windows((4096, 8192), 8 * BLOCK_PX**2), strict=True)
    assert {row.start for row in rows} == {768, 2816}
    assert {column.start for column in columns} == {768, 2816, 4864, 6912}
    assert len(windows((400, 1_000_000), 20 * 400 * BLOCK_PX)) == 20


def test_blocks_with_labels_come_first_and_others_fill_up():
    known = np.zeros((4096, 4096), bool)
    known[3000:3500, 100:900] = True
    plain = windows(known.shape, 16 * BLOCK_PX**2)
    found = windows(known.shape, 16 * BLOCK_PX**2, known)
    assert len(found) == len(plain) == 16
    labelled = [window for window in found if known[window].any()]
    assert labelled == found[: len(labelled)]
    covered = np.zeros_like(known)
    for window in labelled:
        covered[window] = True
    assert covered[known].all()
    assert set(map(str, found[len(labelled) :])) <= set(map(str, plain))
    assert windows(known.shape, 16 * BLOCK_PX**2, np.zeros_like(known)) == plain


def test_small_images_leave_their_share_to_large_ones():
    assert shared([(100, 100), (2000, 2000), (3000, 3000)], 4_010_000) == [10_000, 2_000_000, 2_000_000]
    assert shared([(100, 100), (200, 200)], 1 << 20) == [10_000, 40_000]


def test_of_too_many_images_those_with_labels_are_read_and_others_fill_up():
    labelled = [number in (3, 50, 97) for number in range(100)]
    found = shared([(5000, 5000)] * 100, 10 * BLOCK_PX**2, labelled)
    assert [number for number in range(100) if found[number] and labelled[number]] == [3, 50, 97]
    assert sum(map(bool, found)) == 10
    small = shared([(256, 256)] * 200, 50 * 256**2)
    assert sum(map(bool, small)) == 50


@given(st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), min_size=1, max_size=400))
def test_what_is_read_of_a_domain_has_a_bound(shapes):
    total = 1 << 22
    found = shared(shapes, total)
    assert any(found)
    assert sum(found) <= total + BLOCK_PX**2
    assert all(budget <= rows * columns for budget, (rows, columns) in zip(found, shapes, strict=True))
