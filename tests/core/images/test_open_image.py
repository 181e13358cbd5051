"""Files become grey planes of 8 or 16 bit, or say what is wrong with them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from histobridge.core.images.open import open_image
from histobridge.core.images.problem import FileError

ALL = (slice(None), slice(None))
WIDE = np.arange(2000, dtype=np.uint16).reshape(40, 50) * 30


def read(path, section=0):
    """Return one section as the project would store it."""
    return np.asarray(open_image(path).checked(section)[ALL])


def test_png_keeps_its_pixels(png, ramp):
    np.testing.assert_array_equal(read(png("a.png", ramp)), ramp)


def test_png_of_16_bit_keeps_its_pixels(png):
    np.testing.assert_array_equal(read(png("a.png", WIDE)), WIDE)


def test_alpha_is_dropped(png, ramp):
    transparent = np.zeros_like(ramp)
    np.testing.assert_array_equal(read(png("grey.png", np.dstack([ramp, transparent]))), ramp)
    np.testing.assert_array_equal(read(png("rgba.png", np.dstack([ramp, ramp, ramp, transparent]))), ramp)


def test_grey_in_rgb_stays_exactly_as_it_is(png, ramp):
    np.testing.assert_array_equal(read(png("a.png", np.dstack([ramp] * 3))), ramp)


def test_colours_become_luminance(png):
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[0, 0], colours[1, 1], colours[2, 2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    assert read(png("a.png", colours))[range(4), range(4)].tolist() == [76, 150, 29, 0]


def test_a_palette_shows_its_colours(tmp_path, ramp):
    picture = Image.fromarray(ramp % 4).convert("P")
    picture.putpalette([0, 0, 0, 10, 10, 10, 255, 255, 255, 80, 80, 80])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), np.array([0, 10, 255, 80], np.uint8)[ramp % 4])


def test_bilevel_becomes_black_and_white(png, ramp):
    np.testing.assert_array_equal(read(png("a.png", ramp > 99)), np.where(ramp > 99, 255, 0))


def test_the_resolution_of_a_png_is_not_trusted(tmp_path, ramp):
    Image.fromarray(ramp).save(tmp_path / "a.png", dpi=(25400, 25400))
    assert open_image(tmp_path / "a.png").pixel_size_um is None


def test_colours_of_16_bit_in_png_are_refused_rather_than_cut_to_8(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    whole = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + whole)
    problem(tmp_path / "a.png", "16 bit and several channels", "16 bit grey")


def problem(path, found, remedy):
    """Expect a file to be refused, with what was found and what to do."""
    with pytest.raises(FileError) as error:
        read(path)
    assert found in error.value.problem
    assert remedy in error.value.remedy
    assert error.value.file == str(path)


def test_a_missing_file_says_so(tmp_path):
    problem(tmp_path / "a.png", "is not there", "check the name")


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "a.tif").touch()
    problem(tmp_path / "a.tif", "0 bytes", "copy it again")


def test_an_unknown_kind_names_what_is_read(tmp_path):
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    problem(tmp_path / "a.czi", "kind that is not read", "OME-TIFF")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_a_file_that_is_something_else_is_damaged(tmp_path, name):
    (tmp_path / name).write_bytes(b"this is a letter, not an image" * 20)
    problem(tmp_path / name, "cannot be read", "copy it again")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_off_picture_is_refused(tmp_path, name, share):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    problem(tmp_path / name, "cannot be read", "copy it again")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_off_tiff_is_refused(tmp_path, options, share):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: int(len(whole) * share)])
    problem(tmp_path / "a.tif", "", "copy it again")


def test_a_constant_image_is_refused(png):
    problem(png("a.png", np.full((9, 9), 7, np.uint8)), "every pixel is 7", "leave it out")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(tmp_path, ramp, bad):
    pixels = ramp.astype(np.float32)
    pixels[3, 3] = bad
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    problem(tmp_path / "a.tif", "NaN", "8 or 16 bit")


def test_fractions_are_refused(tmp_path, ramp):
    tifffile.imwrite(tmp_path / "a.tif", ramp.astype(np.float32) / 300)
    problem(tmp_path / "a.tif", "float32", "8 or 16 bit")


@pytest.mark.parametrize(("pixels", "dtype"), [(np.arange(2000), np.uint16), (np.arange(2000) % 256, np.uint8)])
def test_whole_numbers_stored_as_float_are_taken(tmp_path, pixels, dtype):
    pixels = pixels.reshape(40, 50)
    tifffile.imwrite(tmp_path / "a.tif", pixels.astype(np.float32))
    taken = read(tmp_path / "a.tif")
    assert taken.dtype == dtype
    np.testing.assert_array_equal(taken, pixels)


def test_signed_16_bit_is_taken_unless_negative(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", (WIDE // 2).astype(np.int16))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), (WIDE // 2).astype(np.int16))
    tifffile.imwrite(tmp_path / "b.tif", (WIDE // 2).astype(np.int16) - 5)
    problem(tmp_path / "b.tif", "from -5", "8 or 16 bit")


@pytest.mark.parametrize("code", [401, 403, 500])
def test_a_server_that_refuses_is_a_problem_of_that_address(code):
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(code)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(FileError, match=f"cannot be reached.*{code}.*check the address"):
            open_image(Path(f"http://127.0.0.1:{server.server_port}/a.ome.zarr"))
        server.shutdown()
