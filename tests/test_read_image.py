"""Files of every depth and kind decode to what a person sees, or are refused by name."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ganzoo.data.read_image import MAX_PIXELS, decode_image, image_info, image_size
from ganzoo.errors import DataError

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGBA = np.dstack([RGB, RNG.integers(0, 256, (6, 9, 1), dtype=np.uint8)])
DEEP = RNG.integers(0, 65536, (6, 9, 3), dtype=np.uint16)


def png(width, height, depth, colour, rows, extra=()):
    """A PNG from raw bytes per row, so that Pillow isn't asked about its own encoder."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    before = b"".join(chunk(name, content) for name, content in extra)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def test_eight_bit_colour_is_lossless(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert np.array_equal(decode_image(tmp_path / "a.png"), RGB)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_equals_pillow(tmp_path, mode):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), np.uint8))).convert(mode).save(path, quality=90)
    seen = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(decode_image(path), seen)
    gray = np.asarray(Image.open(path).convert("RGB").convert("L"))
    assert np.array_equal(decode_image(path, "gray")[:, :, 0], gray)


def test_cmyk_is_the_colour_that_was_meant(tmp_path):
    path = tmp_path / "red.tif"
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(path)  # no cyan, all magenta and yellow: red
    assert decode_image(path)[0, 0].tolist() == [255, 0, 0]


def test_sixteen_bit_colour_keeps_its_depth(tmp_path):
    path = tmp_path / "deep.png"
    path.write_bytes(png(9, 6, 16, 2, [row.astype(">u2").tobytes() for row in DEEP]))
    decoded = decode_image(path)
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded, DEEP)
    # The control: what Pillow alone would have given has lost the lower byte.
    assert np.array_equal(np.asarray(Image.open(path)), DEEP >> 8)


def test_sixteen_bit_gray_keeps_its_depth(tmp_path):
    gray = DEEP[:, :, 0]
    path = tmp_path / "deep.png"
    path.write_bytes(png(9, 6, 16, 0, [row.astype(">u2").tobytes() for row in gray]))
    decoded = decode_image(path, "gray")
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded[:, :, 0], gray)
    assert np.array_equal(decode_image(path, "rgb"), np.repeat(gray[:, :, None], 3, 2))
    assert decode_image(path, "any").shape == (6, 9, 1)


@pytest.mark.parametrize("colour", [4, 6])
def test_sixteen_bit_alpha_keeps_its_depth(tmp_path, colour):
    deep = np.dstack([DEEP, DEEP[::-1, :, 0]])
    stored = deep if colour == 6 else deep[:, :, [0, 3]]
    path = tmp_path / "deep.png"
    path.write_bytes(png(9, 6, 16, colour, [row.astype(">u2").tobytes() for row in stored]))
    expected = deep if colour == 6 else deep[:, :, [0, 0, 0, 3]]
    assert np.array_equal(decode_image(path, "rgba"), expected)
    assert image_info(path).bits == 16
    assert image_info(path).channels == 4


def test_sixteen_bit_transparent_colour(tmp_path):
    key = struct.pack(">HHH", *(int(value) for value in DEEP[2, 3]))
    rows = [row.astype(">u2").tobytes() for row in DEEP]
    path = tmp_path / "key.png"
    path.write_bytes(png(9, 6, 16, 2, rows, [(b"tRNS", key)]))
    decoded = decode_image(path)
    assert decoded[2, 3].tolist() == [65535] * 3
    assert np.array_equal(decoded[0], DEEP[0])
    assert decode_image(path, "rgba")[2, 3, 3] == 0


