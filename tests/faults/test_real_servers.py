"""The program on servers that others wrote, behind a proxy: a network that breaks, and kills. Versions count the writes."""

import random
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before, job_table, toml
from injection.program_run import Run, run
from injection.proxy import Proxy, Way, proxy
from servers import MakeClient, S3Server

from syncd.cli.demo.world import ACCOUNT_Z, REGION, build_world, credentials_text

JOB = "account-z"


@dataclass
class Site:
    """Both buckets of a job on a real server, and a folder from which the program reaches it through a proxy."""

    folder: Path
    between: Proxy
    client: Any
    """The destination's owner."""
    destination: str
    keys: list[str]
    runs: int = 0

    def start(self, *arguments: str) -> Any:
        """Starts the program."""
        self.runs += 1
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true"}
        return run(
            (*arguments, "--config", str(self.folder / "syncd.toml")),
            folder=self.folder / f"run-{self.runs}",
            environment=environment,
        )

    def tick(self) -> tuple[int, Any]:
        """The exit code and the job's report of a whole tick."""
        with self.start("tick", "--json") as started:
            code = started.code()
            return code, started.jobs()[JOB]

    def writes(self) -> Counter[str]:
        """By key, how many versions there are; one that was deleted has a marker more."""
        answer = self.client.list_object_versions(Bucket=self.destination)
        return Counter(item["Key"] for kind in ("Versions", "DeleteMarkers") for item in answer.get(kind, []))


@pytest.fixture(params=["ministack", "seaweed"])
def site(request: pytest.FixtureRequest, make_client: MakeClient, tmp_path: Path) -> Any:
    server: S3Server = request.getfixturevalue(request.param)
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    source = make_client(server.url, **keys)
    with proxy(int(server.url.rpartition(":")[2])) as between:
        if server.name == "ministack":
            world = build_world(server.url)
            consumer = world.consumer(JOB)
            table = job_table(world, consumer, tmp_path / "credentials", between.url)
            (tmp_path / "credentials").write_text(credentials_text(world))
            client = make_client(server.url, **{**keys, "access_key_id": ACCOUNT_Z})
            names = (world.bucket, consumer.bucket)
        else:
            names = (server.fresh_bucket_name(), server.fresh_bucket_name())
            for name in names:
                source.create_bucket(Bucket=name)
            table = _without_a_role(server, tmp_path / "credentials", between.url, *names)
            client = source
        client.put_bucket_versioning(Bucket=names[1], VersioningConfiguration={"Status": "Enabled"})
        (tmp_path / "jobs.d").mkdir()
        (tmp_path / "jobs.d" / "job.toml").write_text(toml(table))
        (tmp_path / "syncd.toml").write_text(toml({"state_dir": tmp_path / "state", "http": {"listen": ""}}))
        yield Site(tmp_path, between, client, names[1], _delivered(source, names[0]))


def _without_a_role(server: S3Server, credentials: Path, url: str, source: str, destination: str) -> dict[str, Any]:
    """A job that reads and writes as itself, on a server that has one account."""
    secret = f"aws_access_key_id = {server.access_key_id}\naws_secret_access_key = {server.secret_access_key}\n"
    credentials.write_text(f"[storage]\n{secret}")
    return {
        "name": JOB,
        "consumer": {"account_id": ACCOUNTS[0], "profile": "storage", "credentials_file": str(credentials)},
        "source": {"account_id": ACCOUNTS[0], "bucket": source, "region": REGION},
        "destination": {"bucket": destination, "region": REGION},
        "endpoints": {"s3": url},
    }


def _delivered(source: Any, bucket: str) -> list[str]:
    """Sixty logs of the last two days."""
    days = days_before(datetime.now(UTC), 2)
    deliveries = list(Trail().span(ACCOUNTS[:2], REGIONS[:1], days, logs=15))
    for item in deliveries:
        source.put_object(Bucket=bucket, Key=item.key, Body=item.body, ContentEncoding="gzip")
    return [item.key for item in deliveries]


@pytest.mark.parametrize("way", [Way.RESET, Way.CUT], ids=lambda way: way.name.lower())
def test_a_network_that_breaks_is_told_and_costs_no_object(site: Site, way: Way) -> None:
    site.between.treat(way)
    code, broken = site.tick()
    met = site.between.met
    site.between.treat(Way.PASS)
    healed_code, healed = site.tick()

    assert met > 0
    assert (code, broken["outcome"]) == (1, "failed")
    # Whether a piece of an answer is none or a wrong one depends on where it is cut.
    assert broken["error"]["reason"] in {"connection_failed", "unexpected_answer"}
    assert (healed_code, healed["copied"]) == (0, len(site.keys))
    assert site.writes() == dict.fromkeys(site.keys, 1)


def test_kills_cost_no_object_and_write_none_twice(site: Site) -> None:
    chance = random.Random(3)
    killed = [_killed(site, chance) for _ in range(4)]

    code, report = site.tick()

    assert killed == [-signal.SIGKILL] * 4
    assert (code, report["failed_count"], report["conflict_count"]) == (0, 0, 0)
    assert site.writes() == dict.fromkeys(site.keys, 1)


def _killed(site: Site, chance: random.Random) -> int:
    """The exit code of a daemon that is killed at a random moment."""
    started: Run
    with site.start("run") as started:
        with suppress(TimeoutExpired):
            started.code(seconds=chance.uniform(0.3, 2.0))
        started.signal(signal.SIGKILL)
        return started.code()
