"""`syncd demo` as a newcomer runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from program import PROGRAM

from syncd.cli.demo import demo
from syncd.cli.demo.embedded import EmbeddedError

_SECONDS = 90


@dataclass(frozen=True)
class Kept:
    """A demo that was played with --keep, what was done while it ran on, and how it ended."""

    document: Any
    ticked_again: Any
    code: int
    stderr: str
    left_behind: list[str]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One demo for the tests of this module; Ctrl-C ends it."""
    folder = tmp_path_factory.mktemp("demo")
    with started("--keep", "--json", folder=folder) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        again = subprocess.run(
            [PROGRAM, "tick", "--json", "--config", document["kept"]["config"]],
            env=environment(folder),
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=_SECONDS)
        yield Kept(
            document, json.loads(again.stdout), process.returncode, stderr, [path.name for path in folder.iterdir()]
        )


def environment(folder: Path) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder / "nobody"), "TMPDIR": str(folder)}


def started(*options: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [PROGRAM, "demo", *options],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_all_that_the_demo_claims_holds(kept: Kept) -> None:
    assert kept.document["holds"] is True
    assert kept.code == 0


def test_each_job_copies_the_history_then_what_is_new_then_nothing(kept: Kept) -> None:
    copied = [[job["copied"] for job in tick["jobs"]] for tick in kept.document["ticks"]]

    assert all(count > 400 for count in copied[0])
    assert all(0 < count < 100 for count in copied[1])
    assert copied[2] == [0, 0, 0]


def test_a_log_and_its_digest_that_come_hours_late_are_found_by_c_and_z_whose_it_is_to_read(kept: Kept) -> None:
    late = {job["job"]: job["late_beyond_allowance"] for job in kept.document["ticks"][1]["jobs"]}

    assert late == {"account-b": 0, "account-c": 2, "account-z": 2}


def test_every_replica_is_the_same_as_what_its_consumer_may_read(kept: Kept) -> None:
    delivered = sum(item["objects"] for item in kept.document["delivered"])
    compared = {item["job"]: item for item in kept.document["compared"]}

    assert [item["differences"] for item in compared.values()] == [[], [], []]
    assert compared["account-z"]["objects"] == delivered
    assert compared["account-b"]["objects"] + compared["account-c"]["objects"] < delivered


def test_what_must_not_work_is_refused_by_the_server(kept: Kept) -> None:
    refused = {item["job"]["job"]: item["at"] for item in kept.document["refused"]}

    assert refused == {"guessing": "AssumeRole", "omitting": "AssumeRole", "prying": "ListObjectsV2"}
    assert all("AccessDenied" in item["job"]["error"]["detail"] for item in kept.document["refused"])


def test_what_is_proved_is_so_no_more_where_somebody_tampered_with_it(kept: Kept) -> None:
    before, after = (
        {job["job"]: (job["verdict"], sorted(job["problems"])) for job in proved["jobs"]}
        for proved in kept.document["proved"]
    )

    assert list(before.values()) == [("proved", [])] * 3
    assert after == {**before, "account-b": ("some", ["log_altered"])}


def test_a_kept_demo_can_be_played_with(kept: Kept) -> None:
    assert [job["outcome"] for job in kept.ticked_again["jobs"]] == ["ok", "ok", "ok"]


def test_a_demo_leaves_no_file_and_no_server_behind(kept: Kept) -> None:
    address = urlsplit(kept.document["kept"]["url"])

    assert kept.left_behind == []
    with socket.socket() as probe:
        assert probe.connect_ex((str(address.hostname), address.port)) != 0


def test_the_log_of_the_jobs_does_not_drown_the_story(kept: Kept) -> None:
    assert kept.stderr == ""


def test_a_demo_that_is_terminated_in_the_middle_cleans_up(tmp_path: Path) -> None:
    with started(folder=tmp_path) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("CloudTrail delivers" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        told, complaints = process.communicate(timeout=_SECONDS)

    assert process.returncode == 128 + signal.SIGTERM
    assert "Interrupted; nothing is left behind." in told
    assert complaints == ""
    assert list(tmp_path.iterdir()) == []


def test_without_its_extra_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EmbeddedError, match="make demo"):
        demo.run(keep=False, as_json=True)
