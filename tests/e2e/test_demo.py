"""`syncd demo` as a newcomer runs it."""

import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from program import PROGRAM
from waiting import wait_until

from syncd.cli.demo import demo
from syncd.cli.demo.embedded import EmbeddedError

_SECONDS = 90
_LOOKS_SECONDS = 10.0
"""Five hundred looks, each of which runs the program."""


@dataclass(frozen=True)
class Kept:
    """A demo that was played with --keep, what was done while it ran on, and how it ended."""

    document: Any
    broken: Mapping[str, Any]
    """What `demo break` said, by trouble."""
    troubled: Mapping[str, Any]
    """The jobs' entries in `status` while they were broken, by trouble."""
    page: str
    """The status page while three jobs were broken."""
    codes: Mapping[str, int]
    """The exit codes of the commands that the demo suggests."""
    again: Any
    """The document of a tick without the state."""
    code: int
    stderr: str
    left_behind: list[str]
    """Files, and the port if somebody still listened there."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """One demo for the tests of this module, whichever worker of pytest-xdist runs them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = shared / "demo.json"
        if not file.exists():
            file.write_text(json.dumps(asdict(played(tmp_path_factory.mktemp("demo")))))
        return Kept(**json.loads(file.read_text()))


def played(folder: Path) -> Kept:
    """A demo with --keep, which Ctrl-C ends."""
    with started("--keep", "--json", folder=folder) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        config = Path(document["kept"]["config"])
        keys, stateless = config.parent / "cloudtrail-public-keys.json", config.parent / "no-state" / "syncd.toml"
        suggested = {
            "check": ran(folder, "check", "account-b", "--config", str(config)),
            "verify": ran(folder, "verify", "--no-heal", "--keys", str(keys), "--config", str(config)),
            "without state": ran(folder, "tick", "--json", "--config", str(stateless)),
        }
        broken, troubled, page = troubles(folder, document["kept"])
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=_SECONDS)
    address = urlsplit(document["kept"]["url"])
    with socket.socket() as probe:
        is_served = probe.connect_ex((str(address.hostname), address.port)) == 0
    return Kept(
        document,
        broken,
        troubled,
        page,
        {name: done.returncode for name, done in suggested.items()},
        json.loads(suggested["without state"].stdout),
        process.returncode,
        stderr,
        [*(path.name for path in folder.iterdir()), *([address.netloc] if is_served else [])],
    )


