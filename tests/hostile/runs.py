"""One run of the program over a job that is attacked and an honest one beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from builders import ACCOUNTS, REGIONS, Trail, days_before
from stage import Stage

from hostile.attacks import Attack
from hostile.peak import Peak
from hostile.server import hostile

HONEST, HOSTILE = "account-b", "account-c"
_FLAT = {"source.layout": "flat", "source.prefix": "logs/", "source.regions": None, "source.kinds": None}


@dataclass(frozen=True)
class Attacked:
    """What came of it."""

    keys: Sequence[str]
    """What was delivered to the honest job's source."""
    honest: dict[str, Any]
    """The honest job's report."""
    harmed: dict[str, Any]
    """The other's."""
    parent_mib: int
    worker_mib: int

    @property
    def reasons(self) -> set[str]:
        """Everything that the job or its objects failed with."""
        error = self.harmed["error"]
        return {failed["reason"] for failed in self.harmed["failed"]} | ({error["reason"]} if error else set())


def attacked(stage: Stage, attack: Attack) -> Attacked:
    """A tick of both."""
    days = days_before(datetime.now(UTC).replace(microsecond=0), 2)
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:2], days, logs=5))
    stage.job(HONEST)
    with hostile(attack.answer) as server:
        endpoints = {"endpoints.s3": server.url, "endpoints.destination_s3": stage.server.url}
        if attack.on == "sts":
            endpoints = {"endpoints.sts": server.url}
        stage.job(HOSTILE, {**_FLAT, "source.accounts": None, **endpoints})
        with stage.start("tick", "--json") as process, Peak(process.pid) as peak:
            ran = process.ended()
    honest, harmed = ran.document["jobs"]
    return Attacked(keys, honest, harmed, peak.parent_mib, peak.worker_mib)
