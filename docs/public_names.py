"""The public names of ganzoo and their signatures, read from the sources; nothing is imported."""  # noqa: INP001  # a part of `generate.py`

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOORS = ("api", "errors", "interfaces", "nn", "data", "metrics", "testing")
"""What plugins may import of ganzoo: `ganzoo.api` and so on."""
DECORATORS = ("dataclass", "property", "classmethod", "staticmethod", "abstractmethod")
"""Those that say how something is used. The others are the implementation's."""
SPECIAL = ("__init__", "__call__", "__len__")
WIDTH = 100

Defined = dict[str, tuple[ast.stmt, str]]
"""Statements and their docstrings, by the names that they define."""


def public_names(door: str) -> dict[str, str]:
    """Return the public names of one of the doors, with their docstrings."""
    return {name: text for name, (_, text) in _public(door).items()}


def signatures(door: str) -> str:
    """Return a block of code for each public name: its signature and what it is."""
    shown = (_block(node, text) for node, text in _public(door).values())
    return "\n".join(f"```python\n{one}\n```\n" for one in shown)


def first_sentence(docstring: str) -> str:
    """Return the first sentence of a docstring, on one line."""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", paragraph, maxsplit=1)[0]


def _public(door: str) -> Defined:
    """Return the statements that define the public names of a door.

    A module's own `__all__` decides, else what it defines without a leading underscore.
    """
    folder = ROOT / "ganzoo" / door
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    defined = _defined(tree.body)
    if "__all__" not in defined:
        return {name: one for name, one in defined.items() if not name.startswith("_")}
    listed: list[str] = ast.literal_eval(defined["__all__"][0].value)  # type: ignore[attr-defined]
    origin = {
        alias.asname or alias.name: (one.module or "", alias.name)
        for one in ast.walk(tree)  # also what only type checkers import
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }
    found = {}
    for name in listed:
        if name in defined:
            found[name] = defined[name]
            continue
        module, original = origin[name]
        file = ROOT / f"{module.replace('.', '/')}.py"
        found[name] = _defined(ast.parse(file.read_text(encoding="utf-8")).body)[original]
    return found


def _defined(body: list[ast.stmt]) -> Defined:
    """Return what some statements define; the docstring of an assignment is the text below it."""
    found: Defined = {}
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node, ast.get_docstring(node) or ""
        for name in _assigned(node):
            text = below.value if isinstance(below, ast.Expr) else None
            said = isinstance(text, ast.Constant) and isinstance(text.value, str)
            found[name] = node, inspect.cleandoc(text.value) if said else ""  # type: ignore[union-attr,arg-type]
    return found


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [one.id for one in targets if isinstance(one, ast.Name)]


def _block(node: ast.stmt, text: str) -> str:
    """Return the code of one public name."""
    if isinstance(node, ast.ClassDef):
        lines = [*_class(node, text)]
        if lines[-1].lstrip().startswith("#"):
            lines.append("    ...")
    elif isinstance(node, ast.FunctionDef):
        lines = [*_function(node, text, "")]
    else:
        lines = [*_comment(first_sentence(text), ""), *_statement(node, "")]
    return "\n".join(lines)


def _class(node: ast.ClassDef, text: str) -> Iterator[str]:
    """Yield the lines of a class: its attributes, then its methods."""
    yield from _decorators(node.decorator_list, "")
    bases = ", ".join(map(ast.unparse, node.bases))
    yield f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    yield from _comment(first_sentence(text), "    ")
    arguments = dict(_arguments(text))
    fields = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    for name, (one, said) in _defined(node.body).items():
        public = not name.startswith("_") or (name in SPECIAL and not fields)
        if isinstance(one, ast.FunctionDef) and public:
            yield ""
            yield from _function(one, said, "    ")
        elif public and name != "model_config":
            yield ""
            yield from _comment(first_sentence(said) or arguments.get(name, ""), "    ")
            yield from _statement(one, "    ")


def _function(node: ast.FunctionDef, text: str, indent: str) -> Iterator[str]:
    yield from _comment(first_sentence(text), indent)
    yield from _decorators(node.decorator_list, indent)
    returns = f" -> {_double_quoted(ast.unparse(node.returns))}" if node.returns else ""
    parameters = [*map(_double_quoted, _parameters(node.args))]
    line = f"{indent}def {node.name}({', '.join(parameters)}){returns}: ..."
    if len(line) <= WIDTH:
        yield line
        return
    yield f"{indent}def {node.name}("
    yield from (f"{indent}    {one}," for one in parameters)
    yield f"{indent}){returns}: ..."


def _parameters(given: ast.arguments) -> Iterator[str]:
    """Yield each parameter of a function as it is written."""
    by_position = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(by_position) - len(given.defaults)) + given.defaults
    for index, (one, default) in enumerate(zip(by_position, defaults, strict=True), 1):
        yield _parameter(one, default)
        if index == len(given.posonlyargs):
            yield "/"
    if given.vararg:
        yield f"*{ast.unparse(given.vararg)}"
    elif given.kwonlyargs:
        yield "*"
    yield from map(_parameter, given.kwonlyargs, given.kw_defaults)
    if given.kwarg:
        yield f"**{ast.unparse(given.kwarg)}"


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    equals = " = " if one.annotation else "="
    return ast.unparse(one) + (f"{equals}{ast.unparse(default)}" if default else "")


def _decorators(nodes: list[ast.expr], indent: str) -> Iterator[str]:
    for one in map(ast.unparse, nodes):
        if one.partition("(")[0] in DECORATORS:
            yield f"{indent}@{one}"


def _comment(text: str, indent: str) -> Iterator[str]:
    """Yield a comment above what it is about."""
    mark = f"{indent}# "
    yield from textwrap.wrap(text, WIDTH, initial_indent=mark, subsequent_indent=mark)


def _statement(node: ast.stmt, indent: str) -> Iterator[str]:
    """Yield an assignment. If it is long, types and tables get lines, and a call's value none."""
    line = f"{indent}{_double_quoted(ast.unparse(node))}"
    value = getattr(node, "value", None)
    if len(line) <= WIDTH:
        yield line
    elif isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Tuple):
        yield f"{indent}{_assigned(node)[0]} = {ast.unparse(value.value)}["
        yield from (f"{indent}    {_double_quoted(ast.unparse(one))}," for one in value.slice.elts)
        yield f"{indent}]"
    elif isinstance(value, ast.Dict) and isinstance(node, ast.AnnAssign):
        yield f"{indent}{_assigned(node)[0]}: {ast.unparse(node.annotation)} = {{"
        pairs = zip(value.keys, value.values, strict=True)
        rows = ((ast.unparse(k), ast.unparse(v)) for k, v in pairs if k)
        yield from (f"{indent}    {_double_quoted(k)}: {_double_quoted(v)}," for k, v in rows)
        yield f"{indent}}}"
    else:
        yield f"{indent}{line.partition('(')[0].strip()}(...)"


def _double_quoted(code: str) -> str:
    return code if '"' in code else code.replace("'", '"')


def _arguments(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield each name under `Args:` or `Attributes:` of a docstring, with its text."""
    for part in re.findall(r"^(?:Args|Attributes):\n((?:    .*\n?|\n)+)", docstring, re.MULTILINE):
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(part).strip()):
            names, _, text = entry.partition(": ")
            first, *others = names.split(", ")
            told = " ".join(text.split())
            told = f"{told[:1].upper()}{told[1:]}"
            yield first, f"`{'`, `'.join((first, *others))}`: {told}" if others else told
