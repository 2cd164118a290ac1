"""`ganzoo`: the table of commands, and the handling of errors."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import click

import ganzoo
from ganzoo.cli.console import (
    report_bug,
    report_error,
    report_interrupt,
    report_usage,
    results_apart,
)
from ganzoo.cli.lazy_commands import LazyGroup
from ganzoo.errors import EnvironmentFault, ExitCode, GanzooError
from ganzoo.files import refusal
from ganzoo.plugin_system.blame import left_by
from ganzoo.process.cpu_cores import share_cores
from ganzoo.process.memory import out_of_memory
from ganzoo.process.streams import check_stdout, lasting_streams

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("ganzoo.cli.run", "Train a recipe, or continue a run."),
    "check": ("ganzoo.cli.check", "Check a recipe and show what it would build."),
    "list": ("ganzoo.cli.list", "List components: generators, losses, data sets, ..."),
    "show": ("ganzoo.cli.show", "Explain a component and each of its options."),
    "schema": ("ganzoo.cli.schema", "Write the schema with which editors complete recipes."),
    "recipes": ("ganzoo.cli.recipes", "List, copy, show and compare recipes."),
    "plugins": ("ganzoo.cli.plugins", "List plugins and what is wrong with them."),
    "data": ("ganzoo.cli.data", "Inspect data sets."),
    "init": ("ganzoo.cli.init", "Write a recipe for a folder of pictures."),
    "predict": ("ganzoo.cli.predict", "Generate images with trained weights."),
    "sample": ("ganzoo.cli.sample", "Generate samples from noise with trained weights."),
    "evaluate": ("ganzoo.cli.evaluate", "Score a run on a split of its data."),
    "bundle": (
        "ganzoo.cli.bundle",
        "Write the networks that a run's applications need into one file.",
    ),
    "runs": ("ganzoo.cli.runs", "List and compare runs."),
    "doctor": ("ganzoo.cli.doctor", "Check this installation and this machine."),
}
"""The module of each command, which has a click command called `command`, and the command's line in
`--help`."""

SHORT = ("list", "show", "schema")
"""The commands that import many modules, print what these contain, and end."""

_ON = (
    "`ganzoo run --resume RUN --set train.epochs=N` continues the training of a run on its own data"
)
_START = (
    "`ganzoo run RECIPE --set start.generator=RUN` begins a new run with the weights of another; "
    f"{_ON}"
)
_IMAGES = "`ganzoo predict RUN IMAGES -o FOLDER` makes images from images"
_SCORES = "`ganzoo evaluate RUN` scores a run on held-out data"
OTHER_WORDS = {
    "train": "`ganzoo run RECIPE` trains",
    "resume": "`ganzoo run --resume RUN` continues a run",
    "test": f"{_IMAGES}; {_SCORES}",
    "translate": f"{_IMAGES}; {_SCORES}",
    "generate": f"`ganzoo sample RUN` makes samples from noise; {_IMAGES}",
    "finetune": _START,
    "fine-tune": _START,
    "import": "weights of other programs can't be read yet; `ganzoo list generator` lists networks "
    "to train",
    "export": "weights can't be exported to other formats yet; they are in a run's checkpoints, "
    f"in a safetensors file for each network; {_IMAGES}",
}
"""The names of commands that other programs have, each with a hint about what does the same
here."""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    other_words=OTHER_WORDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--plugin",
    "plugin_files",
    metavar="FILE",
    multiple=True,
    help="Load a Python file as a plugin; its name without .py is the namespace.",
)
@click.option(
    "--no-plugin",
    "blocked",
    metavar="NAME",
    multiple=True,
    help="Don't load this plugin; NAME is its distribution or namespace.",
)
@click.option("--debug", is_flag=True, help="Show Python's traceback with every error.")
@click.version_option(ganzoo.__version__, prog_name="ganzoo", message="%(prog)s %(version)s")
@click.pass_context
def cli(
    context: click.Context,
    plugin_files: tuple[str, ...],
    blocked: tuple[str, ...],
    debug: bool,  # noqa: ARG001, FBT001  # read by `main`, since errors end up there
) -> None:
    """Train GANs from recipes, in runs that can be resumed exactly.

    Start with `ganzoo run recipes/quickstart.toml`, or `ganzoo list`.
    """
    if context.invoked_subcommand in SHORT:
        gc.disable()  # saves a tenth of the time of these commands, which make hardly any garbage
        context.call_on_close(gc.enable)
    if context.invoked_subcommand == "doctor":  # it loads plugins itself, and reports import errors
        return
    from ganzoo.cli.console import show_notes
    from ganzoo.plugin_system import registry

    show_notes()
    active = registry.activate(block=blocked, files=plugin_files)
    if context.invoked_subcommand == "plugins":  # this command reports quarantined plugins itself
        return
    for record in active.records:
        if record.state == "quarantined":
            click.echo(
                f'warning: the plugin "{record.namespace}" of {record.distribution} is not used: '
                f"{record.reason} (`ganzoo plugins --verbose` shows more)",
                err=True,
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code, one of `ganzoo.errors.ExitCode`.

    Errors are explained on stderr. With `--json` they are also printed as one document on stdout:
    `{"problems": [...]}` for the problems of a recipe, `{"error": {...}}` for other errors.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    share_cores()
    with lasting_streams():
        code = _explained(arguments, as_json="--json" in arguments, debug="--debug" in arguments)
    if "torch" not in sys.modules:  # after a run, objects may have to be finalised
        # Python's last garbage collection would take longer than the whole of `ganzoo --help`.
        atexit.register(gc.freeze)
    return code


def _explained(arguments: list[str], *, as_json: bool, debug: bool) -> int:
    try:
        with results_apart() if as_json else nullcontext():
            code = _invoke(arguments)
        if not code:
            check_stdout()
    except GanzooError as error:
        report_error(error, as_json=as_json, debug=debug)
        code = int(error.exit_code)
    except click.ClickException as error:
        report_usage(error, as_json=as_json)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        report_interrupt(error)
        code = int(ExitCode.INTERRUPTED)
    except SystemExit as left:  # ganzoo exits through click only, so a plugin raised this
        report_error(left_by(left), as_json=as_json, debug=debug)
        code = int(ExitCode.PLUGIN)
    except Exception as error:  # noqa: BLE001  # the last handler reports where the bug is
        code = _report_unforeseen(error, as_json=as_json, debug=debug)
    return code


def _report_unforeseen(error: Exception, *, as_json: bool, debug: bool) -> int:
    """Report an unexpected error and return its exit code.

    It is a fault of the environment if a file was refused or if memory or disk space ran out, and
    a bug otherwise.
    """
    fault = (refusal(error) if isinstance(error, OSError) else None) or out_of_memory(
        error,
        "this command",
        hint="End other programs, or use smaller images, batches or networks.",
    )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and fault is None:
        fault = EnvironmentFault("no space is left for the output")
    if fault is None:
        report_bug(error, as_json=as_json)
        return int(ExitCode.BUG)
    report_error(fault, as_json=as_json, debug=debug)
    return int(fault.exit_code)


def _invoke(arguments: list[str]) -> int:
    """Do what `cli.main` does, but leave errors to the caller."""
    try:
        colour = False if os.environ.get("NO_COLOR") else None  # None: on a terminal
        with cli.make_context("ganzoo", arguments, color=colour) as context:
            result: Any = cli.invoke(context)
    except click.exceptions.Exit as done:
        result = done.exit_code
    return result if isinstance(result, int) else 0
