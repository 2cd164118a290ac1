"""Recipes that nobody would write, and what `ganzoo check --syntax` says of them.

python -m tests.faults.fuzz [--count N] [--seed N]

A case is a recipe's file and arguments of `--set`: a shipped recipe whose text or whose document
was changed by hypothesis. The command must succeed or refuse, quickly, in few short lines, with a
place for each problem, and without a traceback. What it accepts must mean the same when it is
written out and read again. Cases depend on `--count` and `--seed` alone.

Tests of plugins may call `fuzz` with recipes of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import json
import signal
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from pydantic import BaseModel

from ganzoo.cli.main import main as ganzoo
from ganzoo.errors import ExitCode, GanzooError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_recipe, loads, shipped_recipes
from ganzoo.recipe.model import SETTINGS
from ganzoo.recipe.resolved import KEYS
from ganzoo.recipe.write import to_toml

CPU_SECONDS = 10
"""What one case may take, however busy the machine is."""
MOST_SIGNS, LONGEST_LINE = 30_000, 1_500
REFUSALS = {ExitCode.RECIPE, ExitCode.PLUGIN, ExitCode.DATA}

NUMBERS = (0, -1, 1, 2, 3, 7, 1.5, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
LARGE = (2**31, 2**63 - 1, -(2**63), 2**63, 10**30, 10**400)
TEXTS = (
    *("", " ", "none", "auto", "default", "train", "a\0b", "\n", "\x7f", "\u202egnp", "é", "猫"),
    *("x" * 10_000, "../../etc", "C:\\x", "D:\new", "~", "/", ".", "~nobody-at-all", "a/b/c/d"),
    *("1 epoch", "0 steps", "9" * 400 + " steps", "1e3 steps", "٣ steps", "nan", "-1", "true"),
    *("gan_ring", "quickstart", "nowhere/x", "ganzoo/l1", "/x", "x/", "GAN/MLP", "{", "[", '"'),
)
DATES = (date(2024, 5, 1), datetime(2024, 5, 1, 7, 32))  # noqa: DTZ001  # as TOML has it
TABLES: tuple[Any, ...] = (
    *([], [[]], [{}], {}, {"": 0}, {"use": ""}, {"use": []}, {"use": {}}, {"use": 5}),
    *({"preset": "x"}, {"preset": []}, {"from": 1, "to": 2}, {"from": "a", "to": []}),
    *({"use": "gan/mlp", "preset": "tiny"}, {"a": {"b": {"c": [{"d": 1}]}}}, [1, "a", None]),
)
TEXT_PARTS = (
    *("[", "]", "{", "}", "=", ".", ",", '"', "'", "#", "\\", '"""', "'''", "\n", "\r", "\t", "\0"),
    *("[[loss]]\n", "[train]\n", "[a.b]\n", "extends = []\n", "name = 1\n", "= 1\n", "a = \n"),
    *("9" * 5000, "[" * 400, "{a=" * 400, "a." * 400, "1979-05-27", "inf", "0x", "1__0", "\ufeff"),
    *("é", "\u2028", "\x1b[31m", "x" * 5000, "\\uD800", "\\U00110000", '"\\q"', "true", "-"),
)


@dataclass(frozen=True)
class Case:
    """A recipe's file, and arguments of `--set`."""

    content: bytes
    sets: tuple[str, ...] = ()


@dataclass
class Found:
    """What came of all cases."""

    exit_codes: Counter[int] = field(default_factory=Counter)
    faults: list[tuple[Case, str]] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of CPU."""


class TooSlow(BaseException):  # not an Exception, which the command would explain
    """A case took longer than any may."""


# --- what cases are made of


def spell(value: Any) -> str:
    """A value as TOML in one line; what TOML can't say becomes what it would refuse."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | date):
        return value.isoformat() if isinstance(value, date) else _digits(value)
    if isinstance(value, Mapping):
        pairs = (f"{spell(str(key))} = {spell(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(spell, value)) + "]"
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _digits(value: float) -> str:
    return "1" + "0" * 400 if value == LARGE[-1] else repr(value)


def containers(value: Any) -> Iterator[Any]:
    """Every table and array of a document, itself first."""
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def ids() -> list[str]:
    """Every component that a recipe may name."""
    return [entry.id for entry in current().components()]


def odd_values() -> st.SearchStrategy[Any]:
    """Values of any type, few of which fit anywhere."""
    return _odd_values(tuple(ids()))


