"""`--help` and the shell's completion say what there is."""

import subprocess
from pathlib import Path

import pytest
from program import PROGRAM
from reference import verbs
from stage import Stage

VERBS = verbs()


def completed(stage: Stage, line: str) -> list[str]:
    """What bash offers for a line that is being typed."""
    ended = subprocess.run(
        [PROGRAM],
        env=stage.environment(
            _SYNCD_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(line.count(" ")),
            SYNCD_CONFIG=str(stage.config),
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.split()


def test_verbs_are_completed(stage: Stage) -> None:
    assert completed(stage, "syncd c") == ["catch-up", "check", "config"]


@pytest.mark.parametrize("verb", ["check", "tick", "policies"])
def test_jobs_are_completed(stage: Stage, verb: str) -> None:
    for name in ("account-b", "account-c"):
        stage.job(name)

    assert completed(stage, f"syncd {verb} acc") == ["account-b", "account-c"]


def test_where_the_configuration_cannot_be_read_no_job_is_offered(stage: Stage) -> None:
    stage.config.write_text("jobs =")

    assert completed(stage, "syncd check ") == []


def test_options_are_completed(stage: Stage) -> None:
    assert completed(stage, "syncd policies --pri") == ["--principal"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(stage: Stage, shell: str) -> None:
    shown = subprocess.run(
        [PROGRAM, "--show-completion", shell],
        env=stage.environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert shown.returncode == 0, shown
    assert "_SYNCD_COMPLETE" in shown.stdout


def test_help_lists_every_verb(stage: Stage) -> None:
    ran = stage.syncd("--help", with_config=False)

    assert ran.code == 0
    assert [verb for verb in VERBS if verb.split()[0] not in ran.stdout] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_says_what_it_does_and_what_each_option_is_for(verb: str) -> None:
    command = VERBS[verb]

    assert command.help
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []


def test_the_program_is_where_it_is_installed() -> None:
    assert Path(PROGRAM).is_file()
