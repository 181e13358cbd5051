"""Terms of fine-tuning see only what nobody has reviewed."""

import numpy as np
import pytest
import torch

from histobridge.core.config import FineTuneConfig
from histobridge.core.errors import InputError
from histobridge.core.holdout import ReviewedTile
from histobridge.core.segment.unreviewed import unreviewed_pool
from histobridge.core.target_model import TargetModel

CONFIG = FineTuneConfig(crop_px=32)


class Image:
    """Grey values that tell the row."""

    shape = (400, 300)
    zoom = 0.5

    def read(self, window):
        return np.broadcast_to(np.arange(400, dtype=np.float32)[window[0], None], (192, 192))


class Model:
    """One image, seen as it is."""

    class project:  # noqa: N801
        @staticmethod
        def images(domain):
            assert domain == "target"
            return [type("Record", (), {"id": "one"})]

    def working_image(self, image_id):
        return Image()

    def read(self, image, window):
        return image.read(window)


def reviewed(rows):
    return ReviewedTile("one", "r000c000", "animal", (slice(*rows), slice(0, 600)))


def test_tiles_lie_where_nothing_is_reviewed():
    # Rows 0 to 100 at the working scale.
    pool = unreviewed_pool(Model(), [reviewed((0, 200))], CONFIG, 0.5, "")
    assert min(tile.min() for tile in pool.tiles) >= 100


def test_where_all_is_reviewed_it_says_so():
    with pytest.raises(InputError, match="no images without labels"):
        unreviewed_pool(Model(), [reviewed((0, 800))], CONFIG, 0.5, "")


def test_what_was_proposed_for_a_tile_comes_with_it(sample_loop):
    run = sample_loop.project.run(sample_loop.tutored)
    model = TargetModel.load(sample_loop.project, run.path, "cpu")
    pool = unreviewed_pool(model, [], CONFIG, 0.5, run.id)
    assert sorted(pool.said) == list(range(len(pool.tiles)))
    for number, said in pool.said.items():
        assert said.sum(axis=0) == pytest.approx(1, abs=0.01)
        now = model.segmenter.probabilities(torch.from_numpy(pool.tiles[number])[None, None])[0].numpy()
        assert (said.argmax(axis=0) == now.argmax(axis=0)).mean() > 0.8
