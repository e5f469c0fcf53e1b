"""The state file deleted, cut short, or flipped bit by bit: the product recovers, and the destination tells.

No double copy, no loss, no false Conflict, whatever was done to the file between two ticks.
"""

import random
from pathlib import Path
from threading import Event

import pytest
from faulty import FaultyS3

from syncd import configfile
from syncd.installation import Installation
from syncd.model import TickReport
from syncd.run import Request
from syncd.wiring import run_job
from syncd.world import TRAIL_BUCKET, write_configuration

SHARD = "AWSLogs/222222222222/CloudTrail/us-east-1/"
JOB = "account-b"


class Site:
    """One job against the fake, in this process."""

    def __init__(self, server: FaultyS3, folder: Path) -> None:
        self.server = server
        world = server.world()
        self.bucket = world.consumer(JOB).bucket
        configuration = configfile.load(write_configuration(world, folder))
        self._job = next(job for job in configuration.jobs if job.name == JOB)
        self.told: list[str] = []
        self._installation = Installation.of(
            configuration, now=lambda: self.now, tell=lambda event, **_: self.told.append(event)
        )
        self.state = configuration.settings.state_dir / "ledger.sqlite3"
        self.now = 1_795_507_200.0

    def deliver(self, count: int, name: str) -> None:
        for number in range(count):
            stem = f"222222222222_CloudTrail_us-east-1_20261123T{number % 24:02}15Z_{name}{number:08}"
            body = f"{name} {number}".encode()
            self.server.put(TRAIL_BUCKET, f"{SHARD}2026/11/23/{stem}.json.gz", body)

    def tick(self) -> TickReport:
        self.now += 3700
        return run_job(self._job, Request(), self._installation, stop=Event())

    def is_mirrored(self) -> bool:
        source = {key: item.body for key, item in self.server.objects(TRAIL_BUCKET).items()}
        return source == {key: item.body for key, item in self.server.objects(self.bucket).items()}


@pytest.fixture
def site(faulty: FaultyS3, tmp_path: Path) -> Site:
    return Site(faulty, tmp_path)


def delete(file: Path, _: random.Random) -> None:
    for path in file.parent.glob("ledger.sqlite3*"):
        path.unlink()


def truncate(file: Path, chance: random.Random) -> None:
    with file.open("r+b") as opened:
        opened.truncate(chance.randrange(file.stat().st_size))


def flip(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(3):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [delete, truncate, flip])
@pytest.mark.parametrize("seed", range(4))
def test_damage_between_ticks_costs_no_object_no_second_copy_and_no_conflict(
    site: Site, damage: object, seed: int
) -> None:
    assert callable(damage)
    chance = random.Random(seed)
    site.deliver(60, "first")
    assert site.tick().copied == 60
    reports = []
    for round_number in range(6):
        damage(site.state, chance)
        site.deliver(5, f"round{round_number}")
        reports.append(site.tick())

    assert site.is_mirrored()
    assert sum(report.copied for report in reports) == 30
    assert [report.conflict_count for report in reports] == [0] * 6
    assert {report.outcome for report in reports} == {"ok"}
