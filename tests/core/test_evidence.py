import numpy as np
import pytest

from histobridge.core.choice import decide
from histobridge.core.config import MatchConfig
from histobridge.core.errors import InputError
from histobridge.core.evidence import _agreement, gather
from histobridge.core.job import finish
from histobridge.core.target_model import TargetModel, View


def model_of(loop, run):
    return TargetModel.load(loop.project, loop.project.run(run).path, "cpu")


@pytest.fixture(scope="module")
def gathered(sample_loop):
    tutored, adapted = (model_of(sample_loop, run) for run in (sample_loop.tutored, sample_loop.adapted))
    untranslated = TargetModel(
        sample_loop.project, adapted.segmenter, View(matching=sample_loop.matched, translator="identity")
    )
    models = {"tutorship": tutored, "adaptation": adapted, "untranslated": untranslated}
    return finish(gather(sample_loop.project, models, reverse_steps=40))


def test_reverse_validation_tells_a_route_that_works_from_one_that_does_not(gathered):
    works = min(gathered.evidence[route].reverse for route in ("tutorship", "adaptation"))
    assert works > gathered.evidence["untranslated"].reverse + 0.2


def test_a_route_that_fails_is_never_chosen_nor_fused_in(gathered):
    for route in ("tutorship", "adaptation"):
        pair = {name: gathered.evidence[name] for name in (route, "untranslated")}
        assert decide(pair, gathered.agreement).chosen == route


def test_source_images_in_the_look_of_the_target_are_segmented_as_labelled(gathered):
    assert gathered.evidence["tutorship"].consistency > 0.6
    assert gathered.evidence["adaptation"].consistency > 0.6


def test_two_routes_that_find_nothing_do_not_agree():
    empty, full = [np.zeros((4, 4), np.uint8)], [np.ones((4, 4), np.uint8)]
    assert _agreement(empty, empty, (1,)) == 0
    assert _agreement(full, full, (1,)) == 1


def test_agreement_is_of_the_two_routes_that_differ_most(sample_loop, gathered):
    adapted = model_of(sample_loop, sample_loop.adapted)
    same = finish(gather(sample_loop.project, {"tutorship": adapted, "adaptation": adapted}, reverse_steps=0))
    assert same.agreement == 1
    assert gathered.agreement < 0.8
    assert decide(same.evidence, same.agreement).chosen == "fused"


def test_reverse_validation_can_be_left_out(sample_loop):
    found = finish(gather(sample_loop.project, {"adaptation": model_of(sample_loop, sample_loop.adapted)}, 0))
    assert found.evidence["adaptation"].reverse is None
    assert found.agreement == 1


def test_evidence_is_the_same_every_time(sample_loop):
    models = {"adaptation": model_of(sample_loop, sample_loop.adapted)}
    first, second = (finish(gather(sample_loop.project, models, 3)) for _ in range(2))
    assert first == second


def test_no_class_inside_another_leaves_sizes_and_reverse_validation(loop):
    with loop.project.editing():
        loop.project.set_classes([spec.model_copy(update={"inside": ""}) for spec in loop.project.classes])
    found = finish(gather(loop.project, {"adaptation": model_of(loop, loop.adapted)}, 3)).evidence["adaptation"]
    assert (found.enclosure, found.g_ratio) == (None, None)
    assert np.isfinite([found.size, found.reverse, found.consistency]).all()


def test_routes_of_different_matchings_are_not_compared(loop):
    other = loop.run("match", MatchConfig(scale_factor=2.0, polarity="invert"))
    adapted = model_of(loop, loop.adapted)
    moved = TargetModel(loop.project, adapted.segmenter, View(matching=other.id, translator="instant"))
    with pytest.raises(InputError, match="must share one matching"):
        finish(gather(loop.project, {"adaptation": adapted, "tutorship": moved}, 0))
    with pytest.raises(InputError, match="found no route"):
        finish(gather(loop.project, {}, 0))