def troubles(folder: Path, kept: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Breaks three jobs at once, and then the clock; each time until `status` shows it, and until it is mended."""
    broken: dict[str, Any] = {}
    troubled: dict[str, Any] = {}
    page = ""
    for together in (("role", "late", "conflict"), ("clock",)):
        for trouble in together:
            broken[trouble] = json.loads(ran(folder, "demo", "break", trouble, "--json").stdout)
        jobs = {trouble: "account-b" if trouble == "clock" else broken[trouble]["job"] for trouble in together}
        wait_until(lambda jobs=jobs: not set(jobs.values()) & healthy(folder), seconds=_LOOKS_SECONDS)
        troubled |= {trouble: states(folder)[job] for trouble, job in jobs.items()}
        with urlopen(kept["page"], timeout=_SECONDS) as answer:
            page = page or answer.read().decode()
        for trouble in together:
            command = shlex.split(broken[trouble]["mend"])
            assert ran(folder, *command[1:]).returncode == 0
        wait_until(lambda: len(healthy(folder)) == 3, seconds=_LOOKS_SECONDS)
    return broken, troubled, page


def states(folder: Path) -> dict[str, Any]:
    """The jobs in `status` of the kept demo."""
    (config,) = folder.glob("syncd-demo-*/syncd.toml")
    document = json.loads(ran(folder, "status", "--json", "--config", str(config)).stdout)
    return {job["job"]: job for job in document["jobs"]}


def healthy(folder: Path) -> set[str]:
    return {name for name, job in states(folder).items() if job["health"] == "healthy"}


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments], env=environment(folder), capture_output=True, text=True, check=False, timeout=_SECONDS
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

    assert all(count > 100 for count in copied[0])
    assert all(0 < count < 100 for count in copied[2])
    assert copied[3] == [0, 0, 0]


def test_a_role_that_breaks_stops_its_own_job_alone_and_nothing_is_lost_when_it_heals(kept: Kept) -> None:
    _, broken, healed, _ = ({job["job"]: job for job in tick["jobs"]} for tick in kept.document["ticks"])

    assert [job["outcome"] for job in broken.values()] == ["ok", "failed", "ok"]
    assert broken["account-c"]["error"]["reason"] == "access_denied"
    assert [job["outcome"] for job in healed.values()] == ["ok"] * 3


def test_a_marker_loses_logs_of_a_real_order_of_delivery_and_syncd_none(kept: Kept) -> None:
    (beside,) = kept.document["markers"]

    assert beside["delivered"] == 19
    assert 2 <= len(beside["lost_by_marker"]) <= 4
    assert beside["lost_by_syncd"] == []


def test_a_log_and_its_digest_that_come_hours_late_are_found_by_c_and_z_whose_it_is_to_read(kept: Kept) -> None:
    late = {job["job"]: job["late_beyond_allowance"] for job in kept.document["ticks"][2]["jobs"]}

    assert late["account-b"] == 0
    assert late["account-z"] == 2
    assert late["account-c"] >= 2


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


def test_what_is_proved_is_so_no_more_where_somebody_tampered_with_it_until_it_is_mended(kept: Kept) -> None:
    before, after, mended = (
        {job["job"]: (job["verdict"], sorted(job["problems"])) for job in proved["jobs"]}
        for proved in kept.document["proved"]
    )

    assert list(before.values()) == [("proved", [])] * 3
    assert after == {"account-b": ("some", ["log_altered"])}
    assert mended == {"account-b": ("proved", [])}


def test_what_a_kept_demo_suggests_works(kept: Kept) -> None:
    again = kept.again["jobs"]

    assert kept.codes == dict.fromkeys(kept.codes, 0)
    assert [job["copied"] for job in again] == [0, 0, 0]
    assert all(job["already_there"] > 100 for job in again)


def test_a_trouble_shows_in_the_job_that_has_it_with_its_reason(kept: Kept) -> None:
    jobs = {trouble: (job["job"], job["health"]) for trouble, job in kept.troubled.items()}
    why = {trouble: " ".join(job["why"]) for trouble, job in kept.troubled.items()}

    assert jobs["role"] == ("account-b", "failing")
    assert jobs["late"] == ("account-c", "incomplete")
    assert jobs["conflict"] == ("account-z", "incomplete")
    assert "ListObjectsV2" in why["role"]
    assert "access_denied" in why["late"]
    assert "conflict" in why["conflict"]
    assert "clock_skewed" in why["clock"]
    assert "it is not known how late" in why["clock"]
    assert jobs["clock"] == ("account-b", "late")
    assert kept.page.count('class="badge warn"') == 3
    assert all(job in kept.page for job, _ in jobs.values())
    assert "3 of 3 jobs need attention" in kept.page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("break", "role"), "no demo of yours keeps running: run `syncd demo --keep`"),
        (("mend",), "needs one of role, late, conflict, clock"),
        (("break", "roll"), "'roll' is not one of 'role', 'late', 'conflict', 'clock'"),
        (("brake", "role"), "'brake' is not one of 'break', 'mend'"),
    ],
)
def test_a_trouble_that_cannot_be_given_is_refused(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    refused = ran(tmp_path, "demo", *arguments)

    assert refused.returncode != 0
    assert told in refused.stderr


def test_a_demo_leaves_no_file_and_no_server_behind(kept: Kept) -> None:
    assert kept.left_behind == []


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
