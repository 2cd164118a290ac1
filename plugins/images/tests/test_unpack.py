"""What is unpacked from an archive, and what is refused by name."""

from __future__ import annotations

import errno
import io
import re
import tarfile

import pytest

from ganzoo.errors import DataError
from ganzoo_images import unpack as module
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
        (("/etc/evil", b"x"), "absolute"),
        (("../evil", b"x"), "leads out"),
        (("set/../../evil", b"x"), "leads out"),
        (("..\\evil", b"x"), "leads out"),
        (("C:\\evil", b"x"), "absolute"),
        (link("evil", tarfile.SYMTYPE, "/etc/passwd"), "link to '/etc/passwd'"),
        (link("evil", tarfile.LNKTYPE, "good"), "link to 'good'"),
        (link("evil", tarfile.CHRTYPE, ""), "neither a file nor a folder"),
        (link("evil", tarfile.FIFOTYPE, ""), "neither a file nor a folder"),
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

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, tmp_path / "out")
