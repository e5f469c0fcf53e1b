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
    assert completed(stage, "syncd c") == ["catch-up", "completion", "check", "config"]


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


@pytest.mark.parametrize(
    ("shell", "own"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --command")]
)
def test_completion_is_printed_for_the_shell_that_is_named(stage: Stage, shell: str, own: str) -> None:
    ran = stage.syncd("completion", shell, with_config=False, SHELL="/bin/dash")

    assert (ran.code, ran.stderr) == (0, "")
    assert own in ran.stdout
    assert f"complete_{shell}" in ran.stdout


def test_help_lists_every_verb(stage: Stage) -> None:
    ran = stage.syncd("--help", with_config=False)

    assert ran.code == 0
    assert [verb for verb in VERBS if verb.split()[0] not in ran.stdout] == []


def test_the_configuration_may_be_named_before_the_verb(stage: Stage) -> None:
    stage.job()
    before = stage.syncd("--config", str(stage.config), "status", "--json", with_config=False)
    both = stage.syncd("--config", "/nowhere/syncd.toml", "status", "--json")

    assert [job["job"] for job in before.document["jobs"]] == ["account-z"]
    assert both.document == before.document


@pytest.mark.parametrize("words", [("status",), ("ledger", "quarantine", "retry")], ids=" ".join)
def test_help_has_examples_and_shows_flags_as_such(stage: Stage, words: tuple[str, ...]) -> None:
    text = stage.syncd(*words, "--help", with_config=False).stdout

    assert f"$ syncd {' '.join(words)}" in text
    assert "<bool>" not in text
    assert "--json" in text


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_says_what_it_does_and_what_each_option_is_for(verb: str) -> None:
    command = VERBS[verb]

    assert command.help
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []


def test_the_program_is_where_it_is_installed() -> None:
    assert Path(PROGRAM).is_file()
