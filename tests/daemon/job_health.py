"""Jobs as they may stand, with defaults for all but what a test is about."""

from collections.abc import Callable
from time import monotonic
from typing import Any

from syncd.daemon.board import JobBoard
from syncd.daemon.ticks.pauses import Pauses
from syncd.job.health.freshness import Deadline, Look, Promise
from syncd.job.health.health import JobHealth, Pulse
from syncd.model.objects import LogObject, Quarantined, Shard
from syncd.model.reports import JobError, TickReport

NOW = 1_795_500_000.0
PROMISE = Promise(objective=900.0, lateness=1800.0, period=300.0, idle_every=900.0, discovery_every=3600.0)
SHARD = Shard("AWSLogs/222222222222/CloudTrail/eu-west-1/", "222222222222", "CloudTrail", "eu-west-1")
REFUSED = JobError(reason="access_denied", detail="AssumeRole by x of y: AccessDenied: no", remedy="mend <the> policy")


def report(job: str = "account-b", **changes: Any) -> TickReport:
    """A tick that ended a minute ago."""
    values = {"job": job, "outcome": "ok", "mode": "stream", "started_at": NOW - 62, "duration_seconds": 2.0}
    return TickReport(**(values | changes))


def health(job: str = "account-b", **changes: Any) -> JobHealth:
    """A job on time."""
    values = {
        "job": job,
        "promise": PROMISE,
        "last": report(job),
        "pulses": [Pulse(NOW - 362, 2.0, 7, "ok"), Pulse(NOW - 62, 2.0, 5, "ok")],
        "complete_from": NOW - 86400,
        "complete_until": NOW - 1862,
        "deadline": Deadline(NOW + 838, SHARD),
        "look": Look(NOW - 62, NOW - 200, 0),
        "shards": 1,
        "kinds": {"CloudTrail": NOW - 1862},
    }
    return JobHealth(**(values | changes))


def late(job: str = "account-b", **changes: Any) -> JobHealth:
    """A job that does not keep its objective."""
    values = {"complete_until": NOW - 9000, "deadline": Deadline(NOW - 6300, SHARD)}
    return health(job, **(values | changes))


def held(reason: str = "kms_access_denied") -> Quarantined:
    """An object that is known and not at the destination."""
    item = LogObject(SHARD.prefix + "2026/11/24/x.json.gz", "etag", 10, NOW - 500)
    return Quarantined(item, SHARD, reason, "GetObject: 403", 3, NOW - 400, NOW + 100)


def board(*healths: JobHealth, pauses: Pauses | None = None, now: Callable[[], float] = lambda: NOW) -> JobBoard:
    """A board with these jobs on it."""
    found = JobBoard(now=now, pauses=pauses or Pauses(monotonic=monotonic))
    for item in healths:
        found.put(item)
    return found
