"""A test that needs a tool is never left out in silence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = """
import pytest

@pytest.mark.needs_tool("no-such-program")
def test_with_a_tool_that_is_missing(): ...

@pytest.mark.needs_tool("python")
def test_with_a_tool_that_is_there(tool):
    assert tool.exists()

def test_without_a_tool(): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_inner.py").write_text(_TESTS)
    return tmp_path


def run_pytest(project: Path, *options: str, ci: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "programs", "-p", "no:cacheprovider", "--strict-markers", *options],
        cwd=project,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parent), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_missing_tool_leaves_its_tests_out_and_is_named_at_the_end(project: Path, options: tuple[str, ...]) -> None:
    run = run_pytest(project, *options, ci="")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "NOT RUN: 1 test, since no-such-program is not installed" in run.stdout
    assert "2 passed" in run.stdout


def test_a_missing_tool_fails_its_tests_under_ci(project: Path) -> None:
    run = run_pytest(project, ci="true")

    assert run.returncode == 1
    assert "no-such-program is not installed, and CI leaves no test out" in run.stdout
    assert "2 passed" in run.stdout
