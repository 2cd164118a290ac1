"""Judge networks, with which metrics score generated samples; they are trained once and cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ganzoo.data import cache_folder, isolated, replacing

Judge = TypeVar("Judge", bound=nn.Module)


def judge_file(folder: str, settings: str, sources: Iterable[Path]) -> Path:
    """Return the path of a judge's weights: `FOLDER/HASH.safetensors` in ganzoo's cache.

    Args:
        folder: the name of the metric's folder in the cache.
        settings: everything on which the training depends, such as options and the size of images.
        sources: the files whose code defines and trains the judge; their contents are hashed too.
    """
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    name = hashlib.sha256(f"{settings} {code}".encode()).hexdigest()[:20]
    return cache_folder() / folder / f"{name}.safetensors"


def kept_judge(file: Path | None, build: Callable[[], Judge], train: Callable[[], Judge]) -> Judge:
    """Return a judge in eval mode: read from its file, or trained and written there.

    A damaged file is replaced. The states of the global random generators don't change, unless
    `train` changes them.

    Args:
        file: the path from `judge_file`; None: no file is read or written.
        build: returns a judge whose weights are loaded afterwards.
        train: returns a trained judge.
    """
    if file is not None and file.is_file():
        with isolated():  # the initial weights are drawn at random but never used
            judge = build()
        try:
            judge.load_state_dict(load_file(file))
        except (SafetensorError, RuntimeError):
            file.unlink(missing_ok=True)
        else:
            return judge.eval()
    judge = train().eval()
    if file is not None:
        weights = {name: value.contiguous() for name, value in judge.state_dict().items()}
        with replacing(file) as temporary:
            save_file(weights, temporary)
    return judge
