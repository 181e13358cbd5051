import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from histobridge.core.errors import InputError
from histobridge.core.translate.base import look_of
from histobridge.core.translate.instant import Identity
from histobridge.core.translate.quality.boundary import boundary_displacement
from histobridge.core.translate.quality.consistency import consistency
from histobridge.core.translate.quality.cycle import cycle_score, disturbed
from histobridge.core.translate.quality.features import filter_features, standardised, windows
from histobridge.core.translate.quality.frechet import frechet_distance
from histobridge.core.translate.quality.grey import grey_distance
from histobridge.core.translate.quality.hallucination import hallucinated_share, hallucination_map
from histobridge.core.translate.quality.kernel_distance import kernel_distance
from histobridge.core.translate.quality.objects import objects_kept
from histobridge.core.translate.quality.spectrum import spectrum, spectrum_distance
from histobridge.core.translate.quality.tiling import in_tiles, seam_ratio, worst_seam


def texture(seed, size=128):
    noise = np.random.default_rng(seed).normal(0, 1, (size, size))
    grain = ndimage.gaussian_filter(noise, 1.0)
    return np.clip(0.5 * grain / grain.std(), -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def sets():
    return [texture(seed) for seed in range(3)], [texture(seed) for seed in range(3, 6)]


def discs(radius=12.0, centres=((32, 32), (32, 90), (90, 40), (90, 94)), size=128):
    y, x = np.mgrid[:size, :size]
    inside = np.zeros((size, size), bool)
    for centre in centres:
        inside |= np.hypot(y - centre[0], x - centre[1]) < radius
    return inside


def distance(real, fake, measure=kernel_distance):
    features = filter_features(real), filter_features(fake)
    blurred = filter_features([ndimage.gaussian_filter(image, 2) for image in real])
    return measure(*standardised(np.concatenate([features[0], blurred]), *features))


def test_cycle_scores_are_those_of_scikit_image_on_grey_values_from_0_to_1(sets):
    one, other = sets[0][0], sets[0][0] * 0.9
    unit = [(image.astype(float) + 1) / 2 for image in (one, other)]
    score = cycle_score(one, other)
    assert score.ssim == pytest.approx(structural_similarity(*unit, data_range=1), abs=1e-12)
    assert score.psnr_db == pytest.approx(peak_signal_noise_ratio(*unit, data_range=1), abs=1e-12)
    assert score.l1 == pytest.approx(np.abs(unit[0] - unit[1]).mean(), abs=1e-12)


def test_an_image_that_comes_back_unchanged_has_finite_perfect_scores(sets):
    score = cycle_score(sets[0][0], sets[0][0])
    assert (score.ssim, score.psnr_db, score.l1) == (1.0, 100.0, 0.0)


def test_disturbing_a_fake_removes_what_hides_below_one_level():
    rng = np.random.default_rng(0)
    hidden = rng.normal(0, 1, (64, 64))
    fake = np.where(hidden > 0, 1e-3, -1e-3).astype(np.float32)
    seen = disturbed(fake, np.random.default_rng(1))
    assert abs(np.corrcoef(seen.ravel(), hidden.ravel())[0, 1]) < 0.3
    assert np.abs(seen - fake).max() < 0.06
    levels = (seen + 1) * 127.5
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)


def test_disturbing_hardly_changes_a_visible_image(sets):
    assert cycle_score(sets[0][0], disturbed(sets[0][0], np.random.default_rng(0))).ssim > 0.99


@pytest.mark.parametrize("measure", [kernel_distance, frechet_distance])
def test_distance_between_sets_grows_with_blur(sets, measure):
    distances = [
        distance(sets[0], [ndimage.gaussian_filter(image, sigma) for image in sets[1]], measure)
        for sigma in (0.0, 0.6, 1.2)
    ]
    assert distances[0] < 0.5 * distances[1] < 0.5 * distances[2]