def test_sixteen_bit_tiff(tmp_path):
    cv2.imwrite(str(tmp_path / "colour.tif"), DEEP[:, :, ::-1])
    assert np.array_equal(decode_image(tmp_path / "colour.tif"), DEEP)
    Image.fromarray(DEEP[:, :, 0]).save(tmp_path / "gray.tif")
    assert np.array_equal(decode_image(tmp_path / "gray.tif", "gray")[:, :, 0], DEEP[:, :, 0])
    tags = {262: 0}  # white is zero: what is stored as 0 is seen as white
    Image.fromarray(DEEP[:, :, 0]).save(tmp_path / "negative.tif", tiffinfo=tags)
    stored = Image.open(tmp_path / "negative.tif")
    assert stored.tag_v2[262] == 0
    negative = decode_image(tmp_path / "negative.tif", "gray")[:, :, 0]
    assert np.array_equal(negative, 65535 - np.asarray(stored))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_shallow_gray_is_stretched_to_white(tmp_path, depth):
    largest = 2**depth - 1
    bits = "".join(f"{value:0{depth}b}" for value in [0, largest] * (4 // depth or 1) * 2)
    row = int(bits, 2).to_bytes(len(bits) // 8 or 1, "big")
    width = len(bits) // depth
    path = tmp_path / "shallow.png"
    path.write_bytes(png(width, 1, depth, 0, [row]))
    assert set(decode_image(path, "gray").ravel().tolist()) == {0, 255}
    # A transparent white is counted in the file's depth, and is then seen as the white page.
    path.write_bytes(png(width, 1, depth, 0, [row], [(b"tRNS", struct.pack(">H", largest))]))
    assert decode_image(path, "rgba")[0, :2, 3].tolist() == [255, 0]


def test_palette_gives_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "p.png")
    decoded = decode_image(tmp_path / "p.png")
    assert decoded.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]]
    image.save(tmp_path / "t.png", transparency=1)
    assert decode_image(tmp_path / "t.png")[0, 1].tolist() == [255, 255, 255]
    assert decode_image(tmp_path / "t.png", "any").shape == (2, 2, 4)


def test_transparency_is_laid_over_white_or_kept(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGBA).save(path)
    assert np.array_equal(decode_image(path, "rgba"), RGBA)
    assert np.array_equal(decode_image(path, "any"), RGBA)
    colour, alpha = RGBA[:, :, :3].astype(float), RGBA[:, :, 3:] / 255
    expected = np.floor(colour * alpha + 255 * (1 - alpha) + 0.5)
    assert np.abs(decode_image(path) - expected).max() == 0
    Image.fromarray(RGBA).convert("LA").save(tmp_path / "la.png")
    assert decode_image(tmp_path / "la.png", "any").shape == (6, 9, 4)


def test_channels_that_the_file_lacks(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    assert np.array_equal(decode_image(path, "rgba")[:, :, :3], RGB)
    assert (decode_image(path, "rgba")[:, :, 3] == 255).all()
    assert np.array_equal(
        decode_image(path, "gray")[:, :, 0], np.asarray(Image.fromarray(RGB).convert("L"))
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exif_rotation_equals_pillows(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    assert np.array_equal(decode_image(path), upright)
    assert image_size(path) == upright.shape[:2]
    assert (image_size(path) == (9, 6)) == (orientation >= 5)


def test_png_rotation_written_behind_the_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    data = png(9, 6, 8, 2, [row.tobytes() for row in RGB])
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + content))
    (tmp_path / "late.png").write_bytes(data[:-12] + chunk + data[-12:])
    assert image_size(tmp_path / "late.png") == (9, 6)
    assert np.array_equal(decode_image(tmp_path / "late.png"), np.rot90(RGB, -1))


def test_sixteen_bit_colour_is_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    extra = [(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))]
    rows = [row.astype(">u2").tobytes() for row in DEEP]
    (tmp_path / "deep.png").write_bytes(png(9, 6, 16, 2, rows, extra))
    assert np.array_equal(decode_image(tmp_path / "deep.png"), np.rot90(DEEP))


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
def test_sixteen_bit_tiff_is_turned_too(tmp_path, orientation):
    pixels = DEEP.astype("<u2").tobytes()
    shorts = [(256, 9), (257, 6), (259, 1), (262, 2), (274, orientation), (277, 3), (278, 6)]
    after = 8 + 2 + 12 * 10 + 4  # header, count, ten entries, no further directory
    longs = [(258, 3, 3, after), (273, 4, 1, after + 6), (279, 4, 1, len(pixels))]
    entries = sorted([(tag, 3, 1, value) for tag, value in shorts] + longs)
    directory = struct.pack("<H", 10) + b"".join(struct.pack("<HHII", *one) for one in entries)
    head = b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)
    path = tmp_path / "deep.tif"
    path.write_bytes(head + struct.pack("<HHH", 16, 16, 16) + pixels)
    upright = {
        1: DEEP,
        3: DEEP[::-1, ::-1],
        5: DEEP.swapaxes(0, 1),
        6: np.rot90(DEEP, -1),
        8: np.rot90(DEEP),
    }[orientation]
    assert np.array_equal(decode_image(path), upright)
    assert image_size(path) == upright.shape[:2]


