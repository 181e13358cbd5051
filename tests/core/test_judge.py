import numpy as np
import pytest

from histobridge.core.errors import InputError, ProjectError
from histobridge.core.images.pyramid import Pyramid
from histobridge.core.images.working import WorkingImage
from histobridge.core.judge import Judge, decide, eventful, labelled_window, spread
from histobridge.core.manifest import ClassSpec, ImageRecord
from histobridge.core.segment.model import Segmenter


def lead(**images):
    """Scores of images by how far inverting leads."""
    return {name: {"keep": 0.5, "invert": 0.5 + by} for name, by in images.items()}


def test_the_mean_lead_decides():
    assert decide(lead(a=0.2, b=0.3, c=-0.1))[0]
    assert not decide(lead(a=-0.2, b=-0.3, c=0.1))[0]


def test_certainty_says_how_clearly_the_images_agree():
    agreeing = decide(lead(a=0.3, b=0.4))[1]
    torn = decide(lead(a=0.3, b=-0.2))[1]
    assert 0.99 < agreeing <= 1
    assert torn < 0.6
    assert decide(lead(a=-0.3, b=-0.4))[1] == pytest.approx(agreeing)
    assert decide(lead(a=0.0))[1] == 0.5


def test_weak_evidence_inverts_only_with_the_certainty_needed():
    faint, clear = lead(a=0.02, b=-0.01), lead(a=0.3, b=0.2)
    assert decide(faint)[0]
    invert, certainty = decide(faint, needed=0.8)
    assert not invert
    assert certainty == pytest.approx(1 - decide(faint)[1])
    assert decide(clear, needed=0.8) == decide(clear)


@pytest.mark.parametrize("leads", [(-1, 1, 1), (1, 1, 1), (-1, -1, -1), (0, 0, 0), (1e-9, -1, 0.5)])
def test_certainty_lies_between_zero_and_one(leads):
    assert 0 <= decide(lead(**dict(zip("abc", leads, strict=True))))[1] <= 1


def record(name, subject):
    return ImageRecord(id=name, domain="target", subject=subject, shape=(9, 9), dtype="uint8")


def test_images_are_chosen_from_all_subjects_in_turn():
    records = [record(f"i{number}", subject) for number, subject in enumerate("aaabbc")]
    assert [chosen.id for chosen in spread(records, 4)] == ["i0", "i3", "i5", "i1"]
    assert len(spread(records, 99)) == 6


def test_an_empty_middle_is_not_looked_at():
    random = np.random.default_rng(0)
    pixels = np.full((400, 400), 120, np.uint8)
    pixels[240:, 240:] = random.integers(60, 200, (160, 160), dtype=np.uint8)
    image = WorkingImage(Pyramid([pixels], [1.0]), 1.0)
    window = eventful(image, 100)
    assert window[0].start >= 240
    assert window[1].start >= 240
    everywhere = WorkingImage(Pyramid([random.integers(0, 255, (400, 400), dtype=np.uint8)], [1.0]), 1.0)
    assert eventful(everywhere, 100) == everywhere.centre(100)
    assert eventful(everywhere, 500) == everywhere.centre(500)


def test_where_labels_are_is_looked_at():
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
    image = WorkingImage(Pyramid([pixels], [1.0]), 1.0)
    known = np.ones((300, 400), bool)
    assert labelled_window(image, known, 100) == image.centre(100)
    known[:] = False
    known[180:, 330:370] = True
    rows, columns = labelled_window(image, known, 100)
    assert known[rows, columns].sum() == 100 * 40
    assert (rows.stop - rows.start, columns.stop - columns.start) == (100, 100)
    assert labelled_window(image, known, 500) == (slice(0, 300), slice(0, 400))


@pytest.fixture(scope="module")
def segmenter(sample_loop):
    return Segmenter.load(sample_loop.project.run(sample_loop.learned).path, "cpu")


def judge_of(project, segmenter, score="auto"):
    return Judge(project, segmenter, project.images("target"), score)


def test_enclosure_where_there_is_a_nested_pair_else_entropy(loop, segmenter):
    assert judge_of(loop.project, segmenter).score == "enclosure"
    assert judge_of(loop.project, segmenter, "entropy").score == "entropy"
    with loop.project.editing():
        loop.project.set_classes([spec.model_copy(update={"inside": ""}) for spec in loop.project.classes])
    assert judge_of(loop.project, segmenter).score == "entropy"
    with pytest.raises(InputError, match="use `entropy`"):
        judge_of(loop.project, segmenter, "enclosure")


def test_a_pair_of_which_the_source_knows_one_is_no_pair(loop, segmenter):
    inner = ClassSpec(name="nucleolus", value=7, color="#111111", inside="axon", domains=("target",))
    axon, myelin = (spec.model_copy(update={"inside": ""}) for spec in loop.project.classes)
    with loop.project.editing():
        loop.project.set_classes([inner, axon, myelin])
    judge = judge_of(loop.project, segmenter)
    assert judge.score == "entropy"
    assert np.isfinite(judge.diameter(0.07, "invert"))


def test_a_class_may_be_renamed_after_learning(loop, segmenter):
    axon, myelin = loop.project.classes
    before = judge_of(loop.project, segmenter).scores(0.07)
    with loop.project.editing():
        loop.project.set_classes(
            [axon.model_copy(update={"name": "Axon", "inside": "sheath"}), myelin.model_copy(update={"name": "sheath"})]
        )
    assert judge_of(loop.project, segmenter).scores(0.07) == before


def test_scores_lie_between_zero_and_one(sample_loop, segmenter):
    for score in ("enclosure", "entropy"):
        for pair in judge_of(sample_loop.project, segmenter, score).scores(0.07).values():
            assert all(0 <= value <= 1 for value in pair.values())


def test_without_target_images_there_is_nothing_to_judge(sample_loop, segmenter):
    with pytest.raises(ProjectError, match="no target images yet; add some"):
        Judge(sample_loop.project, segmenter, [], "auto")


def test_scales_with_room_for_few_objects_are_not_tried(learned_elsewhere, segmenter):
    grey = np.random.default_rng(0).integers(0, 255, (300, 320), dtype=np.uint8)
    assert judge_of(learned_elsewhere({"a": grey, "b": grey}), segmenter).sweep() == [0.2, 0.1, 0.05]
    assert judge_of(learned_elsewhere({"a": grey[:40, :40]}, name="tiny"), segmenter).sweep() == [0.1]


def test_one_small_image_does_not_decide_for_the_others(learned_elsewhere, segmenter):
    grey = np.random.default_rng(0).integers(0, 255, (300, 320), dtype=np.uint8)
    project = learned_elsewhere({"a": grey, "b": grey, "small": grey[:50, :50]})
    judge = judge_of(project, segmenter)
    assert judge.sweep() == [0.2, 0.1, 0.05]
    assert set(judge.images(0.2)) == {"a", "b"}


def test_images_whose_zoom_is_set_have_no_say_in_the_scale(loop, segmenter):
    one, *others = loop.targets
    alone = Judge(loop.project, segmenter, [loop.project.image(name) for name in others], "auto")
    with loop.project.editing():
        loop.project.update_image(one, zoom_override=0.4, pixel_size_um=None)
    judge = judge_of(loop.project, segmenter)
    assert judge.sweep() == alone.sweep()
    for working_um in (0.05, 0.1):
        assert judge.diameter(working_um, "invert") == alone.diameter(working_um, "invert")
        assert judge.fit(working_um, "invert") == alone.fit(working_um, "invert")
