"""Files that `policies --output` writes, and what it does about those that are there."""

import re
import subprocess
from pathlib import Path

import pytest
from needed_tools import find_tool
from stage import Stage


def written(stage: Stage, out: Path, *more: str) -> tuple[int, str]:
    ran = stage.syncd(
        "policies", "account-z", "--principal", "account", "--format", "terraform", "--output", str(out), *more
    )
    return ran.code, ran.stderr


def test_an_edited_file_is_kept_until_it_may_be_replaced(stage: Stage, tmp_path: Path) -> None:
    stage.job()
    out = tmp_path / "out"
    first = written(stage, out)
    path = out / "111111111111" / "syncd.tf"
    made = path.read_text()
    path.write_text(made + "# mine\n")
    path.with_name("notes.txt").write_text("kept")

    refused = written(stage, out)
    kept = path.read_text()
    replaced = written(stage, out, "--replace")

    assert (first[0], refused[0], replaced[0], written(stage, out)[0]) == (0, 1, 0, 0)
    assert kept == made + "# mine\n"
    assert str(path) in refused[1]
    assert "--replace" in refused[1]
    assert path.read_text() == made
    assert path.with_name("notes.txt").read_text() == "kept"


def test_an_account_without_documents_is_a_mistake_that_names_the_others(stage: Stage) -> None:
    stage.job()

    ran = stage.syncd("policies", "account-z", "--principal", "account", "--account", "100000000001")

    assert (ran.code, ran.stdout) == (2, "")
    assert re.search(r"the accounts(\W)+are.*[0-9]{12}", ran.stderr, re.DOTALL)


@pytest.mark.needs_tool("terraform")
def test_terraform_would_not_format_a_file_another_way(stage: Stage, tmp_path: Path) -> None:
    stage.job(changes={"source.role.external_id": "x" * 20, "destination.kms_key_id": "alias/replicas"})
    written(stage, tmp_path / "out")

    ended = subprocess.run(
        [str(find_tool("terraform")), "fmt", "-check", "-recursive", "-diff", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "")
