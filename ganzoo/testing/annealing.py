"""Options that change with training, for the checks that anneal them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from ganzoo.api import Scalar
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.testing.kit import CheckFailed, NotApplicable
from ganzoo.testing.subject import Subject


def schedules(subject: Subject) -> Iterator[tuple[str, float, float]]:
    """Options that may be annealed, by their name in recipes, with two values for each."""
    options = subject.choose().options
    for name, info in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, Scalar):
            start = value.start or 1.0
            yield key_of(name, info), start, start / 2


def refuse_unread(names: Sequence[str], clock: str) -> NoReturn:
    """Say that none of a component's options that may be annealed changes anything.

    Args:
        names: of the options that could be tried.
        clock: what they are read by.

    Raises:
        CheckFailed: there are some.
        NotApplicable: there are none.
    """
    if not names:
        raise NotApplicable("no option of type Scalar")
    ones = ", ".join(names)
    raise CheckFailed(
        f"{ones} may be set, and changes nothing: read it, as `options.{names[0]}.at({clock})`, or "
        "leave it out; where another option switches it off, switch it on in a preset `tiny`"
    )
