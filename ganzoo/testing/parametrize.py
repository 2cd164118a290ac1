"""The kit as tests of pytest: `parametrize_with_checks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError
from ganzoo.plugin_system.registry import Registry, current
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.testing.kit import Case, CheckFailed, NotApplicable, cases

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class CaseTest:
    """A case for a test function: what doesn't apply is skipped, and what fails says why."""

    case: Case

    def __call__(self, folder: Path) -> None:
        """Make the check in an empty folder, such as `tmp_path`."""
        __tracebackhide__ = True
        import pytest

        try:
            self.case(folder)
        except NotApplicable as reason:
            pytest.skip(str(reason))
        except CheckFailed as fault:
            demand = f"{self.case.of} fails {self.case.check.name}: {self.case.check.summary}"
            pytest.fail(f"{demand}\n{fault}", pytrace=False)


def parametrize_with_checks(
    namespace: str,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> pytest.MarkDecorator:
    """Make a test function one test for every check of a plugin and its components.

    ```python
    @parametrize_with_checks("foo")
    def test_conformance(case, tmp_path):
        case(tmp_path)
    ```

    Tests are called `check_name-kind namespace/name`. Checks that take more than a few seconds have
    pytest's mark `slow`.

    Args:
        namespace: the plugin's; it must be installed.
        settings: options by component id, over those of the preset `tiny`.
        expected_failures: reasons by check name (then every component fails it), or by
            `check_name:kind namespace/name`. A check that passes in spite of it fails the test, so
            that no excuse outlives its reason.
        registry: where the plugin is; by default what is installed.

    Raises:
        PluginError: the plugin isn't installed, or doesn't work.
        UsageError: an expected failure, or a component with settings, that doesn't exist.
    """
    import pytest

    reasons = dict(expected_failures or {})
    found = list(cases(namespace, registry or current(), settings))
    known = {name for case in found for name in (case.check.name, case.id)}
    for name in reasons:
        if name not in known:
            raise UsageError(
                f'expected_failures: the plugin "{namespace}" has no check "{name}"',
                hint=did_you_mean(name, known) or f"`ganzoo plugins check {namespace}` has them",
            )

    def parameter(case: Case) -> Any:
        marks: list[pytest.MarkDecorator] = [pytest.mark.slow] if case.check.slow else []
        reason = reasons.get(case.id, reasons.get(case.check.name))
        if reason is not None:
            marks.append(pytest.mark.xfail(reason=reason, strict=True))
        return pytest.param(CaseTest(case), id=f"{case.check.name}-{case.of}", marks=marks)

    decorate: Callable[..., pytest.MarkDecorator] = pytest.mark.parametrize
    return decorate("case", [parameter(case) for case in found])