@functools.cache
def _odd_values(known: tuple[str, ...]) -> st.SearchStrategy[Any]:
    scalars = st.one_of(
        st.sampled_from(NUMBERS),
        st.sampled_from(LARGE),
        st.sampled_from(TEXTS),
        st.sampled_from(DATES),
        st.sampled_from(known),
        st.booleans(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    )
    tables = st.dictionaries(
        st.sampled_from(["use", "preset", "from", "to", "name", "on", "fallback", "gan", "x"]),
        scalars,
        max_size=3,
    )
    return st.one_of(
        scalars,
        st.sampled_from(TABLES).map(copy.deepcopy),  # which is changed later on
        st.lists(scalars, max_size=3),
        tables,
        st.lists(tables, max_size=3),
        st.integers(1, 60).map(_nested),
        st.sampled_from([400, 5000, 30_000]).map(lambda count: [1] * count),
    )


def near_values(value: Any) -> st.SearchStrategy[Any]:
    """Values of the type of one that fits; many of them fit too."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.sampled_from([value + 1, value - 1, value * 2, 1, 2, 3, 64, 10**6])
    if isinstance(value, float):
        return st.sampled_from([value / 2, value * 2, 0.1, 0.5, 1e-12, {"from": value, "to": 0.1}])
    if isinstance(value, str):
        return st.sampled_from([*ids(), value.upper(), value[:-1], f"{value} "])
    return odd_values()


def _nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = {"a": value} if number % 2 else [value]
    return value


@st.composite
def changed_texts(draw: st.DrawFn, text: str) -> bytes:
    """A text with parts put in, taken out, doubled, moved or broken."""
    for _ in range(draw(st.integers(1, 2))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        part = text[start:end]
        new = draw(
            st.one_of(
                st.just(""),
                st.just(part * 2),
                st.just(part[::-1]),
                st.sampled_from(TEXT_PARTS),
                st.text(max_size=6),
                odd_values().map(spell),
            )
        )
        text = text[:start] + new + text[end:]
    content = text.encode(errors="replace")
    broken = draw(st.sampled_from(["", "", "", "cut", "byte", "utf-16", "crlf", "bom", "long"]))
    if broken == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    elif broken == "byte":
        at = draw(st.integers(0, len(content)))
        content = content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]
    elif broken == "utf-16":
        content = text.encode("utf-16", errors="replace")
    elif broken == "crlf":
        content = content.replace(b"\n", b"\r\n")
    elif broken == "bom":
        content = b"\xef\xbb\xbf" + content
    elif broken == "long":
        content += b"\n# " + b"x" * 300_000
    return content


@st.composite
def changed_documents(draw: st.DrawFn, text: str) -> bytes:
    """A recipe's document with values of other types and keys in other places, as TOML."""
    document = tomllib.loads(text)
    for _ in range(draw(st.integers(1, 2))):
        target = draw(st.sampled_from(list(containers(document))))
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        action = draw(st.sampled_from(["replace", "replace", "remove", "add", "move", "wrap"]))
        if action == "add" or not keys:
            new = draw(st.sampled_from([*KEYS, "use", "preset", "lr", "size", "", "é", "a.b"]))
            if isinstance(target, dict):
                target[new] = draw(odd_values())
            else:
                target.append(draw(odd_values()))
            continue
        key = draw(st.sampled_from(keys))
        if action == "remove":
            del target[key]
        elif action == "move":
            other = draw(st.sampled_from(keys))
            target[key], target[other] = target[other], target[key]
        elif action == "wrap":
            target[key] = draw(st.sampled_from([[target[key]], {"use": target[key]}]))
        else:
            target[key] = draw(st.one_of(near_values(target[key]), odd_values()))
    # Tables stay tables, so that some cases have headers, and twice the same.
    lines = [f"{spell(key)} = {spell(value)}" for key, value in document.items()]
    if draw(st.integers(0, 9)) == 0:
        lines.append(draw(st.sampled_from(lines or ["a = 1"])))
    return "\n".join(lines).encode(errors="replace")


def dotted_keys(text: str) -> list[str]:
    """Keys of `--set` for the values of a recipe, its whole tables, and the core's settings."""
    keys = [f"{name}.{key}" for name, model in SETTINGS.items() for key in _keys_of(model)]
    waiting: list[tuple[str, Any]] = list(tomllib.loads(text).items())
    while waiting:
        key, value = waiting.pop()
        keys.append(key)
        if isinstance(value, dict | list):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(f"{key}.{part}", item) for part, item in inner]
    return sorted(keys)


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [key_of(*item) for item in model.model_fields.items()]


