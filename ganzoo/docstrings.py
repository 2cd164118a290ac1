"""The docstrings under fields as their help texts; a module's source is parsed once for all.

Pydantic's own way (`use_attribute_docstrings`) searches all loaded modules and tokenizes the source
for each class, which took a tenth of `ganzoo show` and of `ganzoo schema`.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core.core_schema import CoreSchema

Texts = dict[str, str]
"""Text by annotated name, in their order; empty where there is none."""


class Described(BaseModel):
    """A model whose fields' help texts are the docstrings under them."""

    # Before the schema is made, which holds the texts too; where that is put off (`defer_build`,
    # a type not yet defined), when the class is.
    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        cls._describe_fields()
        return handler(source)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls._describe_fields()

    @classmethod
    def _describe_fields(cls) -> None:
        """Give each field without a description the docstring under it."""
        silent = [name for name, info in cls.__pydantic_fields__.items() if not info.description]
        texts = docstrings_of(cls) if silent else {}
        for name in silent:
            cls.__pydantic_fields__[name].description = texts.get(name) or None


def docstrings_of(cls: type) -> Texts:
    """The docstring under each name that a class annotates itself; no bases'.

    {} where there is no source to read, or the class isn't in it by its name.
    """
    try:
        source = inspect.getsource(sys.modules[cls.__module__])
        written = _classes(source).get(cls.__qualname__, [])
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    # One name may have several definitions, such as those for two versions of a library, and a
    # class that was made by a function may have the name of one that was written.
    own = set(vars(cls).get("__annotations__", ()))
    return max((texts for texts in written if texts.keys() <= own), key=len, default={})


@lru_cache(maxsize=64)
def _classes(source: str) -> dict[str, list[Texts]]:
    found: dict[str, list[Texts]] = {}
    for name, node in _walk(ast.parse(source), ""):
        found.setdefault(name, []).append(_texts(node))
    return found


def _walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class with its `__qualname__`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            yield from _walk(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _walk(child, prefix)


def _texts(node: ast.ClassDef) -> Texts:
    texts: Texts = {}
    for field, below in pairwise([*node.body, ast.Pass()]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            said = text.value if isinstance(text, ast.Constant) else None
            texts[field.target.id] = inspect.cleandoc(said) if isinstance(said, str) else ""
    return texts
