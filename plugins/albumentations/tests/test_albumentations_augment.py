"""What a transform does to a sample: shared geometry, per-sample seeds, refusals."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

from ganzoo.errors import DataError, RecipeError
from ganzoo_albumentations.augment import EIGHT_BIT, OF_ANY_SIZE, Transform
from ganzoo_albumentations.options import make
from ganzoo_albumentations.read_schemas import schemas

# Some transforms advise against themselves.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:albumentations")

# Arguments with which a transform runs on a 32 x 32 image, where its defaults don't.
NEEDED = {
    "center_crop": {"height": 24, "width": 24},
    "crop": {"x_max": 24, "y_max": 24},
    "crop_and_pad": {"px": 4},
    "grid_elastic_deform": {"num_grid_xy": (4, 4), "magnitude": 4},
    "longest_max_size": {"max_size": 24},
    "random_crop": {"height": 24, "width": 24},
    "random_resized_crop": {"size": (24, 24)},
    "random_sized_crop": {"min_max_height": (20, 30), "size": (24, 24)},
    "resize": {"height": 24, "width": 24},
    "smallest_max_size": {"max_size": 24},
    "time_masking": {"time_mask_param": 8},
    "xy_masking": {"num_masks_x": 1, "mask_x_length": 4},
    "pad_if_needed": {"min_height": 64, "min_width": 64},
}
TRANSFORMS = schemas()["transforms"]
SPATIAL = sorted(name for name, entry in TRANSFORMS.items() if entry["kind"] == "spatial")
INTERPOLATING = [name for name in SPATIAL if "interpolation" in TRANSFORMS[name]["defaults"]]


def build(name, **arguments):
    return Transform(make(name)(**{"p": 1.0, **arguments}))


def minimal(name):
    return build(name, **NEEDED.get(name, {}))


def pictures(side=32, channels=3, dtype=np.uint8, names=("source", "target")):
    rng = np.random.default_rng(7)
    made = {name: rng.integers(0, 256, (side, side, channels), np.uint8) for name in names}
    if dtype == np.uint16:
        return {name: array.astype(np.uint16) * 257 for name, array in made.items()}
    if dtype == np.float32:
        return {name: (array / 127.5 - 1).astype(np.float32) for name, array in made.items()}
    return made


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[k], right[k]) for k in left)


def rng(*seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_transform_runs_and_depends_on_the_rng_alone(name):
    sample = pictures()
    sample["labels"] = np.arange(32 * 32).reshape(32, 32) % 7 * 10 + 3
    sample["style"] = np.array(4)
    before = {key: array.copy() for key, array in sample.items()}
    transform = minimal(name)
    first = transform(sample, rng(1, 2))
    assert same(sample, before)  # the given arrays are not written to
    assert first.keys() == sample.keys()
    assert first["style"] is sample["style"]
    for key, array in first.items():
        assert array.dtype == sample[key].dtype
        assert array.ndim == sample[key].ndim
    assert first["source"].shape[:2] == first["target"].shape[:2] == first["labels"].shape
    assert set(np.unique(first["labels"])) <= {*np.unique(sample["labels"]), 0}  # 0: filled
    # Earlier calls, global generators and another process's copy change nothing.
    for other in range(3):
        transform(sample, rng(other))
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert same(transform(sample, rng(1, 2)), first)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert same(pickle.loads(pickle.dumps(transform))(sample, rng(1, 2)), first)


@pytest.mark.parametrize("name", SPATIAL)
def test_images_and_label_maps_share_the_geometry(name):
    # Both images hold the same picture, so that any difference is one of geometry.
    picture = pictures()["source"]
    sample = {"source": picture, "target": picture.copy(), "third": picture.copy()}
    transform = minimal(name)
    for seed in range(3):
        after = transform(sample, rng(seed))
        assert np.array_equal(after["source"], after["target"])
        assert np.array_equal(after["source"], after["third"])


def test_transforming_images_one_after_another_breaks_the_pair():
    # The negative control of the test above: one stream, two calls.
    picture = pictures()["source"]
    transform, stream = build("random_crop", height=16, width=16), rng(0)
    source = transform({"source": picture}, stream)["source"]
    target = transform({"target": picture}, stream)["target"]
    assert not np.array_equal(source, target)


@pytest.mark.parametrize("name", ["horizontal_flip", "transpose", "random_crop", "random_rotate90"])
def test_label_maps_follow_the_images(name):
    sample = pictures()
    sample["labels"] = sample["source"][..., 0].astype(np.int64) * 5 + 1000  # beyond 8 bits
    after = minimal(name)(sample, rng(4))
    assert np.array_equal(after["labels"], after["source"][..., 0].astype(np.int64) * 5 + 1000)
    assert not np.array_equal(after["source"], sample["source"])


def test_label_maps_alone_are_transformed_too():
    labels = np.arange(12).reshape(3, 4)
    after = build("horizontal_flip")({"labels": labels}, rng(0))
    assert np.array_equal(after["labels"], labels[:, ::-1])


@pytest.mark.parametrize("name", INTERPOLATING)
def test_interpolation_of_one_image(name):
    # A two-colour map stays two-coloured (and fill) with nearest; linear mixes colours.
    source = np.where(np.indices((32, 32)).sum(0)[..., None] // 3 % 2, 250, 50)
    sample = {"source": source.astype(np.uint8).repeat(3, 2), "target": pictures()["target"]}
    arguments = dict(NEEDED.get(name, {}))
    if name in {"rotate", "affine"}:
        arguments[{"rotate": "limit", "affine": "rotate"}[name]] = [20, 30]
    nearest = build(name, interpolation_of={"source": "nearest"}, **arguments)(sample, rng(4))
    linear = build(name, **arguments)(sample, rng(4))
    assert set(np.unique(nearest["source"])) <= {0, 50, 250}
    assert np.array_equal(nearest["target"], linear["target"])
    assert nearest["source"].shape == linear["source"].shape
    # The same geometry: what both keep unmixed agrees nearly everywhere.
    kept = np.isin(linear["source"], (50, 250))
    assert np.mean(nearest["source"][kept] == linear["source"][kept]) > 0.8
    if name not in {"crop_and_pad", "optical_distortion"}:
        assert not set(np.unique(linear["source"])) <= {0, 50, 250}


def test_pixel_transforms_change_the_named_images_only():
    sample = pictures()
    after = build("invert_img", fields=["target"])(sample, rng(0))
    assert after["source"] is sample["source"]
    assert np.array_equal(after["target"], 255 - sample["target"])
    both = build("invert_img")(sample, rng(0))
    assert np.array_equal(both["source"], 255 - sample["source"])


def test_pixel_transforms_share_their_draw():
    picture = pictures()["source"]
    after = build("gauss_noise")({"source": picture, "target": picture}, rng(0))
    assert np.array_equal(after["source"], after["target"])


def test_two_epochs_differ_and_one_repeats():
    sample, transform = pictures(), build("random_crop", height=16, width=16)
    epochs = [[transform(sample, rng(0, e, i))["source"] for i in range(8)] for e in (0, 1, 0)]
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(epochs[0], epochs[2])


def test_crop_offsets_are_uniform_and_flips_are_fair():
    # 286 -> 256 leaves offsets 0 to 30. The image holds its own coordinates.
    side, count, cells = 286, 1550, 31
    rows, columns = np.indices((side, side)).clip(0, 255).astype(np.uint8)
    sample = {"image": np.stack([rows, columns], 2)}
    crop = build("random_crop", height=256, width=256)
    offsets = np.array([crop(sample, rng(11, i))["image"][0, 0] for i in range(count)])
    assert offsets.min() == 0
    assert offsets.max() == 30
    for axis in (0, 1):
        seen = np.bincount(offsets[:, axis], minlength=cells)
        chi_square = ((seen - count / cells) ** 2 / (count / cells)).sum()
        assert chi_square < 59.7  # 0.1 % point of chi-square with 30 degrees of freedom
    joint = np.corrcoef(offsets.T)[0, 1]
    assert abs(joint) < 4 / np.sqrt(count)
    edge = {"image": np.zeros((2, 2, 1), np.uint8)}
    edge["image"][0, 0] = 1
    flip = build("horizontal_flip", p=0.5)
    flipped = sum(int(flip(edge, rng(12, i))["image"][0, 1, 0]) for i in range(2000))
    assert abs(flipped - 1000) < 4 * np.sqrt(2000 / 4)
    rare = build("horizontal_flip", p=0.25)
    flipped = sum(int(rare(edge, rng(12, i))["image"][0, 1, 0]) for i in range(2000))
    assert abs(flipped - 1000) > 4 * np.sqrt(2000 / 4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_depths_and_channels_of_a_flip(dtype, channels):
    sample = pictures(8, channels, dtype)
    after = build("horizontal_flip")(sample, rng(0))
    for name, image in sample.items():
        assert after[name].dtype == dtype
        assert after[name].shape == image.shape
        # float32 goes through [0, 1]: two roundings of at most 2^-24 each, doubled
        tolerance = 3e-7 if dtype == np.float32 else 0
        np.testing.assert_allclose(after[name], image[:, ::-1], rtol=0, atol=tolerance)


def test_depths_mean_the_same_to_pixel_transforms():
    results = {}
    for dtype, scale in ((np.uint8, 255), (np.uint16, 65535)):
        image = build("random_gamma")(pictures(16, 3, dtype), rng(0))["source"]
        results[dtype] = image / scale
    image = build("random_gamma")(pictures(16, 3, np.float32), rng(0))["source"]
    np.testing.assert_allclose(results[np.uint16], (image + 1) / 2, atol=2e-5)
    np.testing.assert_allclose(results[np.uint8], (image + 1) / 2, atol=1.1 / 255)


def test_an_image_that_is_not_transformed_is_passed_on_bit_for_bit():
    sample = pictures(8, 3, np.float32)
    after = build("horizontal_flip", p=0.0)(sample, rng(0))
    assert after["source"] is sample["source"]


@pytest.mark.parametrize(
    ("name", "arguments", "sample", "words"),
    [
        ("equalize", {}, pictures(8, 3, np.uint16), ["8-bit", "source", "uint16"]),
        ("equalize", {}, pictures(8, 3, np.float32), ["8-bit", "source", "float32"]),
        ("blur", {}, {"source": np.zeros((8, 8, 3))}, ["source", "float64"]),
        ("iso_noise", {}, pictures(8, 1), ["source (8, 8, 1)", "3-channel", "`fields`"]),
        ("horizontal_flip", {}, {"source": np.full((8, 8, 3), 1.5, np.float32)}, ["[-1, 1]"]),
        ("horizontal_flip", {}, {"source": np.full((8, 8, 3), np.nan, np.float32)}, ["[-1, 1]"]),
        ("horizontal_flip", {}, {"labels": np.full((8, 8), 70000)}, ["labels", "70000"]),
        ("random_crop", {"height": 9, "width": 9}, pictures(8), ["source (8, 8, 3)"]),
        ("blur", {"fields": ["photo"]}, pictures(8), ['"photo"', '"source", "target"']),
        (
            "resize",
            {"height": 4, "width": 4, "interpolation_of": {"photo": "nearest"}},
            pictures(8),
            ['"photo"'],
        ),
        (
            "rotate",
            {},
            {"source": np.zeros((8, 8, 3), np.uint8), "target": np.zeros((8, 9, 3), np.uint8)},
            ["source 8 x 8", "target 8 x 9", "horizontal_flip"],
        ),
    ],
)
def test_samples_that_do_not_fit_are_refused_by_name(name, arguments, sample, words):
    with pytest.raises(DataError) as caught:
        build(name, **arguments)(sample, rng(0))
    text = str(caught.value)
    assert caught.value.hint
    assert caught.value.where == f"albumentations/{name}"
    for word in words:
        assert word in text


def test_sizes_may_differ_where_no_geometry_is_shared():
    sample = {"source": pictures(8)["source"], "target": pictures(6)["target"]}
    after = build("invert_img")(sample, rng(0))
    assert np.array_equal(after["target"], 255 - sample["target"])


@pytest.mark.parametrize("name", sorted(OF_ANY_SIZE))
def test_flips_and_quarter_turns_are_shared_by_images_of_two_sizes(name):
    """Pixel by pixel the large image is the small one enlarged, before and after."""
    small = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    sample = {"source": small, "target": small.repeat(4, 0).repeat(4, 1), "labels": small[..., 0]}
    augment, seen = build(name, p=1.0), set()
    for seed in range(20):
        after = augment(sample, rng(seed))
        enlarged = after["source"].repeat(4, 0).repeat(4, 1)
        assert np.array_equal(after["target"], enlarged)
        assert np.array_equal(after["labels"], after["source"][..., 0])
        seen.add(after["source"].tobytes())
    assert seen != {small.tobytes()}


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_transforms_that_round_to_8_bits_are_known(name):
    """A float32 image that was rounded has nothing between two levels of 255."""
    picture = pictures(dtype=np.float32, names=["source"])["source"] * np.float32(0.93)
    transform = minimal(name)._plain
    transform.set_random_seed(1)
    after = transform(image=(picture + 1) / 2)["image"] * np.float32(255)
    assert (np.abs(after - np.rint(after)).max() < 1e-3) == (name in EIGHT_BIT)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gauss_noise", {"std_range": [0.5, 0.2]}, "refuses std_range = [0.5, 0.2]: First value"),
        ("gauss_noise", {"std_range": [0.5, 1.5]}, "refuses std_range = [0.5, 1.5]: All values"),
        ("posterize", {"num_bits": 9}, "refuses num_bits = 9: "),
        ("color_jitter", {"hue": -0.6}, "refuses hue = -0.6: "),
        ("affine", {"scale": {"z": 1}}, "refuses"),
        ("affine", {"translate_px": 1, "translate_percent": 0.1}, "the arguments: "),
        ("crop", {"x_min": 9, "x_max": 9}, "refuses the arguments: x_max"),
        ("crop_and_pad", {}, "refuses the arguments: "),
        ("crop_and_pad", {"px": 1, "percent": 0.1}, "refuses the arguments: "),
        ("random_crop_from_borders", {"crop_left": 0.6, "crop_right": 0.6}, "the arguments: "),
        ("he_stain", {"method": "random_preset", "preset": "dark"}, "preset should not be"),
        ("rgb_shift", {"r_shift_limit": 300}, "refuses the arguments: ranges: Range values"),
        ("additive_noise", {"noise_params": {"beta_range": [1, 2]}}, "refuses the arguments: "),
    ],
)
def test_what_only_albumentations_checks_is_refused_when_built(name, arguments, message):
    with pytest.raises(RecipeError) as caught:
        build(name, **arguments)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert "pydantic" not in caught.value.message
    assert caught.value.where == f"albumentations/{name}"


def test_field_names_do_not_take_albumentations_own_meaning():
    picture = pictures(8)["source"]
    names = ("masks", "bboxes", "image", "volume")
    after = build("horizontal_flip")(dict.fromkeys(names, picture), rng(0))
    for name in names:
        assert np.array_equal(after[name], picture[:, ::-1])
