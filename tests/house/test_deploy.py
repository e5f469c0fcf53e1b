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


@pytest.mark.parametrize("unit", ["syncd", "syncd-tick.timer", "syncd-catch-up@account-b"])
def test_every_unit_is_started_by_a_command(unit: str) -> None:
    assert re.search(rf"systemctl (enable --now|start --no-block) {re.escape(unit)}[\n`]", README)
