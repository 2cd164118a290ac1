"""Formats: each registered one keeps its contract, values come back, and broken ones are found."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganzoo.data.formats import (
    check_masks,
    checked_formats,
    format_of,
    split_no_data,
    with_masks,
    with_no_data,
)
from ganzoo.data.label_files import read_labels, save_labels
from ganzoo.errors import DataError
from ganzoo.formats.image import ImageFormat
from ganzoo.formats.no_data import CHECKS
from ganzoo.interfaces import Field
from ganzoo.plugin_system import registry
from ganzoo.testing import CheckFailed, NotApplicable, cases

TOY = "signal_toy"
IMAGE = ImageFormat()


def failed(active, name, folder):
    """The checks of formats that a format doesn't pass."""
    found = set()
    for number, case in enumerate(cases(name.partition("/")[0], active)):
        if case.entry and case.entry.id == name and case.check.name.startswith("check_format"):
            (folder / f"{number}").mkdir()
            try:
                case(folder / f"{number}")
            except CheckFailed:
                found.add(case.check.name.removeprefix("check_format_"))
            except NotApplicable:
                pass
    return found


@pytest.mark.parametrize("name", [one.id for one in registry.current().components("format")])
def test_every_registered_format_keeps_the_contract(tmp_path, name):
    assert failed(registry.current(), name, tmp_path) == set()


@pytest.mark.usefixtures("toy_plugin")
@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("signal", set()),
        ("lossy", {"round_trip"}),
        ("unlike", {"tensors", "round_trip"}),
        ("unpicklable", {"tensors"}),
        ("anything", {"examples", "round_trip", "tensors", "refuses", "pictures"}),
        ("forgetful", {"files"}),
        ("blank", {"pictures"}),
    ],
)
def test_a_plugins_format_is_held_to_it_too(tmp_path, name, faults):
    assert failed(registry.current(), f"signal_toy/{name}", tmp_path) == faults


@given(
    st.sampled_from(["uint8", "uint16", "int16"]),
    st.integers(-32768, 65535),
    st.integers(1, 65535),
    st.lists(st.integers(-32768, 65535), min_size=1, max_size=50),
)
@settings(deadline=None)
def test_whole_numbers_come_back_whatever_the_range(dtype, low, width, values):
    limits = np.iinfo(dtype)
    low = int(np.clip(low, limits.min, limits.max - 1))
    field = Field((1, 1, 1), "ganzoo/image", (low, min(low + width, limits.max)), dtype=dtype)
    IMAGE.check(field)
    array = np.array(values).clip(limits.min, limits.max).astype(dtype).reshape(1, -1, 1)
    (tensor,) = IMAGE.to_tensors([array], field)
    assert tensor.dtype == torch.float32
    assert np.array_equal(IMAGE.to_array(tensor, field), array)


@given(
    st.floats(-1e6, 1e6, width=32),
    st.floats(2.0**-10, 1e6, width=32),
    st.lists(st.floats(0, 1), min_size=1, max_size=50),
)
@settings(deadline=None)
def test_floats_come_back_within_the_bound(low, width, shares):
    field = Field((1, 1, 1), "ganzoo/image", (low, low + width), dtype="float32")
    array = (low + width * np.array(shares)).astype(np.float32).reshape(1, -1, 1)
    (tensor,) = IMAGE.to_tensors([array], field)
    back = IMAGE.to_array(tensor, field)
    assert back.dtype == np.float32
    assert np.abs(back.astype(np.float64) - array).max() <= 2.0**-22 * width


