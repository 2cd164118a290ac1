"""`ganzoo init` on folders as people have them: what is recognised, said, obeyed and written."""

from __future__ import annotations

import shlex
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from ganzoo import files
from ganzoo.cli.init import command
from ganzoo.cli.main import main
from ganzoo.data.pipeline import open_data
from ganzoo.errors import DataError, DataMissing, EnvironmentFault, UsageError
from ganzoo.recipe import load_recipe


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, step_seconds):
    monkeypatch.chdir(tmp_path)


def write(*paths, size=(16, 16)):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path, format="PNG")


def init(*arguments):
    answer = CliRunner().invoke(command, [str(one) for one in arguments])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return answer


def refused(*arguments, kind=DataError):
    before = sorted(Path().rglob("*"))
    with pytest.raises(kind) as caught:
        init(*arguments)
    assert sorted(Path().rglob("*")) == before  # look first, write last
    return caught.value


def sides(first="set/A", second="set/B", count=6, other="{}"):
    for number in range(count):
        write(f"{first}/{number:03}.png", f"{second}/{other.format(f'{number:03}')}.png")


def test_the_recipe_has_a_default_name_a_relative_root_and_a_quoted_next_line():
    sides("my pictures/A", "my pictures/B")
    answer = init("my pictures")
    text = Path("my_pictures.toml").read_text()
    assert 'root = "my pictures"' in text
    assert "next: ganzoo data inspect my_pictures.toml;" in answer.stderr
    assert answer.stderr.count("data.split_seed") == 1  # once for three splits
    answer = init("my pictures", "-o", "a b.toml")
    assert "next: ganzoo data inspect 'a b.toml'; ganzoo run 'a b.toml'" in answer.stderr
    assert shlex.split(answer.stderr.splitlines()[-1])[-1] == "a b.toml"
    error = refused("my pictures", kind=UsageError)
    assert "exists" in error.message
    init("my pictures", "--overwrite")


def test_a_relative_root_is_beside_the_recipe_wherever_a_command_is_given(monkeypatch):
    sides("there/set/A", "there/set/B")
    sides("elsewhere/set/A", "elsewhere/set/B", count=9)
    init("there/set", "-o", "there/my.toml")
    assert 'root = "set"' in Path("there/my.toml").read_text()
    monkeypatch.chdir("elsewhere")
    recipe = load_recipe("../there/my.toml")
    assert len(open_data(recipe, "train")) == 4
    # The resolved recipe, by which a run is resumed, says where that was.
    assert Path(recipe.document["data"]["root"]).is_absolute()
    # What --set says is meant from here.
    assert len(open_data(load_recipe("../there/my.toml", ["data.root=set"]), "train")) == 7
    Path("../elsewhere").resolve().joinpath("far/off").mkdir(parents=True)
    init("../there/set", "-o", "far/off/my.toml")
    assert (
        f'root = "{Path("../there/set").resolve().as_posix()}"'
        in Path("far/off/my.toml").read_text()
    )


def test_a_folder_that_cannot_be_written_to_is_said(monkeypatch):
    sides()

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.Path, "touch", refuse)
    error = refused("set", "-o", "x.toml", kind=EnvironmentFault)
    assert error.where == "x.toml"
    assert error.exit_code == 7


def test_a_misspelt_folder_gets_the_nearest_name(capsys):
    sides("my_photos/A", "my_photos/B")
    assert 'did you mean "my_photos"?' in refused("my_foto", kind=DataMissing).hint
    init("my_photos")
    text = Path("my_photos.toml").read_text().replace('"my_photos"', '"my_fotos"')
    Path("x.toml").write_text(text)
    assert main(["check", "x.toml"]) == 5
    assert 'my_fotos; did you mean "my_photos"?' in capsys.readouterr().err


def test_a_mixed_folder_is_not_taken_for_two_kinds():
    write(*(f"mixed/{number}.png" for number in range(7)))
    sides("mixed/old", "mixed/raw", other="x{}y")
    error = refused("mixed")
    assert "in it: 7 .png" in error.hint
    assert "in old: 6 .png" in error.hint
    for number in range(7):
        Path(f"mixed/{number}.png").unlink()
    init("mixed")  # the control
    assert load_recipe("mixed.toml").data.id == "images/unpaired"


def test_use_is_obeyed_whatever_the_names_and_shapes():
    # F08: two kinds that share some names.
    write(*(f"kinds/trainA/{number}.png" for number in range(10)))
    write(*(f"kinds/trainB/{number}.png" for number in range(6)))
    error = refused("kinds")
    assert "4 of the files" in error.message
    assert "--use images/unpaired" in error.hint
    init("kinds", "--use", "images/unpaired")
    assert load_recipe("kinds.toml").data.id == "images/unpaired"
    # W04: pairs side by side that are 640 pixels wide and 480 high.
    write(*(f"wide/{number}.png" for number in range(4)), size=(80, 30))
    assert "--use images/side_by_side" in refused("wide").hint
    init("wide", "--use", "images/side_by_side")
    data = open_data(load_recipe("wide.toml", ["augment=[]"]), "test")
    assert data.fields["source"].shape == (3, 30, 40)
    assert (
        "images/two_folders can't propose a recipe"
        in refused("wide", "-o", "x.toml", "--use", "images/two_folders").message
    )