def test_headers_are_enough_for_the_size(tmp_path):
    data = png(9, 6, 8, 2, [row.tobytes() for row in RGB])
    (tmp_path / "cut.png").write_bytes(data[:45])
    assert image_size(tmp_path / "cut.png") == (6, 9)
    with pytest.raises(DataError):
        decode_image(tmp_path / "cut.png")


def refused(path, reason):
    with pytest.raises(DataError, match=reason) as caught:
        decode_image(path)
    assert caught.value.where == str(path)
    return caught.value


def test_refusals_name_file_and_reason(tmp_path):
    def written(name, data=b""):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    refused(tmp_path / "absent.png", "no such file")
    refused(tmp_path, "folder")
    refused(written("empty.png"), "empty")
    refused(written("text.png", b"no picture at all"), "known format")
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    for suffix in ("gif", "png", "webp", "tif"):
        path = tmp_path / f"many.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        refused(path, "2 frames or pages")
    Image.fromarray(RGB[:, :, 0].astype(np.float32)).save(tmp_path / "float.tif")
    refused(tmp_path / "float.tif", "'F'")
    Image.fromarray(RGB[:, :, 0].astype(np.int32)).save(tmp_path / "int.tif")
    refused(tmp_path / "int.tif", "bits per channel")
    Image.new("LAB", (4, 4)).save(tmp_path / "lab.tif")
    refused(tmp_path / "lab.tif", "'LAB'")
    deep = b"P6 # deep\n1 1\n65535\n" + b"\x12\x34" * 3
    refused(written("deep.ppm", deep), "16 bits")
    assert decode_image(written("ok.ppm", b"P6 # fine\n1 1\n255\n\1\2\3")).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format={"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    path = tmp_path / f"whole.{suffix}"
    path.write_bytes(buffer.getvalue())
    decode_image(path)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    refused(cut, "can't read")


def test_truncated_sixteen_bit_png_is_refused(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    data = png(64, 64, 16, 2, [row.astype(">u2").tobytes() for row in deep])
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "cut.png", "can't read")


def test_decompression_bombs_are_refused_by_their_header(tmp_path):
    side = int(MAX_PIXELS**0.5) + 1
    for name, factor in (("large", 1), ("bomb", 8)):
        path = tmp_path / f"{name}.png"
        path.write_bytes(png(side * factor, side, 8, 2, [b"\0"]))
        refused(path, "decompression bomb")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_never_raise_anything_else(tmp_path_factory, data):
    buffer = io.BytesIO()
    kind = data.draw(st.sampled_from(["png", "jpeg", "gif", "tiff", "bmp", "webp"]))
    Image.fromarray(RGB).save(buffer, format=kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"a.{kind}"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        decoded = decode_image(path)
        assert decoded.ndim == 3
        assert decoded.shape[2] == 3


def test_a_file_of_another_ending_is_to_be_converted(tmp_path):
    (tmp_path / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError) as caught:
        decode_image(tmp_path / "phone.HEIC")
    assert "Convert .heic files to PNG first." in caught.value.hint
    (tmp_path / "broken.png").write_bytes(b"\0\0\0")
    with pytest.raises(DataError) as caught:
        decode_image(tmp_path / "broken.png")
    assert "Convert" not in caught.value.hint
