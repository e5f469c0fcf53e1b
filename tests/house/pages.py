"""A daemon's pages with something of everything on them, and a browser to look at them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from syncd.config.job import Job
from syncd.daemon.board import JobBoard
from syncd.daemon.ticks.pauses import Pauses
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.daemon.web.server import WebServer
from syncd.daemon.web.site import Site
from syncd.job.health.freshness import Deadline, Look, Promise
from syncd.job.health.health import JobHealth, Pulse
from syncd.job.health.progress import Progress
from syncd.ledger.ledger import LedgerFile
from syncd.model.objects import Copied, Failed, LogObject, Shard, ShardState, Transfer
from syncd.model.reports import JobError, TickReport
from syncd.tick.scope import replica_of

NOW = 1_795_500_000.0
DAY = 86_400
REFUSED = JobError(reason="access_denied", detail="AssumeRole by x: AccessDenied <no>", remedy="mend the trust policy")
FINE = JobHealth(
    job="account-b",
    promise=Promise(objective=900.0, lateness=1800.0, period=300.0, idle_every=900.0, discovery_every=3600.0),
    last=TickReport(job="account-b", outcome="ok", mode="stream", started_at=NOW - 62, duration_seconds=2.0),
    pulses=[Pulse(NOW - 300 * back, 1.0, 10 * back, "ok") for back in range(20, 0, -1)],
    complete_until=NOW - 1862,
    deadline=Deadline(NOW + 838, None),
    look=Look(NOW - 62, NOW - 200, 0),
)
LATE = FINE._replace(
    job="third-party-z",
    last=TickReport(job="third-party-z", outcome="failed", started_at=NOW - 90, duration_seconds=0.1, error=REFUSED),
    complete_until=NOW - 9000,
    deadline=Deadline(NOW - 6300, None),
)
COPYING = FINE._replace(
    job="account-c",
    last=None,
    complete_until=0.0,
    running=Progress(kind="tick", began_at=NOW - 9, at=NOW - 1, known=400, done=100, is_total=True),
)
JOB = Job.model_validate(
    {
        "name": "third-party-z",
        "consumer": {"account_id": "222222222222"},
        "source": {
            "account_id": "111111111111",
            "bucket": "example-trail",
            "region": "us-east-1",
            "role": {"arn": "arn:aws:iam::111111111111:role/a-role-with-a-name-that-does-not-fit-a-narrow-window"},
        },
        "destination": {"bucket": "example-z-logs", "region": "us-east-1"},
    }
)
SHARD = Shard("AWSLogs/222222222222/CloudTrail/eu-west-1/", "222222222222", "CloudTrail", "eu-west-1")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a daemon's pages: jobs that are well, late and copying, and one with days, gaps and shards."""
    ledger_file = LedgerFile(folder, now=lambda: NOW)
    _remember(ledger_file)
    board = JobBoard(now=lambda: NOW, pauses=Pauses(monotonic=time.monotonic))
    for health in (FINE, LATE, COPYING):
        board.put(health)
    site = Site(
        board,
        Metrics(lambda: Gauges(now=NOW, healths=board.healths())),
        ledger_file,
        find_job={JOB.name: JOB}.get,
        stuck_reason=lambda: None,
        unready_reason=lambda: None,
        now=lambda: NOW,
    )
    web_server = WebServer(("127.0.0.1", 0), site.answer)
    try:
        yield f"http://{web_server.address}"
    finally:
        web_server.close()


def browse(tool: Path, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs the browser, without a window and without anything that it does on its own account."""
    return subprocess.run(
        [
            tool,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            *options,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=folder,
    )


def _remember(ledger_file: LedgerFile) -> None:
    """Two months of a shard, most of them sealed, with a day on which nothing came and an object that is missing."""
    days = [NOW - DAY * back for back in range(60, -1, -1) if back != 17]
    copied = [Copied(_transfer(day, number)) for day in days for number in range(int(day / DAY) % 5 + 1)]
    missing = Failed(_transfer(NOW - 5 * DAY, 99), "kms_access_denied", "GetObject: 403 AccessDenied <no>")
    state = ShardState(
        shard=SHARD,
        listed_at=NOW - 60,
        complete_from=NOW - 50 * DAY,
        complete_until=NOW - 1860,
        newest_arrival=NOW - 90,
    )
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        ledger.set_start(1.0)
        ledger.record([*copied, missing], [], now=NOW - 400)
        ledger.save_shards([state], discovered_at=NOW - 60)
        ledger.seal(SHARD, datetime.fromtimestamp(NOW - 30 * DAY, UTC).date().isoformat(), limit=1000)
        assert LATE.last is not None
        ledger.record_tick(LATE.last, kind="tick")


def _transfer(day: float, number: int) -> Transfer:
    at = datetime.fromtimestamp(day, UTC)
    key = f"{SHARD.prefix}{at:%Y/%m/%d}/222222222222_CloudTrail_eu-west-1_{at:%Y%m%d}T0000Z_{number}.json.gz"
    return Transfer(SHARD, LogObject(key, "etag", 700 * (number + 1), day), key)
