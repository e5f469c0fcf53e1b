"""One run of the program over a job that is attacked and an honest one beside it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from builders import days_before
from stage import Stage

from hostile.attacks import Attack
from hostile.neighbour import HONEST, prepared
from hostile.peak import Peak
from hostile.server import hostile

HOSTILE = "account-c"
_FLAT = {"source.layout": "flat", "source.prefix": "logs/", "source.regions": None, "source.kinds": None}


@dataclass(frozen=True)
class Attacked:
    """What came of it."""

    keys: Sequence[str]
    """What was delivered to the honest job's source."""
    honest: dict[str, Any]
    """The honest job's report."""
    harmed: Sequence[dict[str, Any]]
    """Those of the others."""
    parent_mib: int
    worker_mib: int

    @property
    def reasons(self) -> set[str]:
        """Everything that the job or its objects failed with."""
        objects = {failed["reason"] for job in self.harmed for failed in job["failed"]}
        return objects | {job["error"]["reason"] for job in self.harmed if job["error"]}


def attack_jobs(stage: Stage, attack: Attack, attackers: int, servers: ExitStack) -> None:
    """So many jobs, each with a hostile server of its own."""
    for number in range(attackers):
        server = servers.enter_context(hostile(attack.answer))
        endpoints = {"endpoints.s3": server.url, "endpoints.destination_s3": stage.server.url}
        if attack.on == "sts":
            endpoints = {"endpoints.sts": server.url}
        own = {"name": f"{HOSTILE}-{number}", "destination.prefix": f"{number}/"}
        stage.job(HOSTILE, {**_FLAT, "source.accounts": None, **own, **endpoints}, file=f"{HOSTILE}-{number}")


def last_days() -> Sequence[date]:
    """Two whole days before today."""
    return days_before(datetime.now(UTC).replace(microsecond=0), 2)


def attacked(stage: Stage, attack: Attack, *, attackers: int = 1, days: Sequence[date] = ()) -> Attacked:
    """A tick of an honest job and of so many others, each with a hostile server of its own."""
    keys = prepared(stage, days or last_days())
    with ExitStack() as servers:
        attack_jobs(stage, attack, attackers, servers)
        with stage.start("tick", "--json") as process, Peak(process.pid) as peak:
            ran = process.ended()
    jobs = ran.document["jobs"]
    (honest,) = (job for job in jobs if job["job"] == HONEST)
    harmed = [job for job in jobs if job["job"] != HONEST]
    return Attacked(keys, honest, harmed, peak.parent_mib, peak.worker_mib)
