"""For plugin authors: does a plugin keep the contract?

The checks are in the modules that `ganzoo.testing.kit.MODULES` names; this package imports none of
them, so that its pytest plugin is light.
"""

from __future__ import annotations

from ganzoo.testing.kit import (
    Case,
    Check,
    CheckFailed,
    NotApplicable,
    Subject,
    all_checks,
    cases,
    check,
    require,
)
from ganzoo.testing.parametrize import parametrize_with_checks

__all__ = [
    "Case",
    "Check",
    "CheckFailed",
    "NotApplicable",
    "Subject",
    "all_checks",
    "cases",
    "check",
    "parametrize_with_checks",
    "require",
]
