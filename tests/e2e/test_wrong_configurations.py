"""A configuration that cannot be right is refused before anything runs, each problem with its file, its key and a remedy."""

import re
from pathlib import Path
from typing import Any

import pytest
from program import Ran
from stage import Stage

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown key": ({"source.buckett": "x"}, "source.buckett", r"did you mean|unknown|no such key"),
    "an account ID as a number": ({"consumer.account_id": 222222222222}, "consumer.account_id", r"quotes"),
    "a user's ARN for the role": (
        {"source.role.arn": "arn:aws:iam::111111111111:user/Test"},
        "source.role.arn",
        r"role/",
    ),
    "a bucket name with capitals": (
        {"destination.bucket": "My_Bucket"},
        "destination.bucket",
        r"lower|capital|letters",
    ),
    "a third party without its external ID": (
        {"source.role.external_id": None},
        "source.role.external_id",
        r"third_party",
    ),
    "an interval without a unit": ({"every": 5}, "every", r'"5s"|quotes'),
    "an interval and a cron line": ({"cron": "*/5 * * * *"}, "cron", r"every"),
    "a kind of copy that is none": ({"destination.copy": "rsync"}, "destination.copy", r"stream"),
    "a secret": ({"consumer.aws_secret_access_key": SECRET}, "consumer.aws_secret_access_key", r"secret|credentials"),
    "no bucket": ({"source.bucket": None}, "source.bucket", r"missing|required"),
    "a source that is its own destination": (
        {"destination.bucket": "example-trail"},
        "destination",
        r"source|itself|own",
    ),
}


def assert_refused(stage: Stage, ran: Ran) -> None:
    """Exit 2, words and nothing else, and nothing was done."""
    assert ran.code == 2, ran
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert stage.server.requests == ()
    assert not stage.state.exists()


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_configuration_is_refused_in_its_own_words(stage: Stage, name: str) -> None:
    changes, key, words = WRONG[name]
    path = stage.job(changes=changes)

    ran = stage.syncd("tick", "--json")

    assert_refused(stage, ran)
    (line,) = [each for each in ran.stderr.splitlines() if each.startswith(f"{path}: {key}")]
    assert re.search(words, line), line
    assert SECRET not in ran.stderr


def test_all_problems_of_all_files_are_reported_at_once(stage: Stage) -> None:
    stage.configure({"log.level": "loud", "state_dirr": "/x"})
    b = stage.job("account-b", {"every": "0s", "source.region": "nowhere at all"})
    z = stage.job("account-z", {"source.role.external_id": None})

    ran = stage.syncd("tick")

    assert_refused(stage, ran)
    starts = [line.split(": ")[:2] for line in ran.stderr.splitlines()]
    assert starts == [
        [str(stage.config), "state_dirr"],
        [str(stage.config), "log.level"],
        [str(b), "every"],
        [str(b), "source.region"],
        [str(z), "source.role.external_id"],
    ] or {tuple(start) for start in starts} == {
        (str(stage.config), "state_dirr"),
        (str(stage.config), "log.level"),
        (str(b), "every"),
        (str(b), "source.region"),
        (str(z), "source.role.external_id"),
    }


TWO: dict[str, tuple[dict[str, Any], str]] = {
    "one name": ({"destination.prefix": "second/"}, "name: "),
    "one place": ({"name": "second"}, "destination"),
}


@pytest.mark.parametrize("what", TWO)
def test_of_two_jobs_of_one_name_or_one_place_the_second_is_refused(stage: Stage, what: str) -> None:
    changes, key = TWO[what]
    stage.job("account-b")
    second = stage.job("account-b", changes, file="second")

    ran = stage.syncd("tick", "--json")

    first, other = ran.document["jobs"]
    assert (ran.code, first["job"], first["outcome"], other["outcome"]) == (3, "account-b", "ok", "failed")
    assert f"{second}: {key}" in other["error"]["detail"]


@pytest.mark.parametrize("what", TWO)
def test_strictly_two_jobs_of_one_name_or_one_place_are_refused(stage: Stage, what: str) -> None:
    changes, key = TWO[what]
    stage.job("account-b")
    second = stage.job("account-b", changes, file="second")

    ran = stage.syncd("tick", "--strict")

    assert_refused(stage, ran)
    assert f"{second}: {key}" in ran.stderr