@pytest.mark.parametrize(
    ("names", "ends"),
    [(("{}", "{}x4"), ("", "x4")), (("{}_in", "{}_out"), ("_in", "_out"))],
)
def test_an_ending_of_one_sides_names_is_found_and_said(names, ends):
    for number in range(12):
        for side, name in zip("AB", names, strict=True):
            write(f"set/{side}/{name.format(f'{number:03}')}.png")
    answer = init("set")
    assert repr(ends[1]) in answer.stderr
    options = load_recipe("set.toml").data.options
    assert (options.source_suffix, options.target_suffix) == ends
    init("set", "--turn", "--overwrite")
    options = load_recipe("set.toml").data.options
    assert (options.source, options.source_suffix, options.target_suffix) == ("B", *ends[::-1])
    assert len(open_data(load_recipe("set.toml"), "train")) == 10


def test_accents_of_macos_match_those_of_others():
    for number in range(5):
        name = f"é{number}.png"
        write("set/A/" + unicodedata.normalize("NFC", name))
        write("set/B/" + unicodedata.normalize("NFD", name))
    init("set")
    recipe = load_recipe("set.toml")
    assert recipe.data.id == "images/two_folders"
    assert len(open_data(recipe, "train")) == 3


@pytest.mark.parametrize("layout", ["{split}/{side}", "{side}/{split}", "{split}{side}"])
@pytest.mark.parametrize("names", [("Train", "Validation", "Test"), ("TRAIN", "valid", "testing")])
def test_other_names_of_splits_are_recognised(layout, names):
    for split, count in zip(names, (5, 2, 3), strict=True):
        for number in range(count):
            write(*(f"set/{layout.format(split=split, side=side)}/{number}.png" for side in "AB"))
    answer = init("set")
    for line in ("train: 5 samples", "val: 2 samples", "test: 3 samples"):
        assert line in answer.stdout
    assert load_recipe("set.toml").data.id == "images/two_folders"


def test_pictures_in_folders_of_a_side_are_taken():
    sides("set/A/seq1", "set/B/seq1")
    sides("set/A/seq2", "set/B/seq2")
    init("set")
    data = open_data(load_recipe("set.toml"), "train")
    assert len(data) == 10
    assert data.name(0) == "seq1_000"


def test_what_is_left_out_is_counted_by_ending():
    write(*(f"set/{number}.png" for number in range(4)), size=(32, 16))
    for number in range(3):
        write(f"set/{number}x.jfif", size=(32, 16))
        Path(f"set/{number}y.HEIC").write_bytes(b"")
    answer = init("set")
    assert "train: 5 samples" in answer.stdout  # 7 without one for val and one for test
    assert "aren't read as images: 3 .heic" in answer.stderr
    Path("heic").mkdir()
    Path("heic/a.heic").write_bytes(b"")
    assert "1 .heic" in refused("heic").hint


def test_a_side_without_its_partner_is_said():
    write(
        *(f"set/{side}/{side}{n}.png" for side in ("trainA", "trainB", "testA") for n in range(5))
    )
    answer = init("set")
    assert "set has testA but no testB: testA isn't used." in answer.stderr
    assert "no split folders" not in answer.stderr
    assert "train: 3 samples" in answer.stdout


def test_set_takes_keys_of_the_data_alone():
    sides()
    for wrong in ("train.epochs=3", "data.unmatched", "data.a.b=1"):
        assert "data.KEY=VALUE" in refused("set", "--set", wrong, kind=UsageError).message
    init("set", "--set", "data.split_seed=3")
    assert load_recipe("set.toml").data.options.split_seed == 3


@pytest.mark.parametrize("flat", [False, True])
def test_a_copy_elsewhere_means_the_same_folder(flat):
    sides("there/set/A", "there/set/B")
    init("there/set", "-o", "there/my.toml")
    Path("far/off").mkdir(parents=True)
    for copy in ("there/other.toml", "far/my.toml", "far/off/my.toml"):
        assert main(["recipes", "copy", "there/my.toml", "-o", copy, *["--flat"] * flat]) == 0
        recipe = load_recipe(copy)
        assert recipe.document["data"]["root"] == str(Path("there/set").resolve())
    assert 'root = "set"' in Path("there/other.toml").read_text()


def test_what_a_hint_says_can_be_typed():
    sides("a b/A", "a b/B")
    write("a b/A/more.png")
    hint = refused("a b").hint
    (line,) = (one for one in hint.splitlines() if "ganzoo init" in one)
    init(*shlex.split(line)[shlex.split(line).index("init") + 1 :])
    assert len(open_data(load_recipe("a_b.toml"), "train")) == 4


def test_directions_are_in_the_folders_words():
    sides("kinds/cats", "kinds/dogs", other="x{}y")
    answer = init("kinds")
    assert "one sample, cats -> dogs, dogs -> cats: kinds_pair.png" in answer.stdout


def test_networks_that_cannot_take_the_images_are_said_before_a_run(tmp_path, monkeypatch):
    """A recipe is written, and what it says to do next is what makes it run."""
    monkeypatch.chdir(tmp_path)
    for index in range(4):
        side = tmp_path / "pairs" / f"{index}.png"
        side.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 32), (50 * index, 0, 0)).save(side)
    answer = CliRunner().invoke(command, ["pairs", "--base", "quickstart"])
    assert answer.exit_code == 0, answer.output
    assert "before it can run: generator: pix2pix/unet takes sizes" in answer.stderr
    assert "set generator.depth = 5" in answer.stderr
    assert "next: change that in pairs.toml; ganzoo check pairs.toml" in answer.stderr
    assert "ganzoo run" not in answer.stderr


def test_a_file_that_is_no_pair_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs").mkdir()
    for index in range(9):
        size = (128, 64) if index != 7 else (129, 64)
        Image.new("RGB", size, (20 * index, 0, 0)).save(tmp_path / "pairs" / f"{index}.png")
    answer = CliRunner().invoke(command, ["pairs"])
    assert "8 of 9 files looked at" in answer.output + answer.stderr
    assert "(7.png not)" in answer.output + answer.stderr
