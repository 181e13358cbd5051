import re

from histobridge.core.translate.cost import cost_in_words
from histobridge.core.translate.presets import PRESETS


def minutes(text):
    unit = {"s": 1 / 60, "min": 1, "h": 60, "d": 1440}
    return [float(number) * unit[name] for number, name in re.findall(r"(\d+) (s|min|h|d) on", text)]


def test_cost_is_marked_as_an_estimate_and_names_both_machines():
    text = cost_in_words(PRESETS["cyclegan"]["cpu"])
    assert "(estimates)" in text
    assert re.search(r"on a GPU, .* on two CPU cores; [\d.]+ GB", text)


def test_small_presets_take_minutes_on_two_cores_and_published_ones_days():
    for method, presets in PRESETS.items():
        assert minutes(cost_in_words(presets["cpu"]))[1] < 60, method
        assert minutes(cost_in_words(presets["faithful"]))[1] > 30 * 1440, method
        assert minutes(cost_in_words(presets["fast"]))[0] < minutes(cost_in_words(presets["faithful"]))[0], method


def test_no_training_is_said_to_take_no_time():
    assert "under 10 s on a GPU" in cost_in_words(PRESETS["cut"]["cpu"])


def test_cost_grows_with_the_steps():
    config = PRESETS["cut"]["fast"]
    twice = config.model_copy(update={"steps": 2 * config.steps})
    assert minutes(cost_in_words(twice))[1] > 1.5 * minutes(cost_in_words(config))[1]
