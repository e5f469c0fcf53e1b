"""`syncd config`: the schema that editors use, and a check that needs no network."""

import pytest
from jsonschema import Draft202012Validator
from stage import Stage

from syncd.config.job import json_schema


@pytest.mark.parametrize("options", [(), ("--job",)])
def test_the_schema_is_printed(stage: Stage, options: tuple[str, ...]) -> None:
    stage.config.unlink()

    ran = stage.syncd("config", "schema", *options, with_config=False)

    assert (ran.code, ran.stderr) == (0, "")
    assert ran.document == json_schema(is_job=bool(options))
    Draft202012Validator.check_schema(ran.document)


def test_a_right_configuration_is_said_to_be(stage: Stage) -> None:
    stage.job("account-b")
    stage.job("account-c")

    ran = stage.syncd("config", "validate")

    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == f"{stage.config}: nothing is wrong; jobs: account-b, account-c\n"
    assert stage.server.requests == ()
    assert not stage.state.exists()


@pytest.mark.parametrize(("options", "jobs"), [((), ["account-b"]), (("--strict",), [])])
def test_every_problem_of_every_job_is_named(stage: Stage, options: tuple[str, ...], jobs: list[str]) -> None:
    stage.job("account-b")
    wrong = stage.job("account-c", {"every": 5, "source.buckett": "x"})
    torn = stage.job("account-z")
    torn.write_text('name = "account-z"\n[source\n')

    ran = stage.syncd("config", "validate", "--json", *options)

    assert (ran.code, ran.stderr) == (2, "")
    assert (ran.document["config"], ran.document["jobs"]) == (str(stage.config), jobs)
    assert [(each["file"], each["key"]) for each in ran.document["problems"]] == [
        (str(wrong), "source.buckett"),
        (str(wrong), "every"),
        (str(torn), ""),
    ]
    assert 'write "5s"' in ran.document["problems"][1]["message"]


def test_people_are_told_the_same_on_stderr(stage: Stage) -> None:
    stage.configure({"log.level": "loud"})
    wrong = stage.job("account-b", {"every": 5})

    ran = stage.syncd("config", "validate")

    assert (ran.code, ran.stdout) == (2, "")
    assert [line.split(": ")[:2] for line in ran.stderr.splitlines()] == [
        [str(stage.config), "log.level"],
        [str(wrong), "every"],
    ]


def test_a_configuration_that_is_not_there_is_wrong(stage: Stage) -> None:
    stage.config.unlink()

    ran = stage.syncd("config", "validate", "--json")

    assert ran.code == 2
    assert [each["file"] for each in ran.document["problems"]] == [str(stage.config)]
