import pytest

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.errors import InputError
from histobridge.core.jobs import parse_config
from histobridge.core.translate.presets import PRESETS


@pytest.mark.parametrize("method", list(PRESETS))
@pytest.mark.parametrize("preset", ["faithful", "fast", "cpu"])
def test_a_preset_fills_in_what_nobody_has_set(method, preset):
    config = parse_config("train-translator", {"method": method, "preset": preset, "seed": 7})
    expected = PRESETS[method][preset].model_copy(update={"preset": preset, "seed": 7})
    assert config == expected


def test_what_is_set_wins_over_the_preset_inside_groups_too():
    values = {"method": "fastcut", "preset": "faithful", "steps": 5, "contrast": {"patches": 9}}
    config = parse_config("train-translator", values)
    assert (config.steps, config.crop_px) == (5, 256)
    assert (config.contrast.patches, config.contrast.weight) == (9, 10)


def test_a_config_from_a_preset_is_read_back_as_it_was_saved():
    config = parse_config("train-translator", {"method": "cut", "preset": "fast", "batch_size": 2})
    assert TrainTranslatorConfig.model_validate(config.model_dump(mode="json")) == config


def test_unknown_presets_are_refused_by_name():
    with pytest.raises(InputError, match="preset"):
        parse_config("train-translator", {"preset": "best"})


def test_the_configuration_of_the_authors_of_syndiff_can_be_chosen():
    config = parse_config("train-translator", {"method": "syndiff", "preset": "faithful-256"})
    assert (config.crop_px, config.syndiff.attention_levels) == (256, (4,))
    with pytest.raises(InputError, match=r"of another method.*faithful, fast, cpu"):
        parse_config("train-translator", {"method": "cut", "preset": "faithful-256"})


def test_a_wrong_method_is_told_as_such_even_with_a_preset():
    with pytest.raises(InputError, match=r"method.*'cyclegan', 'cut'"):
        parse_config("train-translator", {"method": "cyclgan", "preset": "fast"})


@pytest.mark.parametrize("method", ["cyclegan", "cut", "syndiff"])
def test_crops_of_one_place_for_a_published_discriminator_are_refused(method):
    with pytest.raises(InputError, match=r"crop_px: 16 found, at least 32 expected by discriminators as published"):
        parse_config("train-translator", {"method": method, "published": True, "crop_px": 16})
