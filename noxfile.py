"""Sessions of work on ganzoo: `nox -s quick`, `test`, `lint`, `docs`, or `all` of them.

They run in the environment that nox itself is in, which `pip install -e '.[test]'` made, since
another one would need another torch. What follows `--` goes to pytest; `lint` takes names of its
parts there.
"""

from __future__ import annotations

import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["quick", "lint"]

LINTS = {
    "ruff": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
}


def pytest(session: nox.Session, *options: str) -> None:
    """Run pytest with options, and then with what follows `--`."""
    session.run(sys.executable, "-m", "pytest", *options, *session.posargs)


@nox.session
def quick(session: nox.Session) -> None:
    """Run the tests for work between edits, which take less than a minute."""
    pytest(session, "-m", "quick")


@nox.session
def test(session: nox.Session) -> None:
    """Run every test that needs neither minutes, real data, a network nor a GPU."""
    pytest(session)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests of `test` and say which share of the lines they reach.

    It isn't a part of `all` or `.ci/run`: on Python 3.11 it takes half as much time again. From
    3.12 on Python itself counts lines, which costs less.
    """
    if sys.version_info >= (3, 12):
        session.env["COVERAGE_CORE"] = "sysmon"
    pytest(session, "--cov", "--cov-report=term", "--cov-report=markdown:coverage.md")


@nox.session
def slow(session: nox.Session) -> None:
    """Run the truth tests and the matrices."""
    # Two processes with a thread each train more in an hour than one with two threads.
    options = ("-n", "2", "--dist", "worksteal", "--timeout", "400")
    pytest(session, "-m", "slow", *options)


@nox.session
def network(session: nox.Session) -> None:
    """Run the tests that need the package index."""
    pytest(session, "-m", "network", "-n", "0")


@nox.session
def data(session: nox.Session) -> None:
    """Run the tests on the real data sets under GANZOO_DATA."""
    pytest(session, "-m", "data", "-n", "0")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and types."""
    for name in [one for one in session.posargs if one in LINTS] or LINTS:
        session.run(sys.executable, "-m", *LINTS[name])


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated parts of the documents and the recipe schema, and test the documents."""
    session.run(sys.executable, "docs/generate.py")
    schema = ("schema", "-o", "recipes/recipe.schema.json")
    session.run(sys.executable, "-m", "ganzoo", *schema, env={"GANZOO_PLUGIN_AUTOLOAD": "0"})
    tests = ("tests/test_docs.py", "tests/test_docs_authors.py", "tests/test_docs_zoo.py")
    pytest(session, *tests)


@nox.session(name="all")
def everything(session: nox.Session) -> None:
    """Run `lint`, `docs`, `test` and `slow`."""
    for name in ("lint", "docs", "test", "slow"):
        session.notify(name)
