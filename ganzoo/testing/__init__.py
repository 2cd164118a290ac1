"""For plugin authors: does a plugin keep the contract?

The checks are in the modules that `ganzoo.testing.kit.MODULES` names; this package imports none of
them, so that its pytest plugin is light.
"""

from __future__ import annotations

from ganzoo.testing.cases import Case, cases
from ganzoo.testing.kit import (
    Check,
    CheckFailed,
    NotApplicable,
    NotTested,
    Unusable,
    all_checks,
    check,
    require,
)
from ganzoo.testing.parametrize import Advice, parametrize_with_checks
from ganzoo.testing.subject import Subject

__all__ = [
    "Advice",
    "Case",
    "Check",
    "CheckFailed",
    "NotApplicable",
    "NotTested",
    "Subject",
    "Unusable",
    "all_checks",
    "cases",
    "check",
    "parametrize_with_checks",
    "require",
]
