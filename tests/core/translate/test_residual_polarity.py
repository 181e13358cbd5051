import pytest

from histobridge.core.matching import Matching
from histobridge.core.translate.ladder import changes_told
from histobridge.core.translate.polarity import with_fitting_identity
from histobridge.core.translator_config import TrainTranslatorConfig

LOOK = tuple(-1 + 2 * place / 256 for place in range(257))


def matched(**values):
    return Matching.model_validate(
        {
            "run": "m",
            "segmenter": "s",
            "source_working_um": 0.1,
            "target_working_um": 0.1,
            "object_diameter_px": 36,
            "scale_from": "estimate",
            "invert": True,
            "polarity_from": "estimate",
            "polarity_score": {"keep": 0.2, "invert": 0.7},
            "score": "enclosure",
            "polarity_by_image": {"one": True, "two": True},
            "certainty": 0.95,
            "certain": True,
            "source_look": LOOK,
            "target_look": LOOK,
            "images": ("one", "two"),
        }
        | values
    )


@pytest.mark.parametrize(
    ("values", "on"),
    [
        pytest.param({}, True, id="matched with certainty"),
        pytest.param({"certainty": 0.6, "certain": False}, False, id="not certain"),
        pytest.param({"polarity_from": "user"}, True, id="the user agrees with the images"),
        pytest.param({"polarity_from": "user", "invert": False}, False, id="the user keeps what all images invert"),
        pytest.param(
            {"polarity_from": "user", "polarity_by_image": {"one": False, "two": True}},
            True,
            id="the user decides a tie",
        ),
        pytest.param({"polarity_from": "user", "polarity_by_image": {}}, True, id="nobody looked but the user"),
    ],
)
def test_identity_losses_are_on_only_where_the_polarity_is_settled(values, on):
    cyclegan, syndiff, cut = (
        with_fitting_identity(TrainTranslatorConfig(method=method), matched(**values))
        for method in ("cyclegan", "syndiff", "cut")
    )
    assert (cyclegan.identity_weight > 0, syndiff.identity_weight > 0, cut.contrast.identity) == (on, on, on)


@pytest.mark.parametrize(
    ("method", "field"), [("cyclegan", "identity_weight"), ("syndiff", "identity_weight"), ("cut", "contrast.identity")]
)
def test_that_one_was_switched_off_is_told_with_the_result(method, field):
    asked = TrainTranslatorConfig(method=method)
    assert list(changes_told(asked, with_fitting_identity(asked, matched(certainty=0.6, certain=False)))) == [field]
