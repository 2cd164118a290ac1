"""Networks that judge generated samples: a metric trains one once and keeps it in the cache."""

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
    """Return where a judge is kept: `FOLDER/HASH.safetensors` in ganzoo's cache.

    Args:
        folder: the name of the metric's folder in the cache.
        settings: all that the training depends on, such as options and the size of images.
        sources: files whose code decides what a trained judge is; their contents are hashed too.
    """
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    name = hashlib.sha256(f"{settings} {code}".encode()).hexdigest()[:20]
    return cache_folder() / folder / f"{name}.safetensors"


def kept_judge(file: Path | None, build: Callable[[], Judge], train: Callable[[], Judge]) -> Judge:
    """Return a judge in eval mode: read from its file, or trained and written there.

    A damaged file is replaced. torch's global random generator is left as it was, as far as
    `train` does so.

    Args:
        file: see `judge_file`; None: neither read nor written.
        build: makes a judge whose weights are loaded afterwards.
        train: makes a trained judge.
    """
    if file is not None and file.is_file():
        with isolated():  # its first weights are drawn, and never used
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
