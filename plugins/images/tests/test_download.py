"""The downloader resumes, gives up in time, and unpacks nothing that it shouldn't."""

from __future__ import annotations

import hashlib
import http.server
import io
import itertools
import re
import socket
import tarfile
import threading
import time
from contextlib import suppress

import pytest

import ganzoo_images.download as module
from ganzoo.errors import DataError, DataMissing
from ganzoo_images.download import download, fetch


class Server:
    """A local web server whose connections can be made to break."""

    def __init__(self):
        self.content = b""
        self.ranges = True  # whether it knows Range requests
        self.drop_after = []  # bytes sent before each of the next connections breaks
        self.status = 200
        self.requests = []  # the Range header of each request
        self.stream = None  # an iterator of blocks, sent without a length until the reader leaves
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.tar.gz"

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.requests.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        if self.stream:
            handler.send_response(200)
            handler.end_headers()
            with suppress(OSError):
                for block in self.stream:
                    handler.wfile.write(block)
                    handler.wfile.flush()
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0
        total = len(self.content)
        if start >= total > 0:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{total}")
            handler.end_headers()
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        handler.end_headers()
        if self.drop_after:
            handler.wfile.write(body[: self.drop_after.pop(0)])
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def tar_of(*members, mtime=0):
    """A tar.gz of (name, content) or of TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size, info.mtime = len(member[1]), mtime
                tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def test_progress_and_content(server, tmp_path):
    server.content = bytes(range(256)) * 5000
    seen = []
    download(server.url, tmp_path / "part", lambda done, total: seen.append((done, total)))
    assert (tmp_path / "part").read_bytes() == server.content
    assert seen[-1] == (len(server.content),) * 2
    assert len(seen) > 2


def test_a_dropped_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.content = bytes(range(256)) * 4000
    server.drop_after = [100_000, 300_000]
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == server.content
    assert server.requests == [None, "bytes=100000-", "bytes=400000-"]


def test_a_later_call_goes_on_with_the_part(server, tmp_path):
    server.content = b"0123456789"
    (tmp_path / "part").write_bytes(b"0123")
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b"0123456789"
    assert server.requests == ["bytes=4-"]
    # Complete already: one question, no content.
    download(server.url, tmp_path / "part")
    assert server.requests == ["bytes=4-", "bytes=10-"]


def test_a_part_of_another_file_starts_over(server, tmp_path):
    server.content = b"0123456789"
    (tmp_path / "part").write_bytes(b"longer than the file")
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b"0123456789"


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    server.content = b"0123456789" * 100
    server.drop_after = [7]
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == server.content


def test_it_gives_up_after_ten_connections(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    server.content = b"0123456789"
    server.drop_after = [3] + [0] * 20
    with pytest.raises(DataMissing, match="3 bytes are kept"):
        download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b"012"
    assert len(server.requests) == module.ATTEMPTS


def test_an_error_of_the_server_is_told(server, tmp_path):
    server.status = 404
    with pytest.raises(DataMissing, match="404"):
        download(server.url, tmp_path / "part")
    assert len(server.requests) == 1


def test_offline_fails_fast(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
    started = time.monotonic()
    with pytest.raises(DataMissing):
        download(url, tmp_path / "part")
    assert time.monotonic() - started < 2


def test_a_silent_server_fails_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(DataMissing):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/x", tmp_path / "part")
        assert time.monotonic() - started < 2


def test_fetch_makes_the_folder_whole_or_not_at_all(server, tmp_path):
    server.content = tar_of(("set/train/1.txt", b"one"), ("set/test/2.txt", b"two"))
    target = tmp_path / "cache" / "set"
    checked = []

    def refuse(folder):
        checked.append(sorted(path.name for path in folder.iterdir()))
        raise DataError("one is missing", hint="look")

    with pytest.raises(DataError, match="one is missing") as caught:
        fetch(server.url, target, refuse)
    assert "removed" in caught.value.hint
    assert checked == [["test", "train"]]
    assert [path.name for path in target.parent.iterdir()] == ["set.lock"]
    fetch(server.url, target, lambda _: None)
    assert (target / "train" / "1.txt").read_bytes() == b"one"
    assert sorted(path.name for path in target.parent.iterdir()) == ["set", "set.lock"]
    before = len(server.requests)
    fetch(server.url, target, refuse)  # it is there: no request
    assert len(server.requests) == before


def test_another_archive_than_the_one_whose_hash_is_known_is_refused(server, tmp_path):
    server.content = tar_of(("set/1.txt", b"one"))
    known = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DataError, match=f"sha256 is {known}, not {'0' * 64}"):
        fetch(server.url, tmp_path / "set", lambda _: None, "0" * 64)
    assert [path.name for path in tmp_path.iterdir()] == ["set.lock"]
    fetch(server.url, tmp_path / "set", lambda _: None, known)
    assert (tmp_path / "set" / "1.txt").exists()


def test_two_at_once_download_once(server, tmp_path):
    server.content = tar_of(("set/1.txt", b"one" * 100_000))
    errors = []

    def work():
        try:
            fetch(server.url, tmp_path / "set", lambda _: None)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(server.requests) == 1


def test_an_archive_cut_off_is_damaged(server, tmp_path):
    server.content = tar_of(("set/1.txt", b"one" * 100_000))[:-40]
    with pytest.raises(DataError, match="damaged"):
        fetch(server.url, tmp_path / "set", lambda _: None)
    assert not (tmp_path / "set").exists()
    assert not (tmp_path / "set.part").exists()


def test_a_body_without_end_is_refused_and_removed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_DOWNLOADED", 1_000_000)
    server.stream = itertools.repeat(bytes(10_000))
    with pytest.raises(DataError, match="more than 1,000,000 bytes"):
        fetch(server.url, tmp_path / "set", lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["set.lock"]
    # The control: a body without a length that ends in time is taken.
    server.stream = iter([tar_of(("set/1.txt", b"one"))])
    fetch(server.url, tmp_path / "set", lambda _: None)
    assert (tmp_path / "set" / "1.txt").read_bytes() == b"one"


def test_an_announced_size_is_refused_before_it_comes(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_DOWNLOADED", 9)
    server.content = b"0123456789"
    with pytest.raises(DataError, match="more than 9 bytes"):
        download(server.url, tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_a_byte_now_and_then_is_given_up_and_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.2)

    def drip():
        while True:
            time.sleep(0.02)
            yield b"x"

    server.stream = drip()
    started = time.monotonic()
    with pytest.raises(DataMissing, match=r"within 0\.2 seconds.*bytes are kept"):
        download(server.url, tmp_path / "part")
    assert time.monotonic() - started < 5
    assert (tmp_path / "part").stat().st_size > 1


@pytest.mark.parametrize(
    "content",
    [
        tar_of(("set/a/1.txt", b"one"), ("set/a", b"a file")),
        tar_of(("set/a", b"a file"), ("set/a/1.txt", b"one")),
        tar_of(("set/" + 300 * "n", b"one")),
        b"no archive at all",
        tar_of(("set/1.txt", b"one"), mtime=2**80),
        tar_of(("set/1.txt", bytes(range(256)) * 100))[:-8] + bytes(8),  # gzip's checksum
    ],
)
def test_a_bad_archive_is_removed_so_that_the_next_attempt_works(server, tmp_path, content):
    server.content = content
    with pytest.raises(DataError, match=r"refused to unpack|damaged") as caught:
        fetch(server.url, tmp_path / "set", lambda _: None)
    assert not isinstance(caught.value, DataMissing)
    assert [path.name for path in tmp_path.iterdir()] == ["set.lock"]
    server.content = tar_of(("set/1.txt", b"one"))
    fetch(server.url, tmp_path / "set", lambda _: None)
    assert (tmp_path / "set" / "1.txt").read_bytes() == b"one"
