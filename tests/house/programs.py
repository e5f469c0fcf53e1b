"""Tools that the house tests borrow from the machine, and a record of the tests that were left out for want of one.

A test marked `needs_tool("hadolint")` is deselected where hadolint is missing, and the end of the run says so in a line
that begins with NOT RUN. Where the variable CI is true nothing is left out: the test fails.

The functions named `pytest_...` are hooks: a conftest.py imports them, or `-p programs` does.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

_MARKER = "needs_tool"
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def find_tool(name: str) -> Path | None:
    """The program of that name: the one installed beside this Python, else the one on PATH; None where there is none."""
    beside = Path(sys.prefix, "bin", name)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    return Path(found) if found else None


@pytest.fixture
def tool(request: pytest.FixtureRequest) -> Path:
    """The program that the test's `needs_tool` marker names."""
    marker = request.node.get_closest_marker(_MARKER)
    assert marker is not None, f"a test that asks for `tool` says which one: @pytest.mark.{_MARKER}(NAME)"
    found = find_tool(marker.args[0])
    assert found is not None
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", f"{_MARKER}(name): the program that the test runs; NOT RUN where it is missing")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes out the tests whose tool is missing, and remembers them."""
    if _is_ci():
        return
    wanting = {item: missing for item in items if (missing := _missing_tools(item))}
    if wanting:
        config.stash.setdefault(_LEFT_OUT, Counter()).update(name for names in wanting.values() for name in names)
        items[:] = [item for item in items if item not in wanting]
        config.hook.pytest_deselected(items=list(wanting))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fails a test whose tool is missing; only where CI is true does one get this far."""
    for name in _missing_tools(item):
        pytest.fail(f"{name} is not installed, and CI leaves no test out", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tells the process that prints the summary, where this one is a worker of pytest-xdist."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tools_left_out"] = dict(session.config.stash.get(_LEFT_OUT, Counter()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes over what a worker of pytest-xdist left out; every worker collects the same tests."""
    theirs: Mapping[str, int] = getattr(node, "workeroutput", {}).get("tools_left_out", {})
    left_out = node.config.stash.setdefault(_LEFT_OUT, Counter())
    left_out |= Counter(theirs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what was not run."""
    for line in _not_run(config.stash.get(_LEFT_OUT, Counter())):
        terminalreporter.write_line(line, yellow=True)


def _not_run(left_out: Counter[str]) -> Iterator[str]:
    for name, count in sorted(left_out.items()):
        yield f"NOT RUN: {count} {'test' if count == 1 else 'tests'}, since {name} is not installed"


def _missing_tools(item: pytest.Item) -> list[str]:
    return [mark.args[0] for mark in item.iter_markers(_MARKER) if find_tool(mark.args[0]) is None]


def _is_ci() -> bool:
    return os.environ.get("CI") == "true"
