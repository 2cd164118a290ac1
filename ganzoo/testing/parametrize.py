"""The kit as tests of pytest: `parametrize_with_checks`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.plugin_system.registry import Registry, current
from ganzoo.testing.cases import Case, cases, refuse_unknown
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, Unusable

if TYPE_CHECKING:
    import pytest


class Advice(UserWarning):
    """A component fails an advisory check; `-W error::ganzoo.testing.Advice` fails its test."""


@dataclass(frozen=True)
class CaseTest:
    """A case for a test function.

    What doesn't apply is skipped. What fails says why, and is a warning where the check is
    advisory and raises no other exception. What could not be tested fails as NOT TESTED: it must
    not look as if it had passed. Only where another check fails for the same cause it is skipped,
    unless the failure of that one is expected: then nothing else would show that this check is not
    made.

    Args:
        case: the check of one component.
        expected: names of all checks that are expected to fail, as in `Case.names`. A check that is
            named must fail even if it is advisory, and one that is named for this component must
            apply to it.
    """

    case: Case
    expected: frozenset[str] = frozenset()

    def __call__(self, folder: Path) -> None:
        """Make the check in an empty folder, such as `tmp_path`."""
        __tracebackhide__ = True
        import pytest

        case, expected = self.case, self.expected
        demand = f"{case.of} fails {case.check.name}: {case.check.summary}"
        untested = f"NOT TESTED: {case.of}: {case.check.name}"
        advice = ""
        try:
            case(folder)
        except NotApplicable as reason:
            if case.id in expected:
                pytest.fail(
                    f"{case.id} does not apply ({reason}): expect that no longer", pytrace=False
                )
            pytest.skip(str(reason))
        except Unusable as reason:
            reporter, plugin = reason.reported_by, f"plugin {case.record.namespace}"
            if not expected.isdisjoint({reporter, f"{reporter}:{case.of}", f"{reporter}:{plugin}"}):
                pytest.fail(f"{untested}: {reason.pointer}", pytrace=False)
            pytest.skip(f"NOT TESTED: {reason.pointer}")
        except NotTested as reason:
            pytest.fail(f"{untested}: {reason}", pytrace=False)
        except CheckFailed as fault:
            if not expected.isdisjoint(case.names):
                raise  # an exception is what the mark expects, and pytest.fail is none
            if not case.check.advisory:
                pytest.fail(f"{demand}\n{fault}", pytrace=False)
            advice = f"{demand}\n{fault}"
        if advice:  # out here, so that a warning that is an error doesn't show the fault twice
            warnings.warn(advice, Advice, stacklevel=2)


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
    pytest's mark `slow`. A failure of an advisory check is a warning, `ganzoo.testing.Advice`. A
    check that could not be made, because data are missing for example, fails as NOT TESTED.

    Args:
        namespace: the plugin's; it must be installed.
        settings: options by component id, over those of the preset `tiny`.
        expected_failures: reasons by check name (then every component fails it), or by
            `check_name:kind namespace/name`. A check that passes in spite of it fails the test, and
            so does one that is named for a component to which it does not apply, so that these
            entries are removed when their reason is gone. The checks that can't be made because
            an expected one fails, such as all others of a network that fails `check_shapes`, fail
            as NOT TESTED, and no entry changes that.
        registry: where the plugin is; by default what is installed.

    Raises:
        PluginError: the plugin isn't installed, or doesn't work.
        UsageError: an expected failure, or a component with settings, that doesn't exist.
    """
    import pytest

    reasons = dict(expected_failures or {})
    found = list(cases(namespace, registry or current(), settings))
    refuse_unknown(reasons, found, "expected_failures")

    def parameter(case: Case) -> Any:
        marks: list[pytest.MarkDecorator] = [pytest.mark.slow] if case.check.slow else []
        reason = reasons.get(case.id, reasons.get(case.check.name))
        if reason is not None:
            # pytest.fail raises no Exception: what is NOT TESTED fails whatever is expected.
            marks.append(pytest.mark.xfail(reason=reason, strict=True, raises=Exception))
        test = CaseTest(case, expected=frozenset(reasons))
        return pytest.param(test, id=f"{case.check.name}-{case.of}", marks=marks)

    decorate: Callable[..., pytest.MarkDecorator] = pytest.mark.parametrize
    return decorate("case", [parameter(case) for case in found])
