"""The place in the sources where a component's target is defined, found without importing it."""

from __future__ import annotations

import ast
import importlib.util
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from ganzoo.api import Component


def source_of(component: Component) -> tuple[str, int | None]:
    """Return the file and the line of the class or function that a component is.

    They are read from the function that imports and returns it. Where that function does anything
    else, its own file and line are returned.
    """
    function: Any = getattr(component.target, "func", component.target)  # `func`: of a partial
    code = getattr(function, "__code__", None)
    if code is None:
        return "", None
    place = code.co_filename, code.co_firstlineno
    tree = _parsed(code.co_filename)
    body = _function(tree, code.co_name, code.co_firstlineno) if tree else None
    names = _returned(body) if body else []
    if tree is None or body is None or not names:
        return place
    package = str(function.__globals__.get("__package__") or "")
    imported = _imported(body, names, package)
    if imported is None:  # the target is defined in the same file
        line = _line(tree, names)
        return (code.co_filename, line) if line else place
    module, names = imported
    file = _file_of(module)
    tree = _parsed(file)
    return (file, _line(tree, names) if tree and names else None) if file else place


def _parsed(file: str) -> ast.Module | None:
    """Return the syntax tree of a file, or None if it can't be read."""
    try:
        return ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _function(tree: ast.Module, name: str, line: int) -> ast.FunctionDef | None:
    """Return the function with a name that begins at a line; its decorators belong to it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = node.decorator_list[0] if node.decorator_list else node
            if first.lineno == line:
                return node
    return None


def _returned(function: ast.FunctionDef) -> list[str]:
    """Return the names in `return module.Name` at the end of a function; none for other values."""
    last = function.body[-1]
    value = last.value if isinstance(last, ast.Return) else None
    names: list[str] = []
    while isinstance(value, ast.Attribute):
        names.insert(0, value.attr)
        value = value.value
    return [value.id, *names] if isinstance(value, ast.Name) else []


def _imported(
    function: ast.FunctionDef, names: list[str], package: str
) -> tuple[str, list[str]] | None:
    """Return the module from which a function imports what it returns, and the names in it.

    None means that the first name isn't imported by the function.

    Args:
        function: the function.
        names: the parts of the name that it returns.
        package: the package of its module, for relative imports.
    """
    first, *others = names
    for node in function.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds `a`, and `import a.b as n` binds the module itself.
                if alias.asname == first:
                    return alias.name, others
                parts = alias.name.split(".")
                if alias.asname is None and names[: len(parts)] == parts and names[len(parts) :]:
                    return alias.name, names[len(parts) :]
        if isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names:
                if (alias.asname or alias.name) == first:
                    submodule = f"{module}.{alias.name}"
                    if others and _file_of(submodule):
                        return submodule, others
                    return module, [alias.name, *others]
    return None


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the whole name of the module from which a statement imports."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    above = parents[: len(parents) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _file_of(module: str) -> str:
    """Return the source file of a module, or an empty string if there is none.

    `importlib.util.find_spec("a.b")` would import `a`, so it is called for the top-level name only.
    """
    first, *others = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return ""
    name = first
    for part in others:
        if spec is None:
            return ""
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    return (spec.origin or "") if spec else ""


def _line(tree: ast.Module | ast.stmt, names: list[str]) -> int | None:
    """Return the line of the last definition of a name in a module or in one of its classes."""
    found: ast.stmt | None = None
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.stmt):
            continue
        if names[0] in _defined(node):
            found = node
        elif isinstance(node, ast.If | ast.Try):  # the definition may stand in one of the branches
            line = _line(node, names)
            if line is not None:
                return line
    if found is None:
        return None
    inner = _line(found, names[1:]) if names[1:] else None
    return inner or found.lineno


def _defined(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
