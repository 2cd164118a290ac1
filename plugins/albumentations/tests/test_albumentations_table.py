"""The table: true to albumentations, complete, light, and strict."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from pydantic import ValidationError

from ganzoo.api import load_target
from ganzoo_albumentations import ganzoo_components, table
from ganzoo_albumentations.options import make
from ganzoo_albumentations.selection import LEFT_OUT

SIZE = {"height": 8, "width": 8}


def refusals(name, **arguments):
    with pytest.raises(ValidationError) as caught:
        make(name)(**arguments)
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def test_committed_table_is_what_the_generator_writes():
    from ganzoo_albumentations.generate import generate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some transforms advise against themselves
        assert generate().encode() == table.PATH.read_bytes()


@pytest.mark.parametrize("annotation", [str, bytes, "Callable"])
def test_an_annotation_without_a_node_stops_the_generator(annotation):
    from ganzoo_albumentations.generate import Reader

    with pytest.raises(TypeError, match="no node"):
        Reader({}).node(annotation, "argument")


def test_every_transform_is_in_the_table_or_left_out_for_a_reason():
    from ganzoo_albumentations.generate import transforms

    found = {cls.__name__: reason for cls, reason in transforms()}
    assert len(found) > 115  # 2.0.8 has that many; fewer means a blind walk
    listed = set(table.ids_by_class())
    assert listed == {name for name, reason in found.items() if not reason}
    assert {name for name, reason in found.items() if reason == "three-dimensional"} == {
        "CenterCrop3D",
        "CoarseDropout3D",
        "CubicSymmetry",
        "Pad3D",
        "PadIfNeeded3D",
        "RandomCrop3D",
        "ToTensor3D",
    }
    assert set(LEFT_OUT) <= set(found)  # no reason is given for what doesn't exist


def test_listing_imports_nothing_heavy_and_is_quick():
    code = """
import sys, time
from ganzoo.api import Options
start = time.process_time()
import ganzoo_albumentations
count = len(ganzoo_albumentations.ganzoo_components())
cost = time.process_time() - start
from ganzoo_albumentations.options import RandomCrop
RandomCrop(height=3, width=3).model_json_schema()
heavy = {"torch", "numpy", "cv2", "albumentations", "PIL"} & set(sys.modules)
print(count, cost < 0.02 or cost, heavy or "light")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.split() == [str(len(table.read()["transforms"])), "True", "light"]


def test_options_unpickle_in_a_process_that_never_made_their_class():
    options = make("rotate")(limit=[-5, 5], interpolation_of={"source": "nearest"})
    code = f"import pickle; print(pickle.loads({pickle.dumps(options)!r}).model_dump_json())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == options.model_dump_json()


def test_components_name_classes_that_exist():
    for component in ganzoo_components():
        assert load_target(component.options).name == component.name
        assert component.summary
        for field in load_target(component.options).model_fields.values():
            assert field.description
    with pytest.raises(AttributeError):
        load_target("ganzoo_albumentations.options:NoSuchTransform")


def test_ids_are_snake_case():
    ids = table.ids_by_class()
    assert ids["HorizontalFlip"] == "horizontal_flip"
    assert ids["CLAHE"] == "clahe"
    assert ids["RGBShift"] == "rgb_shift"
    assert ids["D4"] == "d4"
    assert ids["HEStain"] == "he_stain"


