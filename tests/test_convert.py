"""Arrays to tensors and back: exact on the whole 8-bit grid, and refused where it can't be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganzoo.data.convert import to_batch, to_tensor, to_uint8
from ganzoo.data.formats import format_of
from ganzoo.data.write_image import save_image
from ganzoo.errors import DataError, DivergedError, EnvironmentFault
from ganzoo.interfaces import Field

to_tensors = format_of(Field((3, 1, 1), "ganzoo/image")).to_tensors
IMAGE = Field((1, 16, 16), "ganzoo/image")
LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)


def test_eight_bit_grid_is_exact_both_ways():
    tensor = to_tensor(LEVELS, IMAGE)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (1, 16, 16)
    expected = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)
    assert np.array_equal(tensor.numpy().ravel(), expected)
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert np.array_equal(to_uint8(tensor), LEVELS)
    # Control: half a level of error is repaired, more than half isn't.
    assert np.array_equal(to_uint8(tensor + 0.49 / 127.5), LEVELS)
    assert not np.array_equal(to_uint8(tensor + 0.51 / 127.5), LEVELS)


def test_a_batch_names_the_sample_that_is_refused():
    field = Field((), "ganzoo/class", classes=3)
    kind, indices, name = format_of(field), (5, 6, 7), "sample {}".format
    for given in (np.array([0, 2, 1]), [np.array(0), np.array(2), np.array(1)]):
        assert to_batch(given, field, kind, indices, name).tolist() == [0, 2, 1]
    for given in (np.array([0, 3, 1]), [np.array(0), np.array(3), np.array(1)]):
        with pytest.raises(DataError, match="but one is 3") as caught:
            to_batch(given, field, kind, indices, name)
        assert caught.value.where == "sample 6"


def test_axes():
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 1] = (10, 20, 30)
    tensor = to_tensor(image, IMAGE)
    assert tensor.is_contiguous()
    assert torch.equal(tensor[:, 0, 1], torch.tensor([10.0, 20, 30]) / 127.5 - 1)
    batch = torch.stack([tensor, tensor])
    assert np.array_equal(to_uint8(batch)[1], image)


def test_sixteen_bits_use_their_depth():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    tensor = to_tensor(levels, IMAGE)
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert tensor.unique().numel() == 65536
    # 257 * v is v's sixteen-bit twin: both must be seen alike.
    twins = to_tensor(np.arange(256, dtype=np.uint16).reshape(16, 16, 1) * 257, IMAGE)
    assert np.array_equal(to_uint8(twins), LEVELS)


def test_floats_labels_points_and_classes_pass():
    image = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    assert np.array_equal(to_tensor(image, IMAGE).numpy(), image.transpose(2, 0, 1))
    labels = to_tensor(np.array([[1, 2]], np.uint8), Field((1, 2), "ganzoo/labels"))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [[1, 2]]
    points = to_tensor(np.array([0.5, 2.0]), Field((2,), "ganzoo/points"))
    assert points.dtype == torch.float32
    assert to_tensor(np.array(3), Field((), "ganzoo/class")).shape == ()


def test_the_tensor_is_a_copy():
    array = np.zeros((2, 2, 1), np.float32)
    tensor = to_tensor(array, IMAGE)
    array += 1
    assert tensor.sum() == 0


@pytest.mark.parametrize(
    ("array", "field"),
    [
        (np.zeros((4, 4), np.uint8), IMAGE),
        (np.zeros((4, 4, 3), np.int64), IMAGE),
        (np.zeros((4, 4), np.float32), Field((4, 4), "ganzoo/labels")),
        (np.zeros((4, 4, 1), np.int64), Field((4, 4), "ganzoo/labels")),
        (np.zeros(2, np.int64), Field((), "ganzoo/class")),
    ],
)
def test_arrays_of_another_kind_are_refused(array, field):
    with pytest.raises(DataError):
        to_tensor(array, field)


def test_values_out_of_range_are_clipped_and_nan_refused():
    assert to_uint8(torch.tensor([[[-3.0, 3.0]]])).ravel().tolist() == [0, 255]
    for value in (float("nan"), float("inf")):
        with pytest.raises(DivergedError):
            to_uint8(torch.full((1, 2, 2), value))


def test_half_precision():
    tensor = to_tensor(LEVELS, IMAGE).to(torch.float16)
    assert np.array_equal(to_uint8(tensor), LEVELS)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_saved_pictures_are_lossless(tmp_path, channels):
    array = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    save_image(array, tmp_path / "new" / "a.png")
    read = np.asarray(Image.open(tmp_path / "new" / "a.png")).reshape(array.shape)
    assert np.array_equal(read, array)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_image(LEVELS, path)
    before = path.read_bytes()

    def fail(self, file, **_):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(EnvironmentFault, match="No space left"):
        save_image(255 - LEVELS, path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.png"]


def test_what_is_no_picture_is_refused(tmp_path):
    for array in (
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint16),
    ):
        with pytest.raises(DataError):
            save_image(array, tmp_path / "a.png")
    with pytest.raises(DataError, match="PNG"):
        save_image(LEVELS, tmp_path / "a.jpg")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(1, 1), (31, 33), (32, 32), (40, 65), (0, 40)])
def test_planes_taken_apart_by_opencv_are_those_of_numpy(channels, size):
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 2 * channels), np.uint8)
    for images in (pixels[..., :channels], pixels[:, :, ::-1, ::2], pixels[:, ::-1, :, channels:]):
        plain = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5) - np.float32(1)
        field = Field((channels, *size), "ganzoo/image")
        for made in (to_tensors(images, field), to_tensors(list(images), field)):
            assert made.dtype == torch.float32
            assert made.is_contiguous()
            assert np.array_equal(made.numpy(), plain)
