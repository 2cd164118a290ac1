"""Write the parts of the documentation that code knows best, in place: `python docs/generate.py`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. `tests/test_docs.py`
makes every part again and compares. Imports no torch.
"""  # noqa: INP001  # a script beside the documents, no package

from __future__ import annotations

import functools
import inspect
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))
from public_names import DOORS, first_sentence, signatures

from ganzoo.api import KINDS, Options
from ganzoo.cli.main import cli
from ganzoo.cli.plugins_new import render
from ganzoo.plugin_system.hookspecs import DiscoverySpecs, RunSpecs
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.plugin_system.registry import current
from ganzoo.recipe.describe_options import describe
from ganzoo.recipe.find_recipe import shipped_recipes
from ganzoo.recipe.model import SETTINGS

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- generated: ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
ELSEWHERE = "albumentations"
"""A plugin with too many components to list here; its README says how to see them."""
SHOWN = ("discriminator", "task", "data", "diffaugment", "metric", "callback")
"""Kinds whose template is the guide's example; generator and loss have one of their own."""


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in escaped)


DECIDED_BY_TASK = {"mode": "the task's mode"}
"""The keys of `[inference]` whose default depends on the task, with what the table shows."""


def options_table(
    model: type[Options], prefix: str = "", defaults: Mapping[str, str] | None = None
) -> str:
    """Every key of a table, from its model, and `defaults` in place of those of the model."""
    rows = []
    for one in describe(model, prefix):
        default = "required" if one.required else "absent"
        if one.default is not None:
            default = f"`{json.dumps(one.default, ensure_ascii=False)}`"
        default = (defaults or {}).get(one.key, default)
        rows.append((f"`{one.key}`", one.type, default, one.limits, one.help))
    return table(("key", "type", "default", "limits", "what it does"), rows)


def settings() -> str:
    """The core's tables of settings."""
    return "\n".join(
        f"### `[{name}]`\n\n{' '.join((model.__doc__ or '').split())}\n\n"
        + options_table(model, defaults=DECIDED_BY_TASK if name == "inference" else None)
        for name, model in SETTINGS.items()
    )


def components() -> str:
    """Every component of this distribution, kind by kind, with its options."""
    parts = []
    for kind in KINDS:
        for entry in current().components(kind):
            if entry.record.distribution != CORE or entry.record.namespace == ELSEWHERE:
                continue
            model = current().options_model(entry)
            listed = options_table(model) if model.model_fields else "It has no options.\n"
            presets = ", ".join(f"`{name}`" for name in entry.component.presets)
            presets = f"Presets: {presets}.\n\n" if presets else ""
            parts.append(
                f"### {kind} `{entry.id}`\n\n{entry.component.summary}\n\n{presets}{listed}"
            )
    return "\n".join(parts)


def zoo() -> str:
    """The ids of this distribution's components, a line for each kind; for README."""
    rows = []
    for kind in KINDS:
        ours = [e for e in current().components(kind) if e.record.distribution == CORE]
        listed = [f"`{e.id}`" for e in ours if e.record.namespace != ELSEWHERE]
        if others := len(ours) - len(listed):
            listed.append(f"and {others} transforms of `{ELSEWHERE}`")
        if listed:
            rows.append((kind, ", ".join(listed)))
    return table(("kind", "components"), rows)


def recipes() -> str:
    """The shipped recipes."""
    rows = []
    for name, file in shipped_recipes(current()).items():
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        extends = f"`{document['extends']}`" if "extends" in document else ""
        rows.append((f"`{name}`", document["summary"], extends))
    return table(("recipe", "what it is", "extends"), rows)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name: `ganzoo data inspect`."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"ganzoo {name}", command
            for sub in command.list_commands(context):
                yield f"ganzoo {name} {sub}", command.get_command(context, sub)
        elif command is not None:
            yield f"ganzoo {name}", command


def command_help(name: str, command: click.Command) -> str:
    """Usage, explanation and options of a command."""
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    explained = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    options = [one for one in command.params if isinstance(one, click.Option)]
    rows = [(_names(one), _meaning(one)) for one in options]
    return f"```text\n{usage}\n```\n\n{explained}\n\n{table(('option', 'what it does'), rows)}"


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or _kind(option.type)}"
    names = [", ".join(f"`{one}{value}`" for one in option.opts)]
    return " / ".join(names + [f"`{one}`" for one in option.secondary_opts])


