"""Options of transforms: those of albumentations' own schemas, complete, light, and strict."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import pytest
from pydantic import ValidationError

from ganzoo.cli.main import main
from ganzoo.errors import ExitCode
from ganzoo_albumentations import ganzoo_components, options, write_schemas
from ganzoo_albumentations.augment import EIGHT_BIT
from ganzoo_albumentations.options import make
from ganzoo_albumentations.read_schemas import SCHEMAS, schemas

SIZE = {"height": 8, "width": 8}
TRANSFORMS = schemas()["transforms"]


def refusals(name, **arguments):
    with pytest.raises(ValidationError) as caught:
        make(name)(**arguments)
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def test_committed_schemas_are_the_librarys_own():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some transforms advise against themselves
        assert write_schemas.generate() == SCHEMAS.read_text()


def test_every_transform_that_is_left_out_exists():
    import albumentations

    assert all(hasattr(albumentations, name) for name in write_schemas.LEFT_OUT)
    assert len(TRANSFORMS) == 93


def test_names_of_constants_are_opencvs():
    for name, code in options.INTERPOLATIONS.items():
        assert getattr(cv2, f"INTER_{name.upper()}") == code
    for name, code in options.BORDERS.items():
        assert getattr(cv2, f"BORDER_{name.upper()}") == code


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
    assert run.stdout.split() == [str(len(TRANSFORMS)), "True", "light"]


def test_options_unpickle_in_a_process_that_never_made_their_class():
    chosen = make("rotate")(limit=[-5, 5], interpolation_of={"source": "nearest"})
    code = f"import pickle; print(pickle.loads({pickle.dumps(chosen)!r}).model_dump_json())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == chosen.model_dump_json()


def test_components_name_classes_that_exist():
    for component in ganzoo_components():
        assert component.options_class().name == component.name
    with pytest.raises(AttributeError):
        options.NoSuchTransform  # noqa: B018


def test_ids_are_snake_case():
    ids = {entry["class"]: name for name, entry in TRANSFORMS.items()}
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
        ("resize", {**SIZE, "mask_interpolation": "cubic"}, ("mask_interpolation",), "not perm"),
        ("gauss_noise", {"std_range": [0.5]}, ("std_range", 1), "required"),
        ("gauss_noise", {"std_range": [0.5, float("nan")]}, ("std_range", 1), "finite"),
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
    ("name", "line", "message"),
    [
        ("rotate", 'limit = "far"', "must be an array or a number"),
        ("blur", "blur_limit = 3.5", "must be an array or a whole number"),
        ("blur", "blur_limit = [3, 1.5]", "must be a whole number"),
        ("downscale", 'interpolation_pair = { upscale = "cubik" }', 'did you mean "cubic"?'),
        ("downscale", 'interpolation_pair = { up = "area" }', 'must be "downscale" or "upscale"'),
    ],
)
def test_a_value_of_no_shape_gets_one_message_at_its_place(capsys, tmp_path, name, line, message):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'extends = "quickstart"\n[[augment]]\nuse = "albumentations/{name}"\n{line}')
    assert main(["check", "--syntax", str(recipe)]) == ExitCode.RECIPE
    err = capsys.readouterr().err
    assert "the recipe has 1 problem\n" in err
    assert f"{recipe}:4:" in err
    assert message in err


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
    chosen = make(name)(**arguments)
    made = chosen.arguments()
    assert {key: made[key] for key in expected} == expected
    types = {key: type(value) for key, value in expected.items()}
    assert {key: type(made[key]) for key in expected} == types
    again = make(name)(**chosen.model_dump(mode="json"))
    assert again == chosen
    written = {k: v for k, v in chosen.model_dump(mode="json").items() if v is not None}
    assert make(name)(**written) == chosen  # TOML has no null


def test_readme_says_what_is_left_out():
    readme = " ".join((Path(__file__).parents[1] / "README.md").read_text().split())
    bases = {"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"}
    for name in write_schemas.LEFT_OUT - bases:
        assert f"`{name}`" in readme
    assert f"all {len(TRANSFORMS)} transforms" in readme
    assert f"{len(EIGHT_BIT)} transforms (such as" in readme