@st.composite
def changes(draw: st.DrawFn, text: str) -> str:
    """An argument of `--set`."""
    key = draw(st.sampled_from(dotted_keys(text)))
    odd = draw(st.integers(0, 9))
    if odd == 0:
        parts = [*KEYS, "use", "size", "0", "0.p", "é", ""]
        key = ".".join(draw(st.lists(st.sampled_from(parts), min_size=1, max_size=3)))
    elif odd == 1:
        key = draw(st.one_of(st.text(max_size=6), st.sampled_from(["a." * 400, "a" * 5000, "."])))
    fitting = st.sampled_from([0, 1, 3, 64, 0.5, 1e-4, True, "none", "auto", "5 epochs", *ids()])
    value = draw(
        st.one_of(
            fitting.map(spell), odd_values().map(spell), st.sampled_from(TEXT_PARTS), st.text()
        )
    )
    return f"{key}={value}"


@st.composite
def cases(draw: st.DrawFn, texts: Sequence[str]) -> Case:
    """A case from one of the recipes' texts."""
    text = draw(st.sampled_from(texts))
    kind = draw(st.sampled_from(["text", "document", "document", "set"]))
    if kind == "text":
        content = draw(changed_texts(text))
    elif kind == "document":
        content = draw(changed_documents(text))
    else:
        content = text.encode()
    sets = draw(st.lists(changes(text), min_size=int(kind == "set"), max_size=2))
    return Case(content, tuple(one.replace("\0", "") for one in sets))


# --- what is done with them


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise `TooSlow` after `CPU_SECONDS` of this process's own time."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check(case: Case, folder: Path, command: Callable[[list[str]], int] = ganzoo) -> int:
    """Check a case as a user would; return the exit code.

    Args:
        case: the recipe and changes.
        folder: where the file is written, as `fuzzed.toml`.
        command: what takes the arguments of the command line.

    Raises:
        AssertionError: with what isn't as it must be.
    """
    file = folder / "fuzzed.toml"
    file.write_bytes(case.content)
    arguments = ["check", "--syntax", str(file)]
    for one in case.sets:
        arguments += ["--set", one]
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _limited():
            code = command([*arguments, "--json"])
    except TooSlow:
        raise AssertionError(f"took more than {CPU_SECONDS} s") from None
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    said = err.getvalue()
    assert "Traceback" not in said, said[-500:]
    assert len(said) < MOST_SIGNS, f"{len(said)} signs of output"
    assert max(map(len, said.split("\n"))) < LONGEST_LINE, "a line too long"
    assert not [sign for sign in said if not (sign.isprintable() or sign in "\n\t")], "raw signs"
    document = json.loads(out.getvalue())
    if code == ExitCode.USAGE:
        assert "it must have the form KEY=VALUE" in said, said[:300]
    elif code != ExitCode.DONE:
        assert code in REFUSALS, f"exit {code}: {said[-300:]}"
        assert document["problems"], "refused without a reason"
        for problem in document["problems"]:
            assert problem["message"], "a problem without a message"
            assert problem["file"] or problem["where"], f"no place: {problem}"
    else:
        try:
            recipe = load_recipe(file, case.sets)
            again = loads(to_toml(recipe), "again")
        except GanzooError as error:
            raise AssertionError(f"accepted, and then refused: {error}") from error
        assert again.sha256 == recipe.sha256, "means something else when it is read again"
    return code


def fuzz(
    count: int,
    seed: int = 0,
    *,
    texts: Sequence[str] = (),
    command: Callable[[list[str]], int] = ganzoo,
) -> Found:
    """Check `count` cases, and return what came of them.

    Args:
        count: how many.
        seed: other cases of the same kind.
        texts: recipes to start from, as TOML; by default all that are shipped.
        command: what takes the arguments of the command line.
    """
    if not texts:
        shipped = shipped_recipes(current())
        texts = [shipped[name].read_text(encoding="utf-8") for name in sorted(shipped)]
    found = Found()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases(texts))
    def each(case: Case) -> None:
        began = time.process_time()
        try:
            found.exit_codes[check(case, Path(folder), command)] += 1
        except AssertionError as error:
            found.faults.append((case, str(error)))
        found.slowest = max(found.slowest, time.process_time() - began)

    with tempfile.TemporaryDirectory() as folder:
        each()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases and print a summary; 1 where any was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    found = fuzz(options.count, options.seed)
    total = sum(found.exit_codes.values()) + len(found.faults)
    codes = ", ".join(f"{count} exit {code}" for code, count in sorted(found.exit_codes.items()))
    print(
        f"{total} recipes (seed {options.seed}) in {time.monotonic() - began:.0f} s: {codes}; "
        f"slowest {found.slowest:.1f} s of CPU; {len(found.faults)} faults"
    )
    for case, fault in found.faults[:20]:
        print(f"\n{fault}\n  --set {list(case.sets)}\n  {case.content[:2000]!r}")
    return int(bool(found.faults))


if __name__ == "__main__":
    raise SystemExit(main())
