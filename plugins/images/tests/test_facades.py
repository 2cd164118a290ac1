"""Facades: where they are looked for, what makes the set whole, and its download."""

from __future__ import annotations

import http.server
import os
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

from ganzoo.errors import DataError, DataMissing
from ganzoo_images.facades import COUNTS, PALETTE, Facades
from ganzoo_images.options import FACADES_URL, FacadesOptions
from ganzoo_images.side_by_side import SideBySide

REAL_DATA = os.environ.get("GANZOO_DATA", "")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A set with the right counts and sizes: labels right, one photograph linked many times."""
    root = tmp_path_factory.mktemp("made") / "facades"
    both = np.zeros((256, 512, 3), np.uint8)
    both[:, :256], both[:, 256:] = (90, 80, 70), PALETTE[1]
    for split, count in COUNTS.items():
        (root / split).mkdir(parents=True)
        Image.fromarray(both).save(root / split / "1.png")
        for number in range(2, count + 1):
            os.link(root / split / "1.png", root / split / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def opened(split="train", **options):
    return Facades(FacadesOptions(**{"download": False, **options}), split)


def test_the_set(whole):
    source = opened(root=str(whole))
    assert len(source) == 400
    assert len(opened("test", root=str(whole))) == 106
    sample = source.load(0, None)
    assert (sample["source"] == PALETTE[1]).all()  # labels to photograph, by default
    assert (sample["target"] == (90, 80, 70)).all()
    assert source.fields["source"].palette == PALETTE
    assert source.fields["target"].palette == ()
    assert source.notes == (f"Facades from {whole}.",)
    turned = opened(root=str(whole), direction="left_to_right")
    assert turned.fields["target"].palette == PALETTE
    assert turned.fields["source"].palette == ()


def test_looked_up_without_a_root(whole, tmp_path):
    with pytest.raises(DataMissing, match="facades") as caught:
        opened()
    assert "data.download" in caught.value.hint
    (tmp_path / "cache" / "data").mkdir(parents=True)
    (tmp_path / "cache" / "data" / "facades").symlink_to(whole)
    assert str(tmp_path / "cache") in opened().notes[0]
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "facades").symlink_to(whole)
    assert opened().notes == (f"Facades from {tmp_path / 'shared' / 'facades'}.",)
    assert opened(root="facades").notes == opened().notes
    assert "data.root = typo isn't there" in opened(root="typo").notes[0]


def test_a_set_with_missing_images_is_no_missing_set(whole, tmp_path):
    root = tmp_path / "facades"
    for split, count in COUNTS.items():
        (root / split).mkdir(parents=True)
        for number in range(1, count + (split != "val")):
            os.link(whole / split / "1.png", root / split / f"{number}.png")
    with pytest.raises(
        DataError, match="train 400 of 400, val 99 of 100, test 106 of 106"
    ) as caught:
        opened(root=str(root))
    assert not isinstance(caught.value, DataMissing)


def test_a_file_of_another_size_is_named(whole, tmp_path):
    root = tmp_path / "facades"
    for split, count in COUNTS.items():
        (root / split).mkdir(parents=True)
        for number in range(1, count + 1):
            os.link(whole / split / "1.png", root / split / f"{number}.png")
    (root / "val" / "7.png").unlink()
    Image.new("RGB", (512, 255)).save(root / "val" / "7.png")
    with pytest.raises(DataError, match="1 of these facades") as caught:
        opened("val", root=str(root))
    assert "7.png" in caught.value.hint


@pytest.fixture
def server(whole, tmp_path):
    """Serves the set as an archive, each file in full: links would be refused, rightly."""
    folder = tmp_path / "web"
    folder.mkdir()
    with tarfile.open(folder / "facades.tar.gz", "w:gz", compresslevel=1) as tar:
        for path in sorted(whole.rglob("*.png")):
            tar.inodes.clear()
            tar.add(path, f"facades/{path.relative_to(whole)}")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{one.server_port}"
    one.shutdown()
    one.server_close()


def test_download_into_the_cache(server, tmp_path):
    source = opened("val", download=True, url=f"{server}/facades.tar.gz")
    assert len(source) == 100
    assert source.notes == (f"Facades from {tmp_path / 'cache' / 'data' / 'facades'}.",)
    assert len(opened("test")) == 106  # it is there now, and download is off


def test_a_failed_download_is_missing_data_with_the_ways_to_get_it(server, tmp_path):
    with pytest.raises(DataMissing, match="404") as caught:
        opened(root="elsewhere", download=True, url=f"{server}/nothing.tar.gz")
    assert "or download" in caught.value.hint
    assert str(tmp_path / "elsewhere") in caught.value.hint
    (tmp_path / "web" / "login.tar.gz").write_text("<html>Please log in to this network")
    with pytest.raises(DataMissing, match="damaged"):
        opened(download=True, url=f"{server}/login.tar.gz")
    with pytest.raises(DataMissing, match="sha256"):
        opened(download=True, url=f"{server}/login.tar.gz", sha256="0" * 64)


def test_a_set_of_ones_own_is_never_taken_for_it(whole):
    assert Facades.propose(whole) is None
    assert SideBySide.propose(whole) is not None


def test_the_address_is_the_authors():
    assert FACADES_URL.startswith("http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades")
    with pytest.raises(ValueError, match="url"):
        FacadesOptions(url="file:///etc/passwd")


@pytest.mark.data
@pytest.mark.parametrize("split", list(COUNTS))
def test_the_real_set(monkeypatch, split):
    monkeypatch.setenv("GANZOO_DATA", REAL_DATA)
    source = opened(split)
    assert len(source) == COUNTS[split]
    # Label maps are made of the palette's colours, photographs aren't.
    near = {}
    for name, image in source.load(0, None).items():
        away = np.abs(image[:, :, None].astype(int) - np.array(PALETTE)).sum(3).min(2)
        near[name] = (away < 90).mean()
    assert near["source"] > 0.8
    assert near["target"] < 0.5
