"""The source of the installed ganzoo, read from its metadata (PEP 610)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import ganzoo

PUBLIC = ("https", "http", "ssh", "git")
"""The URL schemes of addresses that other machines can use too."""


@dataclass(frozen=True)
class Installation:
    """The ganzoo that is running.

    Args:
        version: the version in its metadata; "" if it isn't installed as a distribution.
        place: the folder of the running package.
        source: what it was installed from, in words.
        url: an address from which pip can install it on another machine, such as
            `git+https://...@commit`; "" if it isn't known.
    """

    version: str
    place: Path
    source: str
    url: str

    def __str__(self) -> str:
        return f"ganzoo {self.version or ganzoo.__version__} of {self.place} ({self.source})"


def installation(found: Distribution | None = None) -> Installation:
    """Return where ganzoo is, and what it was installed from.

    Args:
        found: a distribution to examine instead of the installed one.
    """
    place = Path(ganzoo.__file__).parent
    if found is None:
        try:
            found = distribution(ganzoo.DISTRIBUTION)
        except PackageNotFoundError:
            return Installation("", place, "not installed: found on Python's path", "")
    document = _direct_url(found)
    if document is None:
        return Installation(found.version, place, "from a package index or an unpacked wheel", "")
    address = str(document.get("url", ""))
    if "vcs_info" in document:
        info = document["vcs_info"]
        commit = info.get("commit_id", "")
        url = pip_url(address, commit) if info.get("vcs") == "git" else ""
        return Installation(found.version, place, f"{address} at {commit[:12]}", url)
    if "dir_info" in document:
        folder = Path(url2pathname(unquote(urlsplit(address).path)))
        editable = "editable" if document["dir_info"].get("editable") else "copied"
        return Installation(found.version, place, f"{editable}, from {folder}", _origin(folder))
    return Installation(found.version, place, f"from {address}", pip_url(address))


def _direct_url(found: Distribution) -> dict[str, Any] | None:
    try:
        document = json.loads(found.read_text("direct_url.json") or "null")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def pip_url(address: str, commit: str = "") -> str:
    """Return an address in the form that pip takes; "" if it has no meaning on another machine.

    The address of a repository gets the prefix `git+`, and `git@host:path` becomes `ssh://`. User
    names and passwords are removed from http addresses, since the result is written into files.
    """
    address = address.strip().removeprefix("git+")
    if match := re.fullmatch(r"([\w.-]+@)?([\w-]+(?:\.[\w-]+)+):(?!//)(.+)", address):
        address = f"ssh://{match[1] or ''}{match[2]}/{match[3].lstrip('/')}"
    parts = urlsplit(address)
    if parts.scheme not in PUBLIC or not parts.hostname:
        return ""
    if parts.scheme in {"http", "https"}:
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    address = urlunsplit(parts)
    if parts.path.endswith((".whl", ".zip", ".tar.gz")):
        return address
    return f"git+{address}" + (f"@{commit}" if commit else "")


def _origin(folder: Path) -> str:
    """Return the remote `origin` of a checkout as pip takes it.

    The result is "" if the folder isn't the top of a checkout, or if there is no such remote.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    # The folder may lie inside the checkout of another project, whose remote isn't that of ganzoo.
    if not top or Path(top).resolve() != folder.resolve():
        return ""
    return pip_url(_git(folder, "remote", "get-url", "origin"))


def _git(folder: Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None or not folder.is_dir():
        return ""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(  # noqa: S603  # no argument is user input
        [git, "-C", str(folder), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""
