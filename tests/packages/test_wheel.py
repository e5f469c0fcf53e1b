"""The wheel in an empty environment: by pip, and by uv where there is one. `make packages` runs it; it takes an index."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from syncd import __version__

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    command = [sys.executable, PROJECT / "supply" / "release.py", "--output", folder, "--without-deb"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (found,) = folder.glob("*.whl")
    return found


def output(*command: object, **environment: str) -> str:
    """What a program prints."""
    run = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        cwd="/",
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def assert_it_works(program: Path, folder: Path) -> None:
    """It starts, its templates and tables came along, and it sets up a first job."""

    assert output(program, "--version") == f"syncd {__version__}\n"
    assert "properties" in json.loads(output(program, "config", "schema", "--job"))
    given = ["--consumer-account", "222222222222", "--bucket", "example-trail", "--region", "us-east-1"]
    given += ["--role", "arn:aws:iam::111111111111:role/Test", "--destination", "example-b-logs"]
    given += ["--destination-region", "us-east-1", "--name", "b"]
    output(program, "init", "--directory", folder / "etc", *given, AWS_EC2_METADATA_DISABLED="true")
    assert "b" in output(program, "config", "validate", "--config", folder / "etc" / "syncd.toml")


def test_pip_installs_it_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"

    output(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)

    output(python, "-m", "pip", "check")
    assert_it_works(python.with_name("syncd"), tmp_path)


@pytest.mark.needs_tool("uv")
def test_uv_installs_it_as_a_tool(wheel: Path, tool: Path, tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}

    output(tool, "tool", "install", "--quiet", wheel, UV_CACHE_DIR=str(tmp_path / "cache"), **folders)

    assert_it_works(tmp_path / "bin" / "syncd", tmp_path)
