"""`--help` and the shell's completion say what there is."""

import subprocess
from collections.abc import Mapping
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
            _SYNCD_COMPLETE="bash_complete",
            COMP_WORDS=line,
            COMP_CWORD=str(line.count(" ")),
            SYNCD_CONFIG=str(stage.config),
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.removeprefix("plain,") for line in ended.stdout.splitlines() if line]


def test_verbs_are_completed(stage: Stage) -> None:
    assert completed(stage, "syncd c") == ["catch-up", "completion", "check", "config"]


@pytest.mark.parametrize("verb", ["check", "tick", "policies"])
def test_jobs_are_completed(stage: Stage, verb: str) -> None:
    for name in ("account-b", "account-c"):
        stage.job(name)

    assert completed(stage, f"syncd {verb} acc") == ["account-b", "account-c"]


def test_jobs_are_completed_in_bash_from_the_configuration_before_the_verb(stage: Stage) -> None:
    for name in ("account-b", "account-c"):
        stage.job(name)
    words = f"{PROGRAM} --config {stage.config} tick account-b acc"
    asked = f"""source <("$0" completion bash); COMP_WORDS=({words}); COMP_CWORD=5; _syncd_completion "$0" acc tick
    printf '%s\\n' "${{COMPREPLY[@]}}" """

    ended = subprocess.run(
        ["bash", "-ec", asked, PROGRAM], env=stage.environment(), capture_output=True, text=True, timeout=60, check=True
    )

    assert (ended.stdout.split(), ended.stderr) == (["account-b", "account-c"], "")


def test_where_the_configuration_cannot_be_read_no_job_is_offered(stage: Stage) -> None:
    stage.config.write_text("jobs =")

    assert completed(stage, "syncd check ") == []


def test_options_are_completed(stage: Stage) -> None:
    assert completed(stage, "syncd policies --pri") == ["--principal"]


@pytest.mark.parametrize(
    ("shell", "own"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --no-files")]
)
def test_completion_is_printed_for_the_shell_that_is_named(stage: Stage, shell: str, own: str) -> None:
    ran = stage.syncd("completion", shell, with_config=False, SHELL="/bin/dash", PATH="")

    assert (ran.code, ran.stderr) == (0, "")
    assert own in ran.stdout
    assert f"{shell}_complete" in ran.stdout


@pytest.mark.parametrize("asked", ["complete_fish", "bash_complete", "x"])
def test_a_script_of_another_version_is_to_be_loaded_again(stage: Stage, asked: str) -> None:
    ran = stage.syncd(with_config=False, _SYNCD_COMPLETE=asked)

    assert (ran.code, ran.stdout) == (1, "")
    assert "load `syncd completion bash|zsh|fish` again" in ran.stderr


def test_a_script_for_bash_asks_for_nothing_that_old_ones_lack(stage: Stage) -> None:
    assert "nosort" not in stage.syncd("completion", "bash", with_config=False).stdout


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
    assert "\n  --json     " in text
    assert "\n  --config PATH  " in text


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_says_what_it_does_and_what_each_option_is_for(verb: str) -> None:
    command = VERBS[verb]

    assert command.help
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []


WRONG: Mapping[tuple[str, ...], str] = {
    ("stat",): "No such command 'stat'. Did you mean 'status'?",
    ("ledger", "quarantine", "lits"): "No such command 'lits'. Did you mean 'list'?",
    ("tick", "--jsno"): "No such option '--jsno'. Did you mean '--json'?",
    ("catch-up",): "Missing option '--from'.",
    ("onboard",): "Missing argument 'CUSTOMER'.",
    ("--config", "syncd.toml"): "Missing command.",
    ("plan", "--from"): "Option '--from' requires an argument.",
    ("tick", "--json=yes"): "Option '--json' does not take a value.",
    ("policies", "account-b", "--format", "yaml"): "Invalid value for '--format': 'yaml' is not one of 'json', 'cloud",
    ("prune-source", "b", "--older-than", "x"): "Invalid value for '--older-than': 'x' is not a valid integer.",
    ("completion",): "        fish",
    ("completion", "tcsh"): "Invalid value for 'SHELL': 'tcsh' is not one of 'bash', 'zsh', 'fish'.",
    ("demo", "break", "moon"): "Invalid value for '[TROUBLE]': 'moon' is not one of 'role', 'late',",
    ("run", "a\u202e"): r"Got unexpected extra argument (a\u202e)",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_command_line_is_told_in_plain_text_with_what_was_expected(
    stage: Stage, arguments: tuple[str, ...]
) -> None:
    ran = stage.syncd(*arguments, with_config=False)

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].removeprefix("Error: ").startswith(WRONG[arguments])


def test_without_arguments_there_is_help_and_the_exit_code_of_a_wrong_command_line(stage: Stage) -> None:
    for group in ((), ("ledger",), ("ledger", "quarantine"), ("config",)):
        ran = stage.syncd(*group, with_config=False)
        assert (ran.code, ran.stdout, ran.stderr) == (2, stage.syncd(*group, "-h", with_config=False).stdout, "")


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns_and_ends_with_an_example(stage: Stage, verb: str) -> None:
    text = stage.syncd(*verb.split(), "-h", with_config=False, COLUMNS="200").stdout
    described, _, examples = text.partition("\n  Examples:\n")

    assert [line for line in described.splitlines() if len(line) > 80] == []
    assert f"syncd {verb}" in examples


def test_the_program_is_where_it_is_installed() -> None:
    assert Path(PROGRAM).is_file()
