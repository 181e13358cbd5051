import json

import numpy as np
import pytest
from torch import nn

from histobridge.core.errors import ProjectError
from histobridge.core.translate.base import look_of, translate_window
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.quality.tiling import in_tiles, seam_ratio

THERE, BACK = "source_to_target", "target_to_source"


def translated(translator, image, window, direction=THERE):
    return translate_window(translator, lambda part: image[part], image.shape, window, direction, look_of(image))


@pytest.fixture
def saved(trained, tmp_path):
    trained.save(tmp_path)
    return tmp_path


def test_a_short_training_comes_closer_to_the_truth_than_the_instant_map(pair, trained):
    assert pair.error(trained) < 0.9 * pair.error(pair.instant)


@pytest.mark.parametrize("direction", [THERE, BACK])
def test_tiles_join_exactly(pair, trained, direction):
    image = np.concatenate([pair.tested[0], pair.tested[1][:, :70]], axis=1)
    whole = translated(trained, image, (slice(0, 128), slice(0, 198)), direction)
    tiles = np.zeros_like(whole)
    for y in range(0, 128, 37):
        for x in range(0, 198, 50):
            part = slice(y, min(y + 37, 128)), slice(x, min(x + 50, 198))
            tiles[part] = translated(trained, image, part, direction)
    assert np.abs(tiles - whole).max() <= 1e-5


def test_a_tile_read_with_halo_equals_the_whole_inside(pair, trained):
    image, halo = pair.tested[0], trained.halo
    whole = trained.translate(image, THERE, look_of(image))
    tile = trained.translate(image[8:120, 16:124], THERE, look_of(image), (8, 16))
    inside = slice(halo, -halo), slice(halo, -halo)
    difference = tile[inside] - whole[8:120, 16:124][inside]
    assert difference.size > 1000
    assert np.abs(difference).max() <= 1e-5


def test_large_windows_are_translated_in_blocks_without_a_trace(pair, trained, monkeypatch):
    image = pair.tested[0]
    whole = translated(trained, image, (slice(0, 128), slice(0, 128)))
    monkeypatch.setattr("histobridge.core.translate.base.BLOCK_PX", 50)
    assert np.abs(translated(trained, image, (slice(0, 128), slice(0, 128))) - whole).max() <= 1e-5


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (33, 47), (8, 8), (30, 4)])
def test_any_size_keeps_its_size(pair, trained, shape):
    image = pair.tested[0][: shape[0], : shape[1]]
    result = trained.translate(image, THERE, look_of(pair.tested[0]))
    assert result.shape == shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert translated(trained, image, (slice(0, shape[0]), slice(0, shape[1]))).shape == shape


def test_translations_stay_in_range(pair, trained):
    for direction in (THERE, BACK):
        assert np.abs(trained.translate(pair.tested[0], direction, look_of(pair.tested[0]))).max() <= 1


def test_generators_that_change_nothing_make_the_instant_translator(pair, trained):
    bare = CycleGan({THERE: nn.Conv2d(1, 1, 1), BACK: nn.Conv2d(1, 1, 1)}, pair.instant, trained.card)
    for net in bare.generators.values():
        nn.init.ones_(net.weight)
        nn.init.zeros_(net.bias)
    for direction in (THERE, BACK):
        image, look = pair.tested[0], look_of(pair.tested[0])
        expected = pair.instant.translate(image, direction, look)
        np.testing.assert_allclose(bare.translate(image, direction, look), expected, atol=1e-6)


def test_a_saved_translator_translates_as_before(pair, trained, saved):
    loaded = CycleGan.load(saved, "cpu")
    assert (loaded.halo, loaded.alignment, loaded.name) == (32, 4, "cyclegan")
    for direction in (THERE, BACK):
        look = look_of(pair.tested[0])
        assert np.array_equal(
            loaded.translate(pair.tested[0], direction, look), trained.translate(pair.tested[0], direction, look)
        )


def test_the_card_says_how_it_was_made(saved, small):
    card = json.loads((saved / "translator.json").read_text())
    assert card["schema_version"] == 1
    assert card["method"] == "cyclegan"
    assert card["config"]["blocks"] == small.blocks
    assert card["invert"] is True
    assert len(card["source_look"]) == len(card["target_look"]) == 257
    assert set(card["versions"]) == {"python", "torch", "numpy"}


def test_damaged_weights_are_refused_by_name(saved):
    file = saved / "translator.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ProjectError, match=r"translator\.safetensors.*SHA-256"):
        CycleGan.load(saved)


def test_missing_weights_are_named(saved):
    (saved / "translator.safetensors").unlink()
    with pytest.raises(ProjectError, match=r"translator\.safetensors"):
        CycleGan.load(saved)


def test_a_missing_card_means_unfinished(tmp_path):
    with pytest.raises(ProjectError, match=r"translator\.json.*not finished"):
        CycleGan.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 9}, "newer HistoBridge"),
        ({"halo": "wide"}, "damaged at halo"),
        ({"surprise": 1}, "damaged at surprise"),
    ],
)
def test_cards_that_cannot_be_read_say_why(saved, change, message):
    file = saved / "translator.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ProjectError, match=message):
        CycleGan.load(saved)


def test_weights_of_another_network_are_refused(saved):
    file = saved / "translator.json"
    card = json.loads(file.read_text())
    card["config"]["channels"] = 4
    file.write_text(json.dumps(card))
    with pytest.raises(ProjectError, match=r"translator\.safetensors does not fit"):
        CycleGan.load(saved)


@pytest.mark.parametrize("direction", [THERE, BACK])
def test_tiles_have_no_more_seams_than_the_whole(pair, trained, direction):
    images = pair.source if direction == THERE else pair.target
    found = [in_tiles(trained, image, direction, look_of(image), tile_px=32) for image in images]
    for image, tiled in zip(images, found, strict=True):
        everything = tuple(slice(0, size) for size in image.shape)
        whole = translate_window(trained, image.__getitem__, image.shape, everything, direction, look_of(image))
        assert seam_ratio(tiled.one, 32) == pytest.approx(seam_ratio(whole, 32), rel=1e-4)
        assert tiled.joined.mismatch < 1e-4
