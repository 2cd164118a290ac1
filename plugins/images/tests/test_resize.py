"""`images/resize` is Pillow's resize, for every depth."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from ganzoo.errors import DataError
from ganzoo_images.options import ResizeOptions
from ganzoo_images.resize import Resize

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
FILTERS = ["nearest", "box", "bilinear", "bicubic", "lanczos"]


def resized(array, size, name="source", **options):
    augment = pickle.loads(pickle.dumps(Resize(ResizeOptions(size=size, **options))))
    return augment({name: array}, np.random.default_rng(0))[name]


def pillow(array, width, height, name):
    filtered = Image.fromarray(array).resize((width, height), Image.Resampling[name.upper()])
    return np.asarray(filtered)


@pytest.mark.parametrize("size", [286, 256])
def test_the_papers_jitter_is_pillows_bicubic(size):
    image = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    ours = resized(image, size)
    assert np.array_equal(ours, pillow(image, size, size, "bicubic"))
    # Control: OpenCV's bicubic is another filter.
    import cv2

    if size != 256:
        other = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
        assert not np.array_equal(ours, other)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(FILTERS))
def test_eight_bits_equal_pillow(height, width, name):
    assert np.array_equal(
        resized(RGB, (height, width), filter=name), pillow(RGB, width, height, name)
    )
    gray = resized(RGB[:, :, :1], (height, width), filter=name)
    assert np.array_equal(gray[:, :, 0], pillow(RGB[:, :, 0], width, height, name))


def test_hidden_colours_of_transparent_pixels_do_not_bleed():
    image = np.zeros((4, 4, 4), np.uint8)
    image[:, :2] = (0, 255, 0, 255)
    image[:, 2:] = (255, 0, 0, 0)
    shrunk = resized(image, (2, 1), filter="box")
    assert shrunk[0, 0].tolist() == [0, 255, 0, 128]


@pytest.mark.parametrize("name", FILTERS)
def test_sixteen_bits_keep_their_depth(name):
    deep = np.random.default_rng(2).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    ours = resized(deep, (33, 17), filter=name)
    assert ours.dtype == np.uint16
    # Nothing is lost but the last rounding.
    for channel in range(3):
        exact = pillow(deep[:, :, channel].astype(np.float32), 17, 33, name)
        assert np.abs(ours[:, :, channel] - exact.clip(0, 65535)).max() <= 0.5
    # An 8-bit picture and its 16-bit twin (times 257) agree within the rounding of Pillow's two
    # passes: 0.5 in the second, and 0.5 of the first times the filter's absolute sum, below 2.
    # In middle grays: where a filter overshoots, Pillow clips 8 bits between the passes.
    middle = RGB // 4 + 96
    twin = resized(middle.astype(np.uint16) * 257, (33, 17), filter=name)
    assert np.abs(twin / 257 - resized(middle, (33, 17), filter=name)).max() < 1.5


def test_signed_numbers_are_rounded_too():
    deep = np.random.default_rng(2).integers(0, 3000, (20, 30, 1))
    unsigned, signed = (resized(deep.astype(kind), (33, 17)) for kind in (np.uint16, np.int16))
    assert signed.dtype == np.int16
    inside = unsigned > 0  # where uint16 isn't clipped
    assert np.array_equal(signed[inside], unsigned[inside])
    assert (signed[~inside] <= 0).all()


def test_floats_stay_in_their_own_range():
    image = np.where(np.arange(16).reshape(4, 4, 1) % 3 == 0, -1, 1).astype(np.float32)
    ours = resized(image, 9)
    assert ours.dtype == np.float32
    assert ours.min() >= -1
    assert ours.max() <= 1
    raw = pillow(image[:, :, 0], 9, 9, "bicubic")
    assert raw.max() > 1  # the control: the filter overshoots
    assert np.array_equal(ours[:, :, 0], raw.clip(-1, 1))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60))
def test_label_maps_take_the_nearest_pixel_as_images_do(height, width):
    labels = np.random.default_rng(3).integers(0, 12, (20, 30)).astype(np.uint8)
    ours = resized(labels, (height, width))
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, pillow(labels, width, height, "nearest"))


def test_size_is_height_then_width():
    assert resized(RGB, (10, 40)).shape == (10, 40, 3)
    assert resized(RGB, 12).shape == (12, 12, 3)


def test_a_filter_of_its_own_for_one_image():
    augment = Resize(ResizeOptions(size=7, filters={"source": "nearest"}))
    sample = augment({"source": RGB, "target": RGB, "class": np.array(3)}, None)
    assert np.array_equal(sample["source"], pillow(RGB, 7, 7, "nearest"))
    assert np.array_equal(sample["target"], pillow(RGB, 7, 7, "bicubic"))
    assert sample["class"] == 3


def test_mistakes():
    with pytest.raises(DataError, match="'sauce'"):
        Resize(ResizeOptions(size=7, filters={"sauce": "box"}))({"source": RGB}, None)
    with pytest.raises(DataError, match="'labels'"):
        Resize(ResizeOptions(size=7, filters={"labels": "box"}))({"labels": RGB[:, :, 0]}, None)
    for size in (0, (3, -1), (3, 4, 5)):
        with pytest.raises(ValidationError):
            ResizeOptions(size=size)
