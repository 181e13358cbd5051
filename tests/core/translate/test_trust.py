import pytest
import torch

from histobridge.core.translate.trust import trust_in


def maps(*rows):
    return torch.tensor(rows, dtype=torch.int64)[None]


@pytest.mark.parametrize(
    ("found", "wanted", "dice"),
    [
        (maps([0, 1, 2]), maps([0, 1, 2]), 1),
        (maps([0, 1, 1, 1]), maps([0, 0, 1, 1]), 0.8),
        (maps([0, 0, 1, 1]), maps([0, 1, 0, 0]), 0),
        (maps([1, 1, 2, 2]), maps([1, 1, 1, 0]), 0.8),  # the labels have no 2, so nothing shows how it is found
        (maps([1, 1, 2, 0]), maps([1, 1, 0, 2]), 0.5),  # one class found, the other one missed
        (maps([1, 1, 1, 1]), maps([1, 1, 255, 255]), 1),  # where nothing is known nothing is wrong
    ],
)
def test_trust_rises_with_the_mean_dice_of_what_the_labels_have(found, wanted, dice):
    assert trust_in(found, wanted, 3).item() == pytest.approx(dice**8 / (dice**8 + 0.6**8))


@pytest.mark.parametrize("wanted", [maps([0, 0, 0]), maps([255, 255, 255]), maps([0, 255, 0])])
def test_labels_without_objects_say_nothing_for_the_segmenter(wanted):
    assert trust_in(maps([0, 1, 0]), wanted, 3).item() == trust_in(maps([0, 0, 0]), wanted, 3).item() == 0