@pytest.mark.parametrize("measure", [kernel_distance, frechet_distance])
def test_distance_between_sets_grows_with_seams(sets, measure):
    distances = []
    for height in (0.0, 0.4, 0.8):
        stripes = height * (np.arange(128) // 32 % 2)[:, None]
        distances.append(distance(sets[0], [(image + stripes).astype(np.float32) for image in sets[1]], measure))
    assert distances[0] < distances[1] < distances[2]


def test_two_samples_of_one_distribution_have_no_kernel_distance():
    rng = np.random.default_rng(0)
    same = [kernel_distance(rng.normal(size=(60, 8)), rng.normal(size=(60, 8))) for _ in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 40**0.5
    assert kernel_distance(rng.normal(size=(60, 8)), rng.normal(1, 1, (60, 8))) > 5 * np.std(same)


def test_kernel_distance_of_large_sets_is_a_mean_over_subsets():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(300, 4)), rng.normal(1, 1, (250, 4))
    assert kernel_distance(real, fake) == kernel_distance(real, fake)
    assert kernel_distance(real, fake) == pytest.approx(kernel_distance(real[:100], fake[:100]), rel=0.3)


def test_frechet_distance_of_normal_samples_is_its_closed_form():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, (4000, 2)), rng.normal((3, 0), (1, 2), (4000, 2))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, other) == pytest.approx(9 + 1, rel=0.05)


@pytest.mark.parametrize("measure", [kernel_distance, frechet_distance])
def test_sets_too_small_to_compare_are_refused(measure):
    with pytest.raises(InputError, match="at least two rows"):
        measure(np.zeros((1, 3)), np.zeros((5, 3)))


def test_windows_overlap_by_half_and_are_half_of_small_images():
    shapes = [[window.shape for window in windows([np.zeros(shape)])] for shape in ((128, 128), (192, 128), (40, 40))]
    assert [len(cut) for cut in shapes] == [9, 15, 9]
    assert [set(cut) for cut in shapes] == [{(64, 64)}, {(64, 64)}, {(20, 20)}]


def test_grey_distance_is_how_far_levels_move(sets):
    assert grey_distance(sets[0], sets[0]) == 0
    assert grey_distance([sets[0][0] * 0.5], [sets[0][0] * 0.5 + 0.25]) == pytest.approx(0.25, abs=1e-6)


def test_spectrum_distance_sees_blur_and_checkerboard(sets):
    blurred = [ndimage.gaussian_filter(image, 1) for image in sets[1]]
    board = 0.2 * (np.arange(128) % 3 == 0)
    same = spectrum_distance(sets[0], sets[1])
    assert same < 0.3
    assert spectrum_distance(sets[0], blurred) > 5 * same
    assert spectrum_distance(sets[0], [image + board for image in sets[1]]) > 1.5 * same


def test_spectrum_of_white_noise_is_flat_and_its_power_the_variance():
    noise = np.random.default_rng(0).normal(0, 0.3, (256, 256)).astype(np.float32)
    np.testing.assert_allclose(spectrum([noise])[3:], np.log(0.09), atol=0.25)


def test_spectra_are_compared_at_frequencies_that_small_images_have_too():
    random = np.random.default_rng(0)
    large, small = ([random.normal(0, 0.3, (size, size)).astype(np.float32) for _ in range(6)] for size in (160, 32))
    assert np.isnan(spectrum(small)).any()
    assert spectrum_distance(large, small) < 0.3


