"""Checks of callbacks: hooks that can be called, and a training that they leave as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy
from torch import Tensor

from ganzoo.api import hookimpl
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import GanzooError
from ganzoo.interfaces import Outcome, RunView
from ganzoo.observers import Voice
from ganzoo.plugin_system.hookspecs import RunSpecs
from ganzoo.recipe import load_document
from ganzoo.testing.compare import generators, unequal
from ganzoo.testing.kit import CheckFailed, check, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_host
from ganzoo.testing.trial import weights_of


@check("callback")
def check_callback_hooks(subject: Subject) -> None:
    """Its hooks are hooks of a run, with their arguments, and marked with @hookimpl."""
    callback = subject.choose().build()
    names = {name for name in dir(callback) if name.startswith("ganzoo_")}
    require(names, "it has no hooks: methods called ganzoo_...")
    manager = pluggy.PluginManager("ganzoo")
    manager.add_hookspecs(RunSpecs)
    try:
        manager.register(callback)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        message = f"its hooks can't be called: {error}; see ganzoo.plugin_system.hookspecs.RunSpecs"
        raise CheckFailed(message) from error
    called = {caller.name for caller in manager.get_hookcallers(callback) or ()}
    unmarked = sorted(names - called)
    require(not unmarked, f"{unmarked} lack @hookimpl (from ganzoo.api), so nothing calls them")


@check("callback")
def check_callback_changes_nothing(subject: Subject) -> None:
    """A run with it has the weights, logs and random numbers of a run without it, bit for bit."""

    def put(document: dict[str, Any]) -> None:
        document["callback"] = [subject.table("callback", subject.id)]

    recipe, diaries = tiny_host(subject, put), []
    without = load_document({**recipe.document, "callback": []}, subject.registry)
    for name, each in (("without", without), ("with", recipe)):
        diaries.append(_Diary())
        out, voice = subject.folder / name, Voice(quiet=True)
        try:
            result = run(
                each, out=out, limits=Limits(steps=2), voice=voice, observers=[diaries[-1]]
            )
        except GanzooError as error:
            raise CheckFailed(f"a run {name} it doesn't begin: {error}") from error
        require(result.error is None, f"a run {name} it ends with {result.error}")
    one, other = diaries
    weights = unequal(one.weights, other.weights)
    require(not weights, f"the weights differ from those of a run without it: {weights[:3]}")
    require(one.logs == other.logs, "the logs differ from those of a run without it")
    require(
        one.random == other.random,
        "it draws from a global random generator: use one of its own, or isolate what is random",
    )


class _Diary:
    """Notes what a run came to; registered before the callback, so it is called after it."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self.logs: list[dict[str, float]] = []
        self.random: Any = None

    @hookimpl
    def ganzoo_logs(self, logs: Mapping[str, float]) -> None:
        self.logs.append(dict(logs))

    @hookimpl
    def ganzoo_run_done(self, run: RunView, outcome: Outcome) -> None:  # noqa: ARG002
        self.weights = weights_of(run.nets)
        self.random = generators()
