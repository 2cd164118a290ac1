"""What is unpacked from an archive, and what is refused by name."""

from __future__ import annotations

import errno
import io
import re
import tarfile

import pytest

import ganzoo_images.unpack as module
from ganzoo.errors import DataError
from ganzoo_images.unpack import unpack


def tar_of(*members):
    """A tar.gz of (name, content) or of TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def link(name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("../evil", b"x"), "outside the destination"),
        (("set/../../evil", b"x"), "outside the destination"),
        (link("evil", tarfile.SYMTYPE, "/etc/passwd"), "link to '/etc/passwd'"),
        (link("evil", tarfile.LNKTYPE, "good"), "link to 'good'"),
        (link("evil", tarfile.CHRTYPE, ""), "is a special file"),
        (link("evil", tarfile.FIFOTYPE, ""), "is a special file"),
    ],
)
def test_unsafe_members_are_refused_by_name(tmp_path, member, reason):
    archive, inside = tmp_path / "a.tar.gz", tmp_path / "box" / "inside"
    inside.mkdir(parents=True)
    archive.write_bytes(tar_of(("good", b"fine"), member, ("after", b"never")))
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        unpack(archive, inside)
    assert "evil" in caught.value.message
    assert [path.name for path in inside.iterdir()] == ["good"]
    assert [path.name for path in (tmp_path / "box").iterdir()] == ["inside"]


def test_absolute_paths_become_relative_ones(tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tar_of((f"{tmp_path}/file", b"x")))
    unpack(archive, tmp_path / "out")
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "out" / tmp_path.relative_to("/") / "file").read_bytes() == b"x"


def test_archives_that_grow_too_large_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNPACKED", 1000)
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tar_of(("small", b"x" * 900), ("large", b"\0" * 200)))
    with pytest.raises(DataError, match="large"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "large").exists()


def test_archives_of_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_MEMBERS", 100)
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tar_of(*((f"{number}", b"") for number in range(101))))
    with pytest.raises(DataError, match="beyond 100 files"):
        unpack(archive, tmp_path / "out")
    archive.write_bytes(tar_of(*((f"{number}", b"") for number in range(100))))
    unpack(archive, tmp_path / "good")
    assert len(list((tmp_path / "good").iterdir())) == 100
    archive.write_bytes(tar_of(("d/" * 17 + "file", b"")))
    with pytest.raises(DataError, match="more than 16 folders"):
        unpack(archive, tmp_path / "deep")


def test_a_full_disk_is_not_the_archives_fault(tmp_path, monkeypatch):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tar_of(("1.txt", b"one")))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extract", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, tmp_path / "out")
