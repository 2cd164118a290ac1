"""For plugin authors: does a plugin keep the contract?"""

from __future__ import annotations

from ganzoo.testing.kit import (
    CHECKS,
    Case,
    Check,
    CheckFailed,
    NotApplicable,
    Subject,
    cases,
    check,
    require,
)

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "CheckFailed",
    "NotApplicable",
    "Subject",
    "cases",
    "check",
    "require",
]
