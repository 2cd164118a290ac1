"""Data sets are looked for in three places, and their absence says where and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganzoo.data.dataset_paths import data_cache, find_data
from ganzoo.errors import DataMissing


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working directory, a $GANZOO_DATA and a cache, all empty."""
    for name in ("here", "shared", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_order_of_the_places(places):
    in_cache = places / "cache" / "data" / "faces"
    in_shared = places / "shared" / "faces"
    root_in_shared = places / "shared" / "mine"
    here = places / "here" / "mine"
    for folder in (in_cache, in_shared, root_in_shared, here):
        folder.mkdir(parents=True)
        assert find_data("faces", "mine") == folder


def test_absolute_root(places):
    folder = places / "elsewhere"
    folder.mkdir()
    assert find_data("", str(folder)) == folder
    # The control: an absolute root isn't looked for below $GANZOO_DATA.
    with pytest.raises(DataMissing):
        find_data("", str(places / "shared" / "nowhere"))


def test_a_set_without_a_root_isnt_looked_for_in_the_working_directory(places):
    (places / "here" / "faces").mkdir()
    with pytest.raises(DataMissing):
        find_data("faces", None)


def test_a_file_is_no_data_set(places):
    (places / "shared" / "faces").write_text("")
    with pytest.raises(DataMissing):
        find_data("faces", None)


def test_missing_data_name_every_place_and_the_ways(places):
    with pytest.raises(DataMissing) as caught:
        find_data("faces", "mine", hint="or buy it")
    text = str(caught.value)
    for looked in (
        "here/mine",
        "shared/mine",
        "shared/faces",
        "cache/data/mine",
        "cache/data/faces",
    ):
        assert str(places / looked) in text
    assert "data.root" in text
    assert "GANZOO_DATA" in text
    assert "or buy it" in text
    assert caught.value.exit_code == 5


def test_without_environment(places, monkeypatch):
    monkeypatch.delenv("GANZOO_DATA")
    with pytest.raises(DataMissing, match="set GANZOO_DATA to"):
        find_data("faces", None)
    monkeypatch.delenv("GANZOO_CACHE")
    assert data_cache().name == "data"
    assert data_cache() != places / "cache" / "data"


def test_home_is_expanded(places, monkeypatch):
    monkeypatch.setenv("HOME", str(places))
    monkeypatch.setenv("GANZOO_DATA", "~/shared")
    (places / "shared" / "faces").mkdir()
    assert find_data("faces", None) == places / "shared" / "faces"
    assert find_data("", "~/shared") == Path(places / "shared")


@pytest.mark.skipif(os.name == "nt", reason="there it is a path")
def test_a_path_of_windows_is_said_to_be_one(places):
    with pytest.raises(DataMissing) as caught:
        find_data("", r"C:\Users\me\set")
    assert r"'C:\Users\me\set'" in caught.value.message  # with single backslashes
    assert "a Windows path" in caught.value.hint
    assert "GANZOO_DATA" not in caught.value.hint


def test_an_absolute_root_has_no_place_below_ganzoo_data(places):
    with pytest.raises(DataMissing) as caught:
        find_data("", str(places / "nowhere"))
    assert "GANZOO_DATA" not in caught.value.hint
    # The control: a relative one has.
    with pytest.raises(DataMissing) as caught:
        find_data("", "nowhere")
    assert "GANZOO_DATA" in caught.value.hint
