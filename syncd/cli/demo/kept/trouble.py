"""Troubles that a demo can be given while one watches, and what mends them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count

from syncd.cli.demo.kept.keeping import Kept, set_clock
from syncd.cli.demo.play.story import on_the_mark, sample_spec
from syncd.cli.demo.samples import SampleObject, late_log, named_log
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_C, REGION, allow_reading, deliver, forbid_reading, root_client
from syncd.config import files
from syncd.config.job import Job
from syncd.job import ledger_verbs
from syncd.job.ledger_verbs import Chosen
from syncd.ledger.ledger import LedgerFile
from syncd.model.reasons import Reason

# Later than any log may be, and within the objective for the next half hour: the page is amber first, and then red.
_LATE_HOURS = 2
_LATE_REGION = "eu-west-1"
_MARK = timedelta(minutes=5)
_FLAT_BATTERY = datetime(2001, 1, 1, tzinfo=UTC)


class Trouble(StrEnum):
    """A trouble that the demo can be given."""

    ROLE = "role"
    LATE = "late"
    CONFLICT = "conflict"
    CLOCK = "clock"


@dataclass(frozen=True)
class Told:
    """An account of what was done to a demo."""

    job: str
    """The job that shows it; `*` for all of them."""
    words: str
    then: str = ""
    """The command that mends it; empty if it is mended."""


def break_it(kept: Kept, trouble: Trouble) -> Told:
    """Give the demo this trouble."""
    match trouble:
        case Trouble.ROLE:
            return _break_role(kept)
        case Trouble.LATE:
            return _break_late(kept)
        case Trouble.CONFLICT:
            return _break_conflict(kept)
        case Trouble.CLOCK:
            # Red at once: by such a clock no daemon can say that it meets an objective.
            set_clock(kept, _FLAT_BATTERY.timestamp() - time.time())
            return Told(
                "*",
                "The daemon's clock now shows 1 January 2001, as after a flat battery. No job ticks by such a clock.",
                "syncd demo mend clock",
            )


def mend(kept: Kept, trouble: Trouble) -> Told:
    """Mend this trouble."""
    match trouble:
        case Trouble.ROLE:
            allow_reading(kept.world, kept.world.consumer("account-b"))
            return Told("account-b", "A's administrator has put the read policy back on the role.")
        case Trouble.LATE:
            allow_reading(kept.world, kept.world.consumer("account-c"))
            _settle(kept, "account-c", ledger_verbs.retry, Reason.ACCESS_DENIED)
            return Told("account-c", "A's administrator lets the role read the late log, and its retry was made due.")
        case Trouble.CONFLICT:
            _settle(kept, "account-z", ledger_verbs.accept, Reason.CONFLICT)
            return Told("account-z", "The conflict is settled: the replica stays as it was copied.")
        case Trouble.CLOCK:
            set_clock(kept, 0.0)
            return Told("*", "The daemon's clock is right again.")


def _break_role(kept: Kept) -> Told:
    forbid_reading(kept.world, kept.world.consumer("account-b"))
    return Told(
        "account-b",
        "A's administrator has taken the read policy off the role of account-b.",
        "syncd demo mend role",
    )


def _break_late(kept: Kept) -> Told:
    """Deliver a log late that the role may not read."""
    now = datetime.now(UTC)
    log, digest = _new_late_log(kept, now)
    allow_reading(kept.world, kept.world.consumer("account-c"), all_but=log.key)
    deliver(kept.world, [log, digest])
    return Told(
        "account-c",
        f"CloudTrail has delivered a log of account C {_LATE_HOURS} hours late, and A's administrator does not let C's role"
        " read it. The job is complete only until that log, and within half an hour it misses its objective.",
        "syncd demo mend late",
    )


def _new_late_log(kept: Kept, now: datetime) -> tuple[SampleObject, SampleObject]:
    """Return a late log that was not delivered yet, and its digest."""
    spec, newest = sample_spec(now), on_the_mark(now - timedelta(hours=_LATE_HOURS))
    stamps = (newest - number * _MARK for number in count())
    late = (late_log(spec, ACCOUNT_C, _LATE_REGION, stamp, now) for stamp in stamps)
    with root_client(kept.world.url, kept.world.account_id, "s3") as client:
        return next(
            pair
            for pair in late
            if not client.list_objects_v2(Bucket=kept.world.bucket, Prefix=pair[0].key).get("KeyCount")
        )


def _break_conflict(kept: Kept) -> Told:
    """Overwrite a log at the source that was replicated."""
    world = kept.world
    with root_client(world.url, world.account_id, "s3") as client:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=world.bucket, Prefix=f"AWSLogs/{ACCOUNT_A}/CloudTrail/{REGION}/"
        )
        newest = max(item["Key"] for page in pages for item in page.get("Contents", ()))
        now = datetime.now(UTC)
        forged = named_log(sample_spec(now), ACCOUNT_A, REGION, now, f"{now:%H%M%S}")
        client.put_object(Bucket=world.bucket, Key=newest, Body=forged.body)
    return Told(
        "account-z",
        "Somebody has overwritten a log in A's bucket that account-z had already copied. The replica stays as it is.",
        f"syncd ledger quarantine accept --reason conflict --job account-z --config {kept.config}",
    )


def _settle(kept: Kept, name: str, verb: Callable[[Sequence[Job], LedgerFile, Chosen], object], reason: Reason) -> None:
    configuration = files.load(kept.config)
    jobs = [job for job in configuration.jobs if job.name == name]
    verb(jobs, LedgerFile(configuration.settings.state_dir, now=time.time), Chosen(reason=reason))
