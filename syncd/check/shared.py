"""The steps of `check` for what all jobs share: queues and leases."""

from syncd.aws.leases import Lease, LeaseStore
from syncd.aws.queues import Queues
from syncd.check.queues import hint_checks, work_checks
from syncd.check.result import Check, Status
from syncd.config.job import Configuration
from syncd.model.errors import JobFailed

LEASE = "lease"
_SECONDS = 10.0
_PROBE = "check"


def shared_checks(configuration: Configuration) -> list[Check]:
    """Check what syncd.toml names beside the jobs. Empty if it names nothing."""
    client, settings = Queues(), configuration.settings
    fleet = settings.fleet
    found = [check for queue in settings.hints.queues for check in hint_checks(client, queue)]
    found += work_checks(client, settings.work)
    return found + ([] if fleet is None else [_lease_check(LeaseStore(fleet.lease, seconds=_SECONDS), fleet.lease)])


def _lease_check(store: LeaseStore, url: str) -> Check:
    """Write a lease of its own as a daemon does, and see whether the store refuses a write that comes second."""
    try:
        before = store.read(_PROBE)
        written = store.write(_PROBE, Lease("syncd check", 1, before.etag if before is not None else ""))
        if written is None:
            return Check(LEASE, Status.WARNING, f"{url}: another check wrote {_PROBE}.json meanwhile", "run it again")
        seconds = [Lease("second", 1, ""), Lease("second", 1, '"00000000000000000000000000000000"')]
        if any(store.write(_PROBE, second) is not None for second in seconds):
            remedy = "keep the leases on S3, or on a server that knows If-Match and If-None-Match of PutObject"
            return Check(LEASE, Status.FAILED, f"{url}: the server ignores the conditions of a write", remedy)
    except JobFailed as error:
        return Check(LEASE, Status.FAILED, f"{error.reason}: {error.detail}", error.remedy)
    return Check(LEASE, Status.OK, f"{url}: leases can be read and written, and a second write is refused")
