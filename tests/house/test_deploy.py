"""What deploy/README.md tells people to type."""

import re

import pytest
from deployed import DEPLOY, PROJECT, VERBS

README = (DEPLOY / "README.md").read_text()

PATHS = sorted({match.rstrip(".") for match in re.findall(r"\b(?:deploy|config|requirements)/[\w./@*-]+", README)})
LINKS = sorted(set(re.findall(r"\]\(([^)#:]+)\)", README)))
COMMANDS = sorted(set(re.findall(r"(?:^|`|-- |(?:exec|run --rm) syncd )syncd ([a-z-]+)", README, re.MULTILINE)))


@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_is_installed_is_in_the_project(path: str) -> None:
    assert list(PROJECT.glob(path))


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_to_something(link: str) -> None:
    assert (DEPLOY / link).exists()


def test_a_command_is_a_verb_of_syncd() -> None:
    assert {"check", "plan", "status"} <= set(COMMANDS) <= VERBS


def test_each_of_the_three_ways_is_told_of() -> None:
    assert {"systemd/", "docker/", "kubernetes/"} <= set(LINKS)


def test_verbs_that_touch_the_state_are_run_as_its_owner() -> None:
    typed = re.findall(r"^(.*\bsyncd (?:check|plan|status|tick|policies)\b.*)$", README, re.MULTILINE)
    typed = [line for line in typed if "docker" not in line and "kubectl" not in line and "`" not in line]

    assert typed
    assert [line for line in typed if not line.startswith("runuser -u syncd -- ")] == []


def test_nothing_is_installed_from_an_index_that_is_not_pinned_and_built_already() -> None:
    commands = [line for line in README.replace("\\\n", " ").splitlines() if re.match(r"\S*pip install", line)]

    assert len(commands) == 2
    for command in commands:
        assert "--no-index" in command or {"--require-hashes", "--only-binary"} <= set(command.split())


@pytest.mark.parametrize("unit", ["syncd", "syncd@acme", "syncd-tick.timer", "syncd-catch-up@account-b"])
def test_every_unit_is_started_by_a_command(unit: str) -> None:
    assert re.search(rf"systemctl (enable --now|start --no-block) {re.escape(unit)}[\n`]", README)
