"""A day of ticks in which nothing is new: over HTTP, with the product's own wiring, and its state on disk."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import process_time
from typing import Any

from builders import toml
from history import (
    AT_DESTINATION,
    BEGIN,
    DAY,
    DEEP,
    DESTINATION,
    DISCOVERY,
    LISTS,
    RECENT,
    ROLE,
    SOURCE,
    TAIL,
    History,
    HistoryServer,
    serving,
)

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_Z, EXTERNAL_ID, REGION
from syncd.config.files import load
from syncd.job.installation import Installation
from syncd.job.run import run_job
from syncd.job.wiring import CATCH_UP, TICK, RunRequest
from syncd.model.objects import Window
from syncd.model.reports import TickReport
from syncd.tick.listing.sealing import SEAL_ROWS_A_TICK

TICKS_A_DAY = 288
ALLOWED_BESIDE = frozenset({"AssumeRole", "GetCallerIdentity"})
"""What may be asked that is no ListObjectsV2."""
DEEP_MARGIN = 2
"""LISTs a shard and day: the deep tier goes round a little more than once, and ends a round on a page of its own."""
_JOB = "quiet"
_RECENT_ROUNDS = 24


@dataclass(frozen=True)
class QuietDay:
    """What 24 hours of ticks came to."""

    history: History
    ticks: int
    remembered: int
    """Objects that the ledger remembered one by one when the day began; it knew of all."""
    asked: Counter[str]
    """What the server was asked, by kind: `history.LISTS`, else the operation."""
    reported: Counter[str]
    """What the ticks reported to have asked, by operation."""
    cpu_seconds: float
    """Of this process, in which the server is not."""

    @property
    def lists(self) -> int:
        """Every ListObjectsV2."""
        return sum(self.asked[kind] for kind in LISTS)

    @property
    def others(self) -> dict[str, int]:
        """Everything else, by operation."""
        return {kind: count for kind, count in self.asked.items() if kind not in LISTS}

    @property
    def lists_a_shard_and_tick(self) -> float:
        """Discovery left aside."""
        return (self.lists - self.asked[DISCOVERY]) / (len(self.history.shards) * self.ticks)

    @property
    def is_within_bounds(self) -> bool:
        """Whether there were no more LISTs, of each kind, than the bound, and nothing but those and STS."""
        bound = most_lists(self.history, self.ticks)
        return self.others.keys() <= ALLOWED_BESIDE and all(self.asked[kind] <= bound[kind] for kind in LISTS)


def most_lists(history: History, ticks: int) -> Mapping[str, int]:
    """One LIST per active shard and tick, one per 1,000 keys that recent and deep cover, and discovery."""
    shards, two_days_ago = len(history.shards), history.newest - 2 * DAY
    return {
        TAIL: shards * ticks,
        # Its first page stands in a tail's place, which is not taken off the tail here.
        RECENT: _RECENT_ROUNDS * history.pages(two_days_ago // DAY * DAY, history.newest),
        # A round looks back from where the last one began, a day ago.
        DEEP: history.pages(history.first_young - DAY, two_days_ago) + DEEP_MARGIN * shards,
        # In a job of this size each tick asks for the accounts, and for the regions of each; once in an hour what lies
        # in each region beside its dates is asked for.
        DISCOVERY: (1 + history.accounts) * ticks + shards * 25,
        # The audit goes once through what is remembered, whole days at a time, which may be two listings.
        AT_DESTINATION: 2 * (history.pages(history.first_young - DAY, history.newest) + shards),
    }


def quiet_day(history: History, folder: Path, *, ticks: int = TICKS_A_DAY) -> QuietDay:
    """Learn the history from source and destination, then tick so many times in the 24 hours after.

    Each shard had its last log minutes before, and is listed in every tick: a job of 64 shards or fewer leaves none out.
    """
    with serving(history) as server:
        installed = _Installed(server, folder)
        try:
            installed.learn(history)
            return installed.day(history, ticks)
        finally:
            installed.close()


class _Installed:
    """A third party's job on an empty state folder, and the time of day."""

    def __init__(self, server: HistoryServer, folder: Path) -> None:
        self._server = server
        self._now = BEGIN
        configuration = load(_configuration(server, folder))
        (self._job,) = configuration.jobs
        self._installation = Installation.of(configuration, now=lambda: self._now, tell=lambda *_, **__: None)

    def close(self) -> None:
        self._installation.close()

    def learn(self, history: History) -> None:
        """Know what a state file knows that has seen all of it: a catch-up, and ticks until old days are sealed."""
        report = self._run(CATCH_UP, window=Window())
        assert report.listed == history.objects
        assert self._remembered() <= history.objects
        for _ in range(2 + history.older // SEAL_ROWS_A_TICK):
            self._run(TICK)

    def day(self, history: History, ticks: int) -> QuietDay:
        remembered = self._remembered()
        asked: Counter[str] = Counter()
        reported: Counter[str] = Counter()
        self._server.at(self._now)
        began = process_time()
        for number in range(1, ticks + 1):
            self._now = BEGIN + DAY * number / ticks
            asked += self._server.at(self._now)
            reported.update(self._run(TICK).requests)
        seconds = process_time() - began
        return QuietDay(history, ticks, remembered, asked + self._server.at(self._now), reported, seconds)

    def _run(self, kind: str, **request: Any) -> TickReport:
        report = run_job(self._job, RunRequest(kind=kind, **request), self._installation, stop=Event())
        assert (report.outcome, report.copied) == ("ok", 0), report
        return report

    def _remembered(self) -> int:
        with self._installation.ledger_file.open_readonly() as reader:
            return reader.counts(_JOB).objects


def _configuration(server: HistoryServer, folder: Path) -> Path:
    credentials = folder / "credentials"
    credentials.write_text(
        f"[default]\naws_access_key_id = {server.access_key_id}\naws_secret_access_key = {server.secret_access_key}\n"
    )
    job = {
        "name": _JOB,
        "start": "beginning",
        "consumer": {"account_id": ACCOUNT_Z, "credentials_file": credentials},
        "source": {
            "account_id": ACCOUNT_A,
            "bucket": SOURCE,
            "region": REGION,
            "accounts": "*",
            "kinds": ["CloudTrail"],
            "role": {"arn": ROLE, "third_party": True, "external_id": EXTERNAL_ID},
        },
        "destination": {"bucket": DESTINATION, "region": REGION},
        "endpoints": {"s3": server.url, "sts": server.url},
    }
    (folder / "jobs.d").mkdir()
    (folder / "jobs.d" / f"{_JOB}.toml").write_text(toml(job))
    path = folder / "syncd.toml"
    path.write_text(toml({"state_dir": folder / "state", "jobs": ["jobs.d/*.toml"], "http": {"listen": ""}}))
    return path