@pytest.mark.parametrize("contrast", [1, -1])
def test_borders_of_an_identical_translation_are_not_displaced(contrast):
    inside = discs()
    image = contrast * (ndimage.gaussian_filter(inside.astype(np.float32), 0.7) - 0.5)
    found = boundary_displacement([image], [inside.astype(np.uint8)])
    assert found.median_px == 0
    assert found.high_px <= 0.5


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_borders_of_a_shifted_mask_are_displaced_by_the_shift(pixels):
    stripes = np.repeat((np.arange(120) // 20 % 2).astype(np.uint8)[None], 60, axis=0)
    image = ndimage.gaussian_filter(stripes.astype(np.float32), 0.7)
    found = boundary_displacement([image], [np.roll(stripes, pixels, axis=1)])
    assert found.median_px == pytest.approx(pixels, abs=0.25)


@pytest.mark.parametrize("pixels", [1, 2])
def test_borders_of_grown_objects_are_displaced_by_the_growth(pixels):
    image = ndimage.gaussian_filter(discs(12).astype(np.float32), 0.7)
    found = boundary_displacement([image], [discs(12 + pixels).astype(np.uint8)])
    assert found.median_px == pytest.approx(pixels, abs=0.5)


def test_the_other_side_of_a_thin_sheath_is_not_taken_for_this_one():
    labels = np.where(discs(10), 1, np.where(discs(13), 2, 0)).astype(np.uint8)
    rng = np.random.default_rng(0)
    image = np.array([0.2, 0.6, -0.8])[labels] + rng.normal(0, 0.1, labels.shape)
    assert boundary_displacement([image.astype(np.float32)], [labels]).median_px <= 0.5


def test_unlabelled_pixels_have_no_borders():
    labels = np.where(discs(), 255, 0).astype(np.uint8)
    assert boundary_displacement([texture(0)], [labels]) is None


def test_objects_kept_counts_and_sizes():
    expected = discs(12)
    assert objects_kept([discs(12)], [expected]).count == 1
    half = objects_kept([discs(9, ((32, 32), (90, 94)))], [expected])
    assert half.count == 0.5
    assert half.size == pytest.approx(0.75, abs=0.05)
    assert objects_kept([np.zeros((128, 128), bool)], [expected]).size == 0
    assert objects_kept([expected], [np.zeros((128, 128), bool)]) is None


def test_objects_are_counted_by_the_same_rule_before_and_after():
    """Where few objects lie inside, those cut by the border count too; losing one in five must not bring them in."""
    expected = np.zeros((160, 160), bool)
    for place in range(5):
        expected[20 + 26 * place : 34 + 26 * place, 60:74] = True
        expected[20 + 26 * place : 34 + 26 * place, :12] = expected[20 + 26 * place : 34 + 26 * place, -12:] = True
    four = expected.copy()
    four[20:34, 60:74] = False
    assert objects_kept([four], [expected]).count == pytest.approx(4 / 5)
    assert objects_kept([expected], [four]).count == pytest.approx(15 / 14)


def test_images_without_labels_agree_with_nothing():
    truth, nowhere = discs().astype(np.uint8), np.full((128, 128), 255, np.uint8)
    empty = np.zeros_like(truth)
    assert consistency([truth, truth], [empty, empty], [truth, nowhere], [1]).after == 0
    assert consistency([truth], [truth], [nowhere], [1]) is None


def test_consistency_is_the_dice_kept():
    truth = discs().astype(np.uint8)
    found = consistency([truth], [np.zeros_like(truth)], [truth], [1])
    assert (found.before, found.after, found.kept) == (1, 0, 0)
    assert consistency([truth], [truth], [truth], [1]).kept == 1


def test_hallucination_map_shows_where_classes_changed():
    before = np.zeros((2, 4, 4), np.float32)
    before[0] = 1
    after = before.copy()
    after[:, 0] = [[0], [1]]
    change = hallucination_map(before, after)
    assert (change[0] == 1).all()
    assert (change[1:] == 0).all()
    assert hallucinated_share(change) == 0.25


def test_seam_ratio_is_one_without_seams_and_large_with_them():
    image = texture(0)
    assert seam_ratio(image, 32) == pytest.approx(1, abs=0.15)
    assert seam_ratio(image + 0.8 * (np.arange(128) // 32 % 2)[:, None], 32) > 1.5
    assert seam_ratio(np.zeros((64, 64), np.float32), 32) == 1


def test_rounding_in_an_even_image_is_no_seam_and_a_step_in_it_is_one():
    even = np.zeros((64, 64), np.float32)
    assert seam_ratio(even + 1e-4 * (np.arange(64) >= 32), 32) < 1.05
    assert seam_ratio(even + 0.2 * (np.arange(64) >= 32), 32) > 5


@pytest.mark.parametrize("axis", ["row", "column"])
def test_the_worst_seam_is_found_where_it_is(axis):
    stepped = texture(0) + np.where(np.arange(128) >= 96, 1.0, 0.0)
    worst = worst_seam(stepped.T if axis == "row" else stepped, 32)
    assert (worst.axis, worst.at) == (axis, 96)
    assert worst.ratio > seam_ratio(stepped, 32) > 1
    assert worst_seam(stepped, 128) is None


class Brightened(Identity):
    """Sets every crop to its own mean, as statistics of tiles do."""

    def translate(self, image, direction, look, origin=(0, 0)):
        return image - image.mean()


def test_tiles_of_a_local_translator_join_and_those_with_statistics_of_their_own_do_not():
    image = (texture(1) * 0.2 + np.linspace(-0.5, 0.5, 128, dtype=np.float32)).astype(np.float32)
    fine = in_tiles(Identity(), image, "source_to_target", look_of(image)).joined
    assert fine.mismatch == 0
    assert fine.seam_ratio == pytest.approx(1, abs=0.2)
    torn = in_tiles(Brightened(), image, "source_to_target", look_of(image)).joined
    assert torn.mismatch > 0.1
    assert torn.seam_ratio > 1.3