def test_the_worst_float_is_near_an_end_of_the_range():
    """The bound is no idle one: float32 in [-1, 1] has steps of 2^-24 there."""
    field = Field((1, 1, 1), "ganzoo/image", (0.0, 1.0), dtype="float32")
    array = (np.arange(1, 4096) * 2.0**-30).astype(np.float32).reshape(1, -1, 1)
    (tensor,) = IMAGE.to_tensors([array], field)
    error = np.abs(IMAGE.to_array(tensor, field).astype(np.float64) - array).max()
    assert 2.0**-27 < error <= 2.0**-26


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        (Field((3, 8), "ganzoo/image"), "shape of an image must be"),
        (Field((3, 8, 8), "ganzoo/image", (1, 1)), "range must be two finite numbers"),
        (Field((3, 8, 8), "ganzoo/image", (0, float("inf"))), "range must be two finite numbers"),
        (Field((3, 8, 8), "ganzoo/image", (0, 256)), "range must lie within that of uint8"),
        (Field((3, 8, 8), "ganzoo/image", (0, 1e39), dtype="float32"), "range must lie within"),
        (Field((3, 8, 8), "ganzoo/image", (-3e38, 3e38), dtype="float32"), "range must lie within"),
        (Field((3, 8, 8), "ganzoo/image", 5), "range must be two finite numbers"),
        (Field((3, 8, 8), "ganzoo/image", ("0", "255")), "range must be two finite numbers"),
        (Field((3, 8, 8), "ganzoo/image", (0, 1, 2)), "range must be two finite numbers"),
        (Field((3, 4, 4), "ganzoo/image", nodata="x", mask="where"), "nodata must be a number"),
        (Field((3, 4, 4), "ganzoo/image", nodata=-5, mask="where"), "nodata .* from 0 to 255"),
        (Field((3, 4, 4), "ganzoo/image", nodata=0.5, mask="where"), "nodata .* whole number"),
        (Field((3, 4, 4), "ganzoo/image", nodata=np.nan, mask="where"), "nodata .* whole number"),
        (
            Field((3, 4, 4), "ganzoo/image", dtype="float32", nodata=1e39, mask="where"),
            "nodata must be a number that float32 holds",
        ),
        (Field((3, 8, 8), "ganzoo/image", dtype="int64"), "dtype must be one of"),
        (Field((3, 8, 8), "ganzoo/image", nodata=0), "nodata needs a mask"),
        (Field((3, 8, 8), "ganzoo/image", mask="a"), "mask must name a field"),
        (Field((3, 8, 8), "ganzoo/image", mask="where"), "doesn't fit"),
        (Field((8, 8), "ganzoo/labels", (0, 3)), "range has no meaning for a label map"),
        (Field((8, 8), "ganzoo/labels", classes=2, palette=((0, 0, 0),)), "1 colours for 2"),
        (Field((8,), "ganzoo/class"), "shape of a class"),
        (Field((), "ganzoo/class", unit="HU"), "unit has no meaning for a class"),
        (Field((8,), "ganzoo/points", dtype="uint8"), "dtype must be one of float32"),
    ],
)
def test_what_a_field_cannot_be_is_said(field, fault):
    where = Field((4, 4), "ganzoo/labels", classes=2)
    fields = {"a": field, "where": where}

    def check():
        check_masks(fields, checked_formats(fields))

    with pytest.raises(ValueError, match=f"^a: .*{fault}"):
        check()


def test_numbers_of_numpy_are_pythons_in_a_field():
    field = Field(
        (np.int64(1), 4, 4),
        "ganzoo/image",
        (np.float32(0), np.float32(100)),
        dtype="int16",
        nodata=np.int16(-5),
        mask="where",
    )
    assert json.loads(json.dumps(asdict(field)))["range"] == [0, 100]
    fields = {"a": field, "where": Field((4, 4), "ganzoo/labels", classes=np.uint8(2))}
    check_masks(fields, checked_formats(fields))


def test_int16_needs_a_field_that_says_so():
    array = np.full((1, 4, 4, 1), 300, np.int16)
    plain = Field((1, 4, 4), "ganzoo/image")
    with pytest.raises(DataError, match="must be uint8, uint16 or float, but this is int16"):
        IMAGE.to_tensors(array, plain)
    for known in (replace(plain, dtype="int16"), replace(plain, range=(0, 600), dtype="int16")):
        assert np.array_equal(IMAGE.to_array(IMAGE.to_tensors(array, known)[0], known), array[0])


@pytest.mark.parametrize(("name", "shape"), [("labels", (1, 2)), ("class", ())])
def test_numbers_without_a_class_are_refused(name, shape):
    field = Field(shape, f"ganzoo/{name}", classes=3)
    make = format_of(field).to_tensors
    shape = (2, *shape)
    assert make(np.full(shape, 2), field).max() == 2
    with pytest.raises(DataError, match="must be at least 0, but one is -1"):
        make(np.full(shape, -1), field)
    with pytest.raises(DataError, match="must be 0 to 2, since there are 3 classes, but one is 9"):
        make(np.full(shape, 9, np.uint8), field)
    assert make(np.full(shape, 9), replace(field, classes=0)).max() == 9


@pytest.mark.parametrize("nodata", [-9999.0, float("nan")])
def test_values_for_no_data_are_seen_by_nobody(nodata):
    field = Field((2, 1, 3), "ganzoo/image", (0, 4), dtype="float32", nodata=nodata, mask="there")
    array = np.array([[[1, 2], [nodata, 3], [4, 0]]], np.float32)
    split = split_no_data({"a": array}, {"a": field})
    assert split["there"].tolist() == [[1, 0, 1]]
    assert split["a"].tolist() == [[[1, 2], [0, 3], [4, 0]]]
    assert np.array_equal(array[0, 1], [nodata, 3], equal_nan=True)  # the sample itself is kept
    (tensor,) = IMAGE.to_tensors([split["a"]], field)
    assert tensor.abs().max() <= 1
    back = with_no_data(IMAGE.to_array(tensor, field), field, split["there"])
    assert np.array_equal(back[0, [0, 2]], array[0, [0, 2]])
    assert np.array_equal(back[0, 1], [nodata, nodata], equal_nan=True)
    # A mask that the data have themselves is joined with it.
    joined = split_no_data({"a": array, "there": np.array([[0, 7, 7]])}, {"a": field})
    assert joined["there"].tolist() == [[0, 0, 1]]


