"""Match the files of two folders by name, whatever Unicode form the names have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ganzoo.errors import DataError
from ganzoo_images.folders import shown, sort_naturally, without_ending


@dataclass(frozen=True)
class Matched:
    """The names that two folders share, and the files without a partner.

    Args:
        pairs: for each shared name, in natural order, the source's and the target's file.
        lonely: files without a partner, as `folder/path`, for messages.
    """

    pairs: Mapping[str, tuple[Path, Path]]
    lonely: tuple[str, ...]


def key_of(below: str, suffix: str = "") -> str | None:
    """Return the key by which files are matched.

    The key is the path without its ending and without `suffix`, in Unicode's form NFC. It is needed
    because macOS stores an accent as a separate character (NFD), and other systems store one
    character for letter and accent (NFC).

    Returns:
        None where the file's name doesn't end in `suffix`, or is equal to it.
    """
    plain = unicodedata.normalize("NFC", without_ending(below))
    suffix = unicodedata.normalize("NFC", suffix)
    if not plain.endswith(suffix) or plain.rpartition("/")[2] == suffix != "":
        return None
    return plain[: len(plain) - len(suffix)]


def match(
    sides: tuple[Path, Path],
    files: tuple[Mapping[str, Path], Mapping[str, Path]],
    suffixes: tuple[str, str],
) -> Matched:
    """Pair the files of two folders, which are given by their path below their folder.

    Raises:
        DataError: when several files of one folder would have the same partner; the error names
            them.
    """
    keyed, lonely = [], []
    for folder, found, suffix in zip(sides, files, suffixes, strict=True):
        by_key: dict[str, str] = {}
        doubled = []
        for below in found:
            key = key_of(below, suffix)
            if key is None:
                lonely.append(f"{folder.name}/{below}")
            elif key in by_key:
                doubled.append(f"{by_key[key]} and {below}")
            else:
                by_key[key] = below
        if doubled:
            raise DataError(
                "these files have the same name except for their ending, so it isn't clear which "
                "one is the partner",
                where=str(folder),
                hint=shown(doubled),
            )
        keyed.append(by_key)
    sources, targets = keyed
    lonely += [
        f"{folder.name}/{below}"
        for folder, one, other in ((sides[0], sources, targets), (sides[1], targets, sources))
        for key, below in one.items()
        if key not in other
    ]
    # Names keep the Unicode form of the source's file. Pairs are dealt to splits by a hash of the
    # name, so another form would change the splits of existing data sets.
    names = {
        without_ending(sources[key]).removesuffix(suffixes[0]): key
        for key in sources
        if key in targets
    }
    pairs = {
        name: (files[0][sources[names[name]]], files[1][targets[names[name]]])
        for name in sort_naturally(names)
    }
    return Matched(pairs, tuple(lonely))


def guess_suffixes(sources: Iterable[str], targets: Iterable[str]) -> tuple[str, str] | None:
    """Guess the suffix that each folder's file names have after the part that partners share.

    `000` and `000x4` give no suffix and `x4`; `7_A` and `7_B` give `_A` and `_B`.

    Args:
        sources: paths below the source folder, with `/`.
        targets: paths below the target folder.

    Returns:
        None unless the suffixes give more than half of the files a partner.
    """
    one, other = ({key_of(below) or "" for below in side} for side in (sources, targets))
    if not one or not other:
        return None
    guesses = [
        ("", _rest(one, other)),
        (_rest(other, one), ""),
        (_common_end(one), _common_end(other)),
    ]
    for first, second in guesses:
        if first is None or second is None or first == second:
            continue
        cut = [
            {key[: len(key) - len(end)] for key in keys if key.endswith(end)} - {""}
            for keys, end in ((one, first), (other, second))
        ]
        if 2 * len(cut[0] & cut[1]) > max(len(one), len(other)):
            return first, second
    return None


def _rest(short: set[str], long: set[str]) -> str | None:
    """Return what follows a name of `short` in the first name of `long`, or None."""
    example = sort_naturally(long)[0]
    starts = [example[:end] for end in range(len(example) - 1, 0, -1) if example[:end] in short]
    return example[len(starts[0]) :] if starts else None


def _common_end(keys: set[str]) -> str:
    """Return the longest ending that all names share and that doesn't begin within a number."""
    first, *others = keys
    end = first
    for key in others:
        while not key.endswith(end):
            end = end[1:]
    return end.lstrip("0123456789")