@pytest.mark.parametrize(
    ("name", "arguments", "where", "what"),
    [
        ("horizontal_flip", {"p": 1.5}, ("p",), "less than or equal to 1"),
        ("horizontal_flip", {"p": True}, ("p",), "valid number"),
        ("horizontal_flip", {"prob": 0.5}, ("prob",), "not permitted"),
        ("random_crop", {"height": 0, "width": 8}, ("height",), "greater than or equal to 1"),
        ("random_crop", {"height": 8}, ("width",), "required"),
        ("random_crop", {**SIZE, "border_mode": "mirror"}, ("border_mode",), "reflect_101"),
        ("random_crop", {**SIZE, "border_mode": 4}, ("border_mode",), "'reflect_101'"),
        ("rotate", {"limit": "far"}, ("limit",), "must be a number, or a list of 2, each a number"),
        ("blur", {"blur_limit": 3.5}, ("blur_limit",), "an integer at least 3"),
        ("blur", {"blur_limit": [3, 1]}, ("blur_limit", 1), "greater than or equal to 3"),
        ("gauss_noise", {"std_range": [0.5, 0.2]}, ("std_range",), "first value not above"),
        ("gauss_noise", {"std_range": [0.5]}, ("std_range", 1), "required"),
        ("gauss_noise", {"std_range": [0.5, float("nan")]}, ("std_range", 1), "finite"),
        ("affine", {"scale": {"z": 1}}, ("scale", "z"), "not permitted"),
        ("affine", {"translate_px": 1, "translate_percent": 0.1}, (), "must not have both"),
        ("crop", {"x_min": 9, "x_max": 9}, (), "must have x_min below x_max"),
        ("crop_and_pad", {}, (), "exactly one of px and percent"),
        ("crop_and_pad", {"px": 1, "percent": 0.1}, (), "exactly one of px and percent"),
        ("random_crop_from_borders", {"crop_left": 0.6, "crop_right": 0.6}, (), "at most 1"),
        ("downscale", {"interpolation_pair": {"up": "area"}}, ("interpolation_pair", "up"), "not"),
        ("posterize", {"num_bits": 8}, ("num_bits",), "less than or equal to 7"),
        ("color_jitter", {"hue": 0.6}, ("hue",), "less than or equal to 0.5"),
        ("resize", {**SIZE, "interpolation_of": {"a": "b"}}, ("interpolation_of", "a"), "'cubic'"),
        ("horizontal_flip", {"interpolation_of": {}}, ("interpolation_of",), "not permitted"),
        ("horizontal_flip", {"fields": ["target"]}, ("fields",), "not permitted"),
        ("gauss_noise", {"fields": []}, ("fields",), "at least 1"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused_where_it_stands(name, arguments, where, what):
    found = refusals(name, **arguments)
    assert len(found) == 1, found
    assert found[0][0] == where
    assert what in found[0][1]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("random_crop", SIZE, {"border_mode": 0, "height": 8}),
        ("random_crop", {**SIZE, "border_mode": "reflect_101"}, {"border_mode": 4}),
        ("resize", {**SIZE, "interpolation": "lanczos4"}, {"interpolation": 4}),
        ("coarse_dropout", {"hole_width_range": [2, 4]}, {"hole_width_range": (2, 4)}),
        ("coarse_dropout", {"hole_width_range": [0.2, 0.4]}, {"hole_width_range": (0.2, 0.4)}),
        ("coarse_dropout", {"fill": "random"}, {"fill": "random"}),
        ("affine", {"scale": {"x": [0.5, 2]}}, {"scale": {"x": (0.5, 2)}}),
        ("pad_if_needed", {"pad_height_divisor": 32}, {"min_height": None, "min_width": 1024}),
        ("pixel_dropout", {"drop_value": "none"}, {"drop_value": None}),
        ("longest_max_size", {"max_size_hw": [9, "none"]}, {"max_size_hw": (9, None)}),
        (
            "downscale",
            {"interpolation_pair": {"upscale": "linear", "downscale": "area"}},
            {"interpolation_pair": {"upscale": 1, "downscale": 3}},
        ),
    ],
)
def test_arguments_reach_albumentations_in_its_own_terms(name, arguments, expected):
    options = make(name)(**arguments)
    made = options.arguments()
    assert {key: made[key] for key in expected} == expected
    types = {key: type(value) for key, value in expected.items()}
    assert {key: type(made[key]) for key in expected} == types
    again = make(name)(**options.model_dump(mode="json"))
    assert again == options
    written = {k: v for k, v in options.model_dump(mode="json").items() if v is not None}
    assert make(name)(**written) == options  # TOML has no null


def test_readme_says_what_is_left_out():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name in LEFT_OUT:
        assert f"`{name}`" in readme
    assert f"({len(table.read()['transforms'])} of them)" in readme
    eight_bit = [e for e in table.read()["transforms"].values() if "float32" not in e["takes"]]
    assert f"{len(eight_bit)} of them (such as" in readme
