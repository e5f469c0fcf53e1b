"""A command line that would do nothing is told so, by the option that makes it so, and nothing is run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from program import Ran
from reference import flags, verbs
from stage import Stage

USAGE = 2
ELSEWHERE = "444455556666"


def caught_up(stage: Stage, *options: str) -> Ran:
    """A catch-up over the last days."""
    day = days_before(datetime.now(UTC), 2)[0]
    given = options if "--from" in options else ("--from", f"{day}", *options)
    return stage.syncd("catch-up", *given)


REFUSED: Mapping[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "an account of no job": (
        {"source.accounts": list(ACCOUNTS[:2])},
        ("--account", ELSEWHERE),
        f'--account: none of the jobs can read "{ELSEWHERE}": their source.accounts are {ACCOUNTS[0]}, {ACCOUNTS[1]}',
    ),
    "no region": ({}, ("--region", "xx"), '--region: none of the jobs can read "xx": their source.regions are all AWS'),
    "a region of no job": (
        {"source.regions": [REGIONS[0]]},
        ("--region", REGIONS[1]),
        f'--region: none of the jobs can read "{REGIONS[1]}": their source.regions are {REGIONS[0]}; give one of these',
    ),
    "an account of a layout without accounts": (
        {"source.layout": "flat", "source.regions": None, "source.kinds": None, "source.accounts": None},
        ("--account", ACCOUNTS[0]),
        'only layout = "cloudtrail" has accounts; leave it out',
    ),
    "a day to come": ({}, ("--from", "2999-01-01"), "--from: 2999-01-01 is in the future; name a day up to today"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_catch_up_of_what_cannot_be_is_refused_with_its_option_and_the_remedy(stage: Stage, name: str) -> None:
    changes, options, told = REFUSED[name]
    stage.job(changes=changes)

    ran = caught_up(stage, *options)

    assert (ran.code, ran.stdout) == (USAGE, "")
    assert told in ran.stderr
    assert not stage.server.requests


def test_a_region_is_asked_of_the_jobs_that_read_the_account(stage: Stage) -> None:
    stage.job("account-b", {"source.accounts": [ACCOUNTS[0]], "source.regions": [REGIONS[0]]})
    stage.job("account-c", {"source.accounts": [ACCOUNTS[1]], "source.regions": [REGIONS[1]]})

    ran = caught_up(stage, "--account", ACCOUNTS[0], "--region", REGIONS[1])

    assert ran.code == USAGE
    assert f"their source.regions are {REGIONS[0]};" in ran.stderr


def test_an_account_that_one_of_the_jobs_reads_is_caught_up(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], days_before(now, 2), logs=2))
    stage.job("account-b", {"source.accounts": [ACCOUNTS[0]]})
    stage.job("account-c", {"source.accounts": [ACCOUNTS[1]]})

    ran = stage.syncd("catch-up", "--json", "--from", f"{days_before(now, 2)[0]}", "--account", ACCOUNTS[1])

    copied = {job["job"]: job["copied"] for job in ran.document["jobs"]}
    assert (ran.code, copied) == (0, {"account-b": 0, "account-c": 4})


def test_every_verb_takes_config_and_json() -> None:
    lacking = [name for name, command in verbs().items() if not {"--config", "--json"} <= set(flags(command))]

    assert lacking == []


def test_the_demo_says_that_it_does_not_read_the_file() -> None:
    (option,) = (item for item in verbs()["demo"].params if "--config" in item.opts)

    assert "the demo writes its own" in option.help