def test_pictures_show_the_range_and_where_there_are_no_data():
    field = Field((1, 1, 3), "ganzoo/image", (-1000, 2000), dtype="int16")
    array = np.array([[[-1000], [500], [2000]]], np.int16)
    assert IMAGE.picture(array, field)[0, :, 0].tolist() == [0, 128, 255]
    masked = IMAGE.picture(array, field, np.array([[1, 0, 1]]))
    assert masked[0, :, 1].tolist() == [0, CHECKS[0], 255]


def test_label_maps_are_read_by_number_and_by_colour(tmp_path):
    palette = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
    labels = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint8)
    path = tmp_path / "a.png"
    save_labels(labels, path, palette, {"made": "here"})
    assert np.array_equal(read_labels(path, palette, 3), labels)
    assert np.array_equal(read_labels(path), labels)  # its own numbers
    from PIL import Image

    with Image.open(path) as image:
        assert image.mode == "P"
        image.convert("RGB").save(tmp_path / "rgb.png")
    assert np.array_equal(read_labels(tmp_path / "rgb.png", palette, 3), labels)
    # Colours in another order than the field's: the colours count, not the numbers.
    assert np.array_equal(read_labels(path, palette[::-1]), 2 - labels)
    with pytest.raises(DataError, match="no palette that says"):
        read_labels(tmp_path / "rgb.png")
    with pytest.raises(DataError, match=r"has the colour \(255, 0, 0\), which no class has"):
        read_labels(path, ((0, 0, 0), (0, 0, 255)))
    with pytest.raises(DataError, match="has the class 2, but there are only 2"):
        read_labels(path, (), 2)
    for name, values in (("gray.png", labels), ("deep.png", labels.astype(np.uint16) * 300)):
        Image.fromarray(values).save(tmp_path / name)
        assert np.array_equal(read_labels(tmp_path / name), values)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grays_of_few_bits_are_class_numbers(tmp_path, bits):
    labels = np.arange(2**bits, dtype=np.uint8).reshape(2, -1)
    unpacked = np.unpackbits(labels[..., None], axis=2)[:, :, -bits:].reshape(2, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(unpacked, axis=1))
    header = struct.pack(">IIBBBBB", labels.shape[1], 2, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, chunk in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(chunk)) + kind + chunk
        data += struct.pack(">I", zlib.crc32(kind + chunk))
    (tmp_path / "gray.png").write_bytes(data)
    assert np.array_equal(read_labels(tmp_path / "gray.png"), labels)


@pytest.mark.usefixtures("toy_plugin")
def test_masks_are_not_only_of_pixels():
    field = Field((2, 3), "signal_toy/signal", nodata=-1, mask="there")
    fields = {"a": field, "there": Field((3,), "ganzoo/labels")}
    array = np.array([[1, -1, 0], [4, 5, 6]], np.float32).T  # L x C
    assert split_no_data({"a": array}, fields)["there"].tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="its there is 2, but its a is 3"):
        split_no_data({"a": array, "there": np.ones(2)}, fields)
    assert with_masks(fields) == fields
    with pytest.raises(ValueError, match=r"^a: its mask 'there' can't be made of nodata"):
        with_masks({"a": field})


def test_any_float_is_read_where_the_field_has_a_range_of_floats(tmp_path):
    field = Field((1, 1, 2), "ganzoo/image", (0, 4), dtype="float32")
    np.save(tmp_path / "a.npy", np.array([[[1.0], [3.0]]]))
    tensor = IMAGE.to_tensors([IMAGE.read(tmp_path / "a.npy", field)], field)
    assert tensor.flatten().tolist() == [-0.5, 0.5]
    np.save(tmp_path / "a.npy", np.array([[[1], [3]]], np.uint8))
    with pytest.raises(DataError, match="holds uint8, but the network was trained on float32"):
        IMAGE.read(tmp_path / "a.npy", field)


def test_many_classes_are_shown_apart():
    labels_format = format_of(Field((1, 3), "ganzoo/labels"))
    few = labels_format.picture(np.array([[0, 1, 2]]), Field((1, 3), "ganzoo/labels"))
    many = labels_format.picture(np.array([[0, 150, 299]]), Field((1, 3), "ganzoo/labels"))
    assert few[0, :, 0].tolist() == [0, 127, 254]
    assert many[0, :, 0].tolist() == [0, 127, 255]