def test_a_file_that_is_no_toml_is_named_with_the_place(stage: Stage) -> None:
    path = stage.job()
    path.write_text('name = "account-z"\n[source\n')

    ran = stage.syncd("tick")

    assert_refused(stage, ran)
    assert f"{path}: " in ran.stderr
    assert "line 2" in ran.stderr


def test_a_configuration_that_is_not_there_is_named(stage: Stage, tmp_path: Path) -> None:
    ran = stage.syncd("tick", "--config", str(tmp_path / "no.toml"), with_config=False)

    assert_refused(stage, ran)
    assert str(tmp_path / "no.toml") in ran.stderr
    assert "--config" in ran.stderr


def test_a_configuration_that_is_a_folder_is_refused(stage: Stage, tmp_path: Path) -> None:
    ran = stage.syncd("status", "--config", str(tmp_path), with_config=False)

    assert_refused(stage, ran)
    assert str(tmp_path) in ran.stderr


def test_the_configuration_is_also_found_by_the_variable(stage: Stage) -> None:
    stage.job()

    ran = stage.syncd("tick", "--json", with_config=False, SYNCD_CONFIG=str(stage.config))

    assert (ran.code, ran.job["job"]) == (0, "account-z")


def test_the_option_wins_over_the_variable(stage: Stage, tmp_path: Path) -> None:
    stage.job()

    ran = stage.syncd("tick", "--json", SYNCD_CONFIG=str(tmp_path / "no.toml"))

    assert ran.code == 0


@pytest.mark.parametrize("place", ["syncd.toml", "config/syncd.toml"])
def test_a_configuration_in_the_current_folder_is_never_read(stage: Stage, place: str) -> None:
    stage.job()
    here = stage.folder / "home" / place
    here.parent.mkdir(exist_ok=True)
    here.write_text(stage.config.read_text().replace("jobs.d/", f"{stage.config.parent}/jobs.d/"))

    ran = stage.syncd("tick", "--json", with_config=False)

    assert_refused(stage, ran)
    assert "/etc/syncd/syncd.toml" in ran.stderr


USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "an unknown verb": (("tock",), "tock"),
    "no verb": ((), "Usage"),
    "an unknown option": (("tick", "--jsonn"), "--jsonn"),
    "an unknown job": (("tick", "nobody"), "nobody"),
    "a catch-up without its first day": (("catch-up",), "--from"),
    "a first day that is none": (("catch-up", "--from", "2026-02-30"), "2026-02-30"),
    "a last day before the first": (("catch-up", "--from", "2026-11-02", "--to", "2026-11-01"), "2026-11-01"),
    "a plan whose last day is before its first": (("plan", "--from", "2026-11-02", "--to", "2026-11-01"), "2026-11-01"),
    "a plan with a last day alone": (("plan", "--to", "2026-11-01"), "--from"),
    "an account that is none": (("catch-up", "--from", "2026-11-01", "--account", "12"), "12"),
}


@pytest.mark.parametrize("name", USAGE)
def test_each_wrong_use_is_refused_in_its_own_words(stage: Stage, name: str) -> None:
    arguments, words = USAGE[name]
    stage.job()

    ran = stage.syncd(*arguments, with_config=bool(arguments))

    assert ran.code == 2, ran
    assert words in ran.stderr + ran.stdout
    assert "Traceback" not in ran.stderr
    assert stage.server.requests == ()
    assert not stage.state.exists()


def test_an_unknown_job_is_told_which_there_are(stage: Stage) -> None:
    stage.job("account-b")
    stage.job("account-c")

    ran = stage.syncd("tick", "account-b", "account-d")

    assert_refused(stage, ran)
    assert "account-d" in ran.stderr
    assert "account-b, account-c" in ran.stderr


def test_a_configuration_without_jobs_is_nothing_to_do(stage: Stage) -> None:
    stage.configure({"jobs": []})

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.document) == (0, {"jobs": []})
