"""The steps of `check` for what all jobs share: the queues of hints, and the leases."""

from collections.abc import Sequence

from syncd.aws.leases import Lease, LeaseStore
from syncd.aws.queues import Message, Queues
from syncd.check.result import Check, Status
from syncd.config.job import Configuration
from syncd.model.errors import JobFailed

RECEIVE, DELETE, LEASE = "hints-receive", "hints-delete", "lease"
_SECONDS = 10.0
_PROBE = "check"
# No queue has given this receipt, so it deletes nothing. Permissions are checked before receipts.
_NO_MESSAGE = Message("", "c3luY2QtY2hlY2s=", 1)


def shared_checks(configuration: Configuration) -> list[Check]:
    """Check what syncd.toml names beside the jobs. Empty if it names nothing."""
    client, fleet = Queues(), configuration.settings.fleet
    found = [check for queue in configuration.settings.hints.queues for check in _queue_checks(client, queue)]
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


def _queue_checks(client: Queues, queue: str) -> Sequence[Check]:
    found = []
    try:
        messages = client.receive(queue, wait_seconds=0, visibility_seconds=0)
        waiting = f"at least {len(messages)} messages wait" if messages else "it is empty or nearly so"
        found.append(Check(RECEIVE, Status.OK, f"{queue} can be received from; {waiting}"))
        client.delete(queue, [_NO_MESSAGE])
        found.append(Check(DELETE, Status.OK, f"{queue}: messages can be deleted"))
    except JobFailed as error:
        step = DELETE if found else RECEIVE
        found.append(Check(step, Status.FAILED, f"{error.reason}: {error.detail}", error.remedy))
    return found
