"""One job's broken file refuses that job, loudly, and no other; `--strict` refuses all."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from stage import Stage

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def wrong_value(path: Path) -> None:
    path.write_text(path.read_text().replace('every = "5m"', 'every = "nowhere"'))


def no_toml(path: Path) -> None:
    path.write_text(path.read_text() + "\n[[[\n")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def too_large(path: Path) -> None:
    path.write_text("#" * (2 * 1024 * 1024))


def dots(path: Path) -> None:
    path.write_text('name = "account-c"\n' + "a." * 50_000 + "a = 1\n")


def variable(path: Path) -> None:
    path.write_text(path.read_text().replace('credentials_file = "', 'credentials_file = "${AWS_SECRET_ACCESS_KEY}'))


BREAKS = {each.__name__: each for each in (wrong_value, no_toml, pipe, device, too_large, dots, variable)}
NAMELESS = {"pipe", "device", "too_large"}


@pytest.fixture
def both(stage: Stage, now: datetime) -> Stage:
    """An honest job with three objects to copy, and another one whose file a test breaks."""
    stamps = [now - timedelta(minutes=minutes) for minutes in (5, 6, 7)]
    stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], stamp) for stamp in stamps)
    stage.job("account-b")
    return stage


def broken(stage: Stage, how: str) -> str:
    """Breaks the file of account-c; what the job is called from then on."""
    path = stage.job("account-c")
    BREAKS[how](path)
    return str(path) if how in NAMELESS else "account-c"


@pytest.mark.parametrize("how", BREAKS)
def test_the_others_run_and_the_broken_one_is_reported(both: Stage, how: str) -> None:
    label = broken(both, how)

    ran = both.syncd("tick", "--json", AWS_SECRET_ACCESS_KEY=SECRET)

    honest, other = ran.document["jobs"]
    assert ran.code == 3
    assert (honest["job"], honest["outcome"], honest["copied"]) == ("account-b", "ok", 3)
    assert (other["job"], other["outcome"]) == (label, "failed")
    assert other["error"]["reason"] == "configuration_refused"
    assert [line["job"] for line in ran.logged if line["event"] == "job.refused"] == [label]
    assert SECRET not in ran.stdout + ran.stderr


@pytest.mark.parametrize("how", BREAKS)
def test_alone_a_broken_file_is_a_configuration_that_cannot_be_used(stage: Stage, how: str) -> None:
    broken(stage, how)

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.stdout) == (2, "")
    assert "account-c.toml" in ran.stderr
    assert not stage.state.exists()


VERBS: dict[str, tuple[tuple[str, ...], int]] = {
    "tick": (("tick",), 3),
    "catch-up": (("catch-up", "--from", "2026-11-01"), 3),
    "plan": (("plan",), 3),
    "rebuild": (("ledger", "rebuild"), 3),
    "status": (("status",), 4),
    "check": (("check",), 4),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_over_all_jobs_has_an_entry_for_it(both: Stage, verb: str) -> None:
    broken(both, "wrong_value")
    arguments, code = VERBS[verb]

    ran = both.syncd(*arguments, "--json")

    assert ran.code == code, ran
    assert [job["job"] for job in ran.document["jobs"]] == ["account-b", "account-c"]
    assert "nowhere" in json.dumps(ran.document["jobs"][1])
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_tells_people_of_it_too(both: Stage, verb: str) -> None:
    broken(both, "wrong_value")
    arguments, code = VERBS[verb]

    ran = both.syncd(*arguments)

    assert ran.code == code, ran
    assert "nowhere" in ran.stdout


@pytest.mark.parametrize("verb", ["export", "list"])
def test_the_verbs_of_the_ledger_name_it_beside_what_they_read(both: Stage, verb: str) -> None:
    both.syncd("tick")
    broken(both, "wrong_value")
    arguments = ("ledger", "export") if verb == "export" else ("ledger", "quarantine", "list")

    ran = both.syncd(*arguments, "--json")

    assert ran.code == 3
    assert [item["job"] for item in ran.document["refused"]] == ["account-c"]
    assert ran.document["error"] is None


def test_a_verb_for_the_broken_job_is_refused_and_one_for_another_does_not_mind(both: Stage) -> None:
    broken(both, "no_toml")

    named = both.syncd("tick", "account-b", "account-c", "--json")
    other = both.syncd("tick", "account-b", "--json")

    assert (named.code, named.stdout) == (2, "")
    assert "account-c.toml" in named.stderr
    assert (other.code, other.job["outcome"]) == (0, "ok")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("tick",),
        ("catch-up", "--from", "2026-11-01"),
        ("plan",),
        ("status",),
        ("check",),
        ("policies", "account-b"),
        ("ledger", "rebuild"),
        ("ledger", "export"),
        ("ledger", "quarantine", "list"),
        ("ledger", "quarantine", "retry", "k"),
        ("ledger", "quarantine", "accept", "k"),
    ],
    ids=" ".join,
)
def test_strictly_every_verb_is_refused(both: Stage, arguments: tuple[str, ...]) -> None:
    broken(both, "wrong_value")

    ran = both.syncd(*arguments, "--strict", "--json")

    assert (ran.code, ran.stdout) == (2, "")
    assert "account-c.toml: every" in ran.stderr
    assert both.server.requests == ()


def test_a_value_of_a_variable_is_in_no_message(both: Stage) -> None:
    path = both.job("account-c")
    path.write_text(path.read_text().replace('credentials_file = "', 'credentials_file = "${SYNCD_KEYS}'))

    ran = both.syncd("tick", "--json", SYNCD_KEYS="/run/geheim")
    looked = both.syncd("status", "--json", SYNCD_KEYS="/run/geheim")

    assert ran.code == 3
    assert "${SYNCD_KEYS}" in ran.document["jobs"][1]["error"]["detail"]
    assert "geheim" not in ran.stdout + ran.stderr + looked.stdout + looked.stderr


FIRST = ("--consumer-account", "222222222222", "--bucket", "example-trail", "--region", "us-east-1")
SECOND = ("--source-account", "111111111111", "--destination", "example-new", "--destination-region", "us-east-1")


def test_a_new_job_is_written_beside_one_whose_file_cannot_be_used(both: Stage) -> None:
    broken(both, "no_toml")

    ran = both.syncd("init", "--name", "new", *FIRST, *SECOND)

    assert ran.code == 0, ran
    assert (both.config.parent / "jobs.d" / "new.toml").exists()


def test_a_new_job_that_would_turn_out_another_one_is_not_written(both: Stage) -> None:
    both.job("account-c", file="other")
    taken = both.world.consumer("account-c")
    changes = ("--destination", taken.bucket, "--endpoint", both.server.url)

    ran = both.syncd("init", "--name", "new", *FIRST, *SECOND, *changes)

    assert ran.code == 2, ran
    assert "is not written" in ran.stderr
    assert not (both.config.parent / "jobs.d" / "new.toml").exists()


def test_plain_http_beyond_this_machine_is_asked_for_in_so_many_words(both: Stage) -> None:
    arguments = ("init", "--name", "new", *FIRST, *SECOND, "--endpoint", "http://minio.example.com:9000")

    refused = both.syncd(*arguments, AWS_EC2_METADATA_DISABLED="true")
    allowed = both.syncd(*arguments, "--allow-http")

    assert (refused.code, allowed.code) == (2, 0), (refused, allowed)
    assert "--endpoint: http:// beyond this machine" in refused.stderr
    assert "allow_http = true" in (both.config.parent / "jobs.d" / "new.toml").read_text()