def _kind(kind: click.ParamType) -> str:
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    return "N" if kind.name.startswith("integer") else kind.name.upper()


def _meaning(option: click.Option) -> str:
    more = ["required"] if option.required else []
    if isinstance(option.type, click.IntRange):
        more += [f"at least {option.type.min}"] if option.type.min is not None else []
        more += [f"at most {option.type.max}"] if option.type.max is not None else []
    if option.multiple:
        more.append("may be repeated")
    if option.show_default:
        more.append(f"default: {option.default}")
    help_text = " ".join((option.help or "").split())
    return f"{help_text} ({', '.join(more)})" if more else help_text


def hooks() -> str:
    """Every hook with its arguments, in the two families."""
    rows = [
        (
            f"`{name}({', '.join(list(inspect.signature(hook).parameters)[1:])})`",
            where,
            first_sentence(hook.__doc__ or ""),
        )
        for family, where in ((DiscoverySpecs, "a plugin's module"), (RunSpecs, "a callback"))
        for name, hook in vars(family).items()
        if name.startswith("ganzoo_")
    ]
    return table(("hook", "implemented by", "what it is for"), rows)


@functools.cache
def checks() -> str:
    """Every check of the conformance kit; asked of another process, since it imports torch."""
    ask = (
        "import json; from ganzoo.testing import all_checks; "
        "print(json.dumps([[c.name, sorted(c.kinds), c.slow, c.advisory, c.unless, c.summary] "
        "for c in all_checks().values()]))"
    )
    done = subprocess.run(  # noqa: S603  # this Python, and our own program
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True
    )
    rows = [
        (f"`{name}`", _kinds(kinds), summary + _notes(slow, advisory, unless))
        for name, kinds, slow, advisory, unless, summary in json.loads(done.stdout)
    ]
    return table(("check", "made of", "what is demanded"), rows)


def _notes(slow: bool, advisory: bool, unless: str) -> str:  # noqa: FBT001  # a row of the table
    """Return what a check has besides its summary, in parentheses."""
    tag = f"not with the tag `{unless}`" if unless else ""
    notes = ["slow" if slow else "", "advisory" if advisory else "", tag]
    return f" ({', '.join(filter(None, notes))})" if any(notes) else ""


def _kinds(kinds: list[str]) -> str:
    if set(kinds) == set(KINDS):
        return "every component"
    return ", ".join(kind for kind in KINDS if kind in kinds) or "the plugin"


def template(kind: str) -> str:
    """The module that `ganzoo plugins new kinds --kind KIND` writes."""
    return _written("kinds", kind, f"src/ganzoo_kinds/{kind}.py", "python")


def _written(namespace: str, kind: str, place: str, language: str) -> str:
    """One of the files of a new plugin."""
    text = render(namespace, [kind], "git+https://HOST/PATH/ganzoo.git")[place]
    return f"`{place}`, as the template writes it:\n\n```{language}\n{text}```\n"


def parts() -> dict[str, Callable[[], str]]:
    """Every generated part by its name."""
    made: dict[str, Callable[[], str]] = {
        **{f"signatures {door}": functools.partial(signatures, door) for door in DOORS},
        "hooks": hooks,
        "checks": checks,
        **{f"template {kind}": functools.partial(template, kind) for kind in SHOWN},
        "template CI": lambda: _written(
            "sketch", "generator", ".github/workflows/test.yml", "yaml"
        ),
        "settings": settings,
        "components": components,
        "recipes": recipes,
        "zoo": zoo,
        "ganzoo": lambda: command_help("ganzoo", cli),
    }
    for name, command in commands():
        made[name] = lambda name=name, command=command: command_help(name, command)  # type: ignore[misc]
    return made


def regenerated(text: str) -> str:
    """A document with its generated parts made again."""
    known = parts()

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}{known[match[2]]()}{match[3]}"

    return PART.sub(fill, text)


def documents() -> list[Path]:
    """The documents that this repository's reader meets, READMEs of plugins included."""
    found: list[Any] = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for folder, files in ((".github", "*.md"), ("docs", "**/*.md"), ("plugins", "*/README.md")):
        found += sorted((ROOT / folder).glob(files))
    return found


if __name__ == "__main__":
    for document in documents():
        before = document.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            document.write_text(after, encoding="utf-8")
            click.echo(f"wrote {document.relative_to(ROOT)}")
