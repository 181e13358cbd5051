"""All scores of an image in one row, and their means per subject."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histobridge.core.errors import InputError
from histobridge.core.manifest import ClassSpec, Manifest
from histobridge.core.metrics import aggregate_g_ratio, dice, iou
from histobridge.core.scorecard import score_image, summarise
from histobridge.core.surfaces import assd_um, boundary_iou, hd95_um, surface_dice
from histobridge.core.synthetic import two_modalities

NERVE = Manifest(name="nerve")
CELLS = Manifest(
    name="cells", classes=tuple(ClassSpec(name=n, value=v, color="#ffffff") for n, v in (("cell", 3), ("grain", 5)))
)
SIZE_UM = 0.12
PER_CLASS = {"dice", "iou", "surface_dice", "boundary_iou", "assd_um", "hd95_um"}
QUALITIES = {"instance_f1", "instance_sq", "instance_pq"}
G_RATIO = {"g_ratio_bias", "g_ratio_error", "g_ratio_median_bias", "aggregate_g_ratio_bias"}


@pytest.fixture(scope="module")
def truth():
    return two_modalities(1, 192, 0)[0].classes


def test_where_sparse_labels_tell_no_outline_there_is_no_entry(truth):
    sparse = np.full_like(truth, 255)
    core = truth == 2
    for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        core &= np.roll(truth, shift, (0, 1)) == 2
    core[:4] = core[-4:] = core[:, :4] = core[:, -4:] = False  # the edge of the image is an outline
    sparse[core] = 2
    missed = truth.copy()
    missed[tuple(np.argwhere(core)[0])] = 0
    scores = score_image(missed, sparse, NERVE, SIZE_UM)
    assert not {f"{name}/myelin" for name in ("surface_dice", "boundary_iou", "assd_um", "hd95_um")} & set(scores)
    assert scores["dice/myelin"] > 0.99


def test_a_perfect_prediction_has_perfect_scores(truth):
    scores = score_image(truth, truth, NERVE, SIZE_UM)
    assert {name.split("/")[0] for name in scores} == PER_CLASS | QUALITIES | G_RATIO | {"fibres"}
    assert scores["fibres/true"] == scores["fibres/predicted"] > 3
    for name, score in scores.items():
        if not name.startswith("fibres"):
            assert score == (0 if name.startswith(("assd", "hd95", *G_RATIO)) else 1), name


def test_the_scores_of_each_class_are_those_of_the_metrics(truth):
    predicted = np.roll(truth, 2, axis=1)
    scores = score_image(predicted, truth, NERVE, SIZE_UM)
    for name, value in (("axon", 1), ("myelin", 2)):
        pair = (predicted, truth, value)
        assert scores[f"dice/{name}"] == dice(*pair)
        assert scores[f"iou/{name}"] == iou(*pair)
        assert scores[f"assd_um/{name}"] == pytest.approx(assd_um(*pair, SIZE_UM))
        assert scores[f"hd95_um/{name}"] == pytest.approx(hd95_um(*pair, SIZE_UM))
        assert scores[f"surface_dice/{name}"] == pytest.approx(surface_dice(*pair, 2, 1))
        assert scores[f"boundary_iou/{name}"] == boundary_iou(*pair, 2)
    assert scores["dice"] == pytest.approx((scores["dice/axon"] + scores["dice/myelin"]) / 2)


def test_sheaths_that_are_too_thin_show_as_a_positive_bias_of_the_g_ratio_and_not_in_the_count(truth):
    from scipy.ndimage import binary_dilation

    thin = np.where(binary_dilation(truth == 1) & (truth == 2), 1, truth).astype(np.uint8)
    scores = score_image(thin, truth, NERVE, SIZE_UM)
    assert scores["g_ratio_bias"] > 0.02
    assert scores["g_ratio_error"] == pytest.approx(scores["g_ratio_bias"])
    assert scores["aggregate_g_ratio_bias"] == pytest.approx(aggregate_g_ratio(thin) - aggregate_g_ratio(truth))
    assert scores["instance_f1"] == 1
    assert scores["instance_f1/axon"] >= 0.9
    assert scores["fibres/compared"] <= scores["fibres/true"]


def test_merged_sheaths_are_still_two_fibres_and_loose_sheath_is_none():
    truth = np.zeros((30, 60), np.uint8)
    truth[5:25, 5:45] = 2
    truth[10:20, 10:20], truth[10:20, 30:40] = 1, 1
    predicted = truth.copy()
    predicted[2:4, 50:55] = 2
    scores = score_image(predicted, truth, NERVE, SIZE_UM)
    assert (scores["fibres/true"], scores["fibres/predicted"], scores["instance_pq"]) == (2, 2, 1)


def test_what_is_unlabelled_changes_no_score(truth):
    predicted = np.roll(truth, 1, axis=0)
    known = truth.copy()
    known[:, 100:] = 255
    other = predicted.copy()
    # Wholly wrong where nobody knows, but for the objects that reach into what is known.
    other[:, 150:] = np.random.default_rng(0).integers(0, 3, (192, 42), np.uint8)
    one, two = (score_image(mask, known, NERVE, SIZE_UM) for mask in (predicted, other))
    assert {name: two[name] for name in two if name.startswith(tuple(PER_CLASS))} == {
        name: one[name] for name in one if name.startswith(tuple(PER_CLASS))
    }
    assert two["instance_f1/axon"] == one["instance_f1/axon"]
    assert two["fibres/predicted"] == one["fibres/predicted"]
    assert two["g_ratio_bias"] == pytest.approx(one["g_ratio_bias"], abs=0.01)


def test_a_truth_without_a_label_cannot_be_scored(truth):
    with pytest.raises(InputError, match="unlabelled"):
        score_image(truth, np.full_like(truth, 255), NERVE, SIZE_UM)


def test_without_a_pixel_size_there_are_no_micrometres(truth):
    scores = score_image(truth, truth, NERVE, None)
    assert not [name for name in scores if "_um" in name]
    assert scores["surface_dice/axon"] == 1


def test_objects_of_several_classes_count_together_and_never_match_across(truth):
    truth = np.zeros((20, 40), np.uint8)
    truth[2:8, 2:8], truth[2:8, 12:18], truth[2:8, 22:28] = 3, 3, 5
    predicted = truth.copy()
    predicted[2:8, 12:18] = 5
    scores = score_image(predicted, truth, CELLS, SIZE_UM)
    assert scores["instance_f1/cell"] == pytest.approx(2 / 3)
    assert scores["instance_f1/grain"] == pytest.approx(2 / 3)
    assert scores["instance_f1"] == pytest.approx(4 / 6)
    assert scores["instance_sq"] == 1
    assert not [name for name in scores if name.startswith(("g_ratio", "fibres", "aggregate"))]


def test_calibration_is_scored_from_probabilities_or_from_the_confidence_alone(truth):
    values = np.array([0, 1, 2])
    probabilities = np.where(values[:, None, None] == truth, 0.8, 0.1).astype(np.float32)
    expected = pytest.approx(0.2, abs=1e-5)
    assert score_image(truth, truth, NERVE, SIZE_UM, probabilities)["calibration_error"] == expected
    assert score_image(truth, truth, NERVE, SIZE_UM, probabilities.max(axis=0))["calibration_error"] == expected


@settings(deadline=None, max_examples=60)
@given(
    predicted=arrays(np.uint8, (12, 12), elements=st.sampled_from([0, 1, 2, 255])),
    truth=arrays(np.uint8, (12, 12), elements=st.sampled_from([0, 1, 2, 255])),
)
def test_no_masks_give_a_score_that_is_not_finite(predicted, truth):
    truth[0, 0] = 0
    scores = score_image(predicted, truth, NERVE, SIZE_UM)
    assert all(type(score) is float and math.isfinite(score) for score in scores.values())
    shares = [scores[name] for name in scores if name.startswith(("dice", "iou", "surface", "boundary", "instance"))]
    assert 0 <= min(shares) <= max(shares) <= 1


def test_subjects_weigh_the_same_however_many_images_they_have():
    rows = [
        {"image": "a", "subject": "rat1", "dice": 0.6, "seed": 3},
        {"image": "b", "subject": "rat1", "dice": 0.8, "seed": 3},
        {"image": "c", "subject": "rat2", "dice": 0.1, "seed": 3},
    ]
    summary = summarise(rows)
    assert summary.groups == {"rat1": {"dice": pytest.approx(0.7)}, "rat2": {"dice": pytest.approx(0.1)}}
    assert summary.mean == {"dice": pytest.approx(0.4)}
    assert summary.missing == {}
    assert summarise(rows, by="image").mean == {"dice": pytest.approx(0.5)}


def test_scores_that_some_images_lack_are_counted():
    rows = [
        {"subject": "rat1", "dice": 0.5, "g_ratio_bias": 0.1},
        {"subject": "rat1", "dice": 0.7},
        {"subject": "rat2", "dice": 0.9},
    ]
    summary = summarise(rows)
    assert summary.mean["g_ratio_bias"] == 0.1
    assert "g_ratio_bias" not in summary.groups["rat2"]
    assert summary.missing == {"g_ratio_bias": 2}


def test_a_row_without_a_subject_is_named():
    with pytest.raises(InputError, match=r"row 2 .*'subject'"):
        summarise([{"subject": "a", "dice": 1.0}, {"dice": 1.0}])
