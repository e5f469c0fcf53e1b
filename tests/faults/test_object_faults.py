"""One object goes wrong, in every way there is: it is told with its reason, the others are copied, the next tick heals.

All of them go wrong in one tick, since what lasts takes the runtime some ten seconds to give up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from faulty import (
    Call,
    CorruptBody,
    DropConnection,
    ErrorIn200,
    FaultyS3,
    Request,
    ShortBody,
    Status,
    WithoutHeaders,
    WrongChecksum,
    on,
)
from faulty.faults import Action
from installed import reasons
from scripted import MIB, Scripted, scripted

from syncd.job.exit_codes import PARTIAL, of_reports
from syncd.model.reports import TickReport

LARGE = bytes(range(256)) * (6 * MIB // 256)
BY_CHECKSUM = {"checksum_algorithm": "sha256"}
Change = Callable[[FaultyS3, str, str], object]
"""Is given the server, a bucket and a key."""


@dataclass(frozen=True)
class Case:
    """What goes wrong with one object, and what is to come of it in the tick that meets it."""

    expected: str
    """`copied`, `already_there`, or the reason of the failure."""
    operation: str = "GetObject"
    """What goes wrong: a request of this operation for this key, at either end."""
    action: Action | None = None
    times: int | None = None
    before: Change | None = None
    """Done to the source when it is read for the first time."""
    span: str = ""
    """The beginning of the Range of that read."""
    body: bytes = b""
    put: dict[str, Any] = field(default_factory=dict)
    is_there: bool = False
    """Somebody else puts the same content at the destination while it is read; before, the listing would tell of it."""
    heal: Change | None = None
    healed: str = "copied"
    """What comes of it in the tick after."""
    detail: str = ""
    """What the failure names beside the call and the key."""


def shortened(server: FaultyS3, bucket: str, key: str) -> None:
    item = server.get(bucket, key)
    server.put(bucket, key, item.body[:-1], etag=item.etag)


def lengthened(server: FaultyS3, bucket: str, key: str) -> None:
    item = server.get(bucket, key)
    server.put(bucket, key, item.body + b"!", etag=item.etag)


def rewritten(server: FaultyS3, bucket: str, key: str) -> None:
    server.put(bucket, key, b"something else altogether")


def encrypted_anew(server: FaultyS3, bucket: str, key: str) -> None:
    server.put(bucket, key, server.get(bucket, key).body, etag="another-etag")


def deleted(server: FaultyS3, bucket: str, key: str) -> None:
    if key in server.keys(bucket):
        server.delete(bucket, key)


def archived(server: FaultyS3, bucket: str, key: str) -> None:
    server.put(bucket, key, server.get(bucket, key).body, storage_class="GLACIER")


def as_it_was(server: FaultyS3, bucket: str, key: str) -> None:
    server.put(bucket, key, f"log {key.rpartition('_')[2].removesuffix('.json.gz')}".encode())


KMS = "User: x is not authorized to perform: kms:{} on the resource because no key policy allows it"

CASES: dict[str, Case] = {
    # What the source does not give.
    "a read that is refused": Case("access_denied", action=Status(403, "AccessDenied", "Access Denied")),
    "a read that the key refuses": Case("kms_access_denied", action=Status(403, "AccessDenied", KMS.format("Decrypt"))),
    "a read whose key is disabled": Case("kms_access_denied", action=Status(400, "KMS.DisabledException")),
    "a read of an object that is gone": Case("object_gone", before=deleted, heal=as_it_was),
    "a read of an object that was rewritten": Case("object_changed", before=rewritten),
    "a read of an object that was encrypted anew": Case("object_changed", before=encrypted_anew),
    "a read of an object that was archived": Case("archived", before=archived, heal=as_it_was),
    "a read that is slowed down for a moment": Case("copied", action=Status(503, "SlowDown"), times=3),
    "a read that is slowed down for ever": Case("slow_down", action=Status(503, "SlowDown")),
    "a read with an internal error that lasts": Case("server_error", action=Status(500, "InternalError")),
    "a read with an internal error": Case("copied", action=Status(500, "InternalError"), times=1),
    "a read whose connection drops": Case("copied", action=DropConnection(), times=1),
    "a read whose connection always drops": Case("connection_failed", action=DropConnection()),
    "a body that is cut once": Case("copied", action=ShortBody(2), times=1),
    "a body that is always cut": Case("connection_failed", action=ShortBody(2)),
    "a body that is shorter than it was listed": Case("short_body", before=shortened, heal=as_it_was),
    "a body that is longer than it was listed": Case("short_body", before=lengthened, heal=as_it_was),
    "a body that is corrupted on its way": Case("checksum_mismatch", action=CorruptBody(), put=BY_CHECKSUM),
    "a checksum that is wrong": Case("checksum_mismatch", action=WrongChecksum(), put=BY_CHECKSUM),
    "a checksum that is wrong though S3 made it": Case("checksum_mismatch", action=WrongChecksum()),
    "a source without checksums": Case("copied", action=WithoutHeaders()),
    # What the destination does not take.
    "a write that is refused": Case("access_denied", "PutObject", Status(403, "AccessDenied")),
    "a write that the key refuses": Case(
        "kms_access_denied", "PutObject", Status(403, "AccessDenied", KMS.format("GenerateDataKey"))
    ),
    "a write that came broken": Case("checksum_mismatch", "PutObject", Status(400, "BadDigest")),
    "a write that is slowed down for a moment": Case("copied", "PutObject", Status(503, "SlowDown"), times=3),
    "a write that is slowed down for ever": Case("slow_down", "PutObject", Status(503, "SlowDown")),
    "a write with an error within its 200": Case("copied", "PutObject", ErrorIn200(), times=1),
    "a write with an error within its 200 that lasts": Case("server_error", "PutObject", ErrorIn200()),
    "a write that meets another": Case("copied", "PutObject", Status(409, "ConditionalRequestConflict"), times=2),
    "a write that always meets another": Case(
        "concurrent_write",
        "PutObject",
        Status(409, "ConditionalRequestConflict"),
        detail="409 ConditionalRequestConflict",
    ),
    "a write whose connection drops": Case("copied", "PutObject", DropConnection(), times=1),
    "a write that is done and not answered": Case(
        "already_there", "PutObject", DropConnection(is_applied=True), times=1
    ),
    "a write that is done and answered with an error": Case(
        "already_there", "PutObject", Status(500, "InternalError", is_applied=True), times=1
    ),
    # What is there already.
    "a replica that is there": Case("already_there", is_there=True),
    "a replica without a checksum": Case("already_there", "HeadObject", WithoutHeaders(), is_there=True),
    "a replica that may not be looked at": Case(
        "cannot_compare", "HeadObject", Status(403, "AccessDenied"), is_there=True, healed="already_there"
    ),
    "a replica that cannot be looked at": Case(
        "slow_down", "HeadObject", Status(503, "SlowDown"), is_there=True, healed="already_there"
    ),
    # Large objects.
    "a large object": Case("copied", body=LARGE),
    "a large object whose part is not taken": Case("slow_down", "UploadPart", Status(503, "SlowDown"), body=LARGE),
    "a large object whose part is slowed down": Case(
        "copied", "UploadPart", Status(503, "SlowDown"), times=2, body=LARGE
    ),
    "a large object whose part drops": Case("copied", "UploadPart", DropConnection(is_applied=True), 1, body=LARGE),
    "a large object that may not be begun": Case(
        "access_denied", "CreateMultipartUpload", Status(403, "AccessDenied"), body=LARGE
    ),
    "a large object that is not completed": Case("server_error", "CompleteMultipartUpload", ErrorIn200(), body=LARGE),
    "a large object that is completed and not answered": Case(
        "already_there", "CompleteMultipartUpload", DropConnection(is_applied=True), 1, body=LARGE
    ),
    "a large object that is rewritten between its parts": Case(
        "object_changed", before=rewritten, span=f"bytes={5 * MIB}-", body=LARGE
    ),
    "a large object that is there": Case("already_there", body=LARGE, is_there=True),
}


class Happened(NamedTuple):
    """What three ticks came to: one with everything that goes wrong, one after all is healed, and an idle one."""

    stage: Scripted
    keys: dict[str, str]
    """The key of each case."""
    first: TickReport
    first_requests: list[Request]
    left_behind: list[str]
    """Uploads that the first tick left."""
    held: dict[str, str]
    """By key, the reason in the state on disk after it."""
    replica: set[str]
    """Keys at the destination after it."""
    second: TickReport
    third: TickReport
    third_requests: list[Request]


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory, _aws_environment: None) -> Iterator[Happened]:
    with scripted(tmp_path_factory.mktemp("faults")) as stage:
        keys = {what: prepared(stage, what, number) for number, what in enumerate(CASES)}
        stage.put_many(100)
        first = stage.tick()
        first_requests, left_behind = list(stage.server.requests), stage.uploads()
        held = {key: item.reason for key, item in stage.installed.quarantined(stage.job).items()}
        replica = set(stage.replica())
        stage.server.faults.clear()
        for what, case in CASES.items():
            if case.heal is not None:
                case.heal(stage.server, stage.world.bucket, keys[what])
        second = stage.tick()
        stage.server.forget_requests()
        third = stage.tick()
        third_requests = list(stage.server.requests)
        yield Happened(stage, keys, first, first_requests, left_behind, held, replica, second, third, third_requests)


def prepared(stage: Scripted, what: str, number: int) -> str:
    """Puts the object of a case, and sees to it that it goes wrong; its key."""
    case = CASES[what]
    key = stage.put(f"case{number:03}", case.body, **case.put)
    server, bucket = stage.server, stage.world.bucket
    is_read = on("GetObject", bucket=bucket, key=key)
    if case.is_there:
        body = server.get(bucket, key).body
        server.faults.add(is_read, Call(lambda _: stage.put_replica(key, body)), times=1)
    if case.before is not None:
        change = case.before
        server.faults.add(
            lambda request: is_read(request) and request.headers.get("range", "").startswith(case.span),
            Call(lambda _: change(server, bucket, key)),
            times=1,
        )
    if case.action is not None:
        server.faults.add(on(case.operation, key=key), case.action, times=case.times)
    return key


def is_failure(case: Case) -> bool:
    return case.expected not in ("copied", "already_there")


FAILURES = [what for what, case in CASES.items() if is_failure(case)]


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_told_with_its_reason_and_what_it_was_about(happened: Happened, what: str) -> None:
    case, key, stage = CASES[what], happened.keys[what], happened.stage

    (failed,) = [failed for failed in happened.first.failed if failed.key == key]

    is_source = case.operation == "GetObject"
    principal = "arn:aws:iam::111111111111:role/account-z" if is_source else "arn:aws:iam::999999999999:user/syncd"
    bucket = stage.world.bucket if is_source else stage.destination.name
    assert failed.reason == case.expected
    assert f"{case.operation} by {principal} of s3://{bucket}/{key}: " in failed.detail
    assert case.detail in failed.detail


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_kept_in_the_state_with_its_reason(happened: Happened, what: str) -> None:
    assert happened.held[happened.keys[what]] == CASES[what].expected


@pytest.mark.parametrize("what", [what for what in CASES if what not in FAILURES])
def test_what_passes_is_copied_and_not_told(happened: Happened, what: str) -> None:
    key = happened.keys[what]

    assert key not in reasons(happened.first)
    assert key not in happened.held
    assert key in happened.replica


def test_every_object_of_a_tick_is_accounted_for(happened: Happened) -> None:
    expected = [case.expected for case in CASES.values()]

    first = happened.first
    assert first.listed == len(CASES) + 100
    assert first.copied == expected.count("copied") + 100
    assert first.already_there == expected.count("already_there")
    assert first.failed_count == len(reasons(first)) == len(FAILURES)
    assert first.conflict_count == 0


def test_a_tick_with_failures_is_partial(happened: Happened) -> None:
    assert (happened.first.outcome, of_reports([happened.first])) == ("partial", PARTIAL)
    assert happened.first.error is None


def test_no_object_is_read_more_than_twelve_times_a_tick(happened: Happened) -> None:
    reads = [request.key for request in happened.first_requests if request.operation == "GetObject"]

    assert max(reads.count(key) for key in happened.keys.values()) <= 12


def test_no_upload_is_left_behind(happened: Happened) -> None:
    assert happened.left_behind == []


def test_a_failed_object_is_not_at_the_destination(happened: Happened) -> None:
    keys = {happened.keys[what] for what in FAILURES if not CASES[what].is_there}

    assert not keys & happened.replica


def test_the_next_tick_tries_each_again_and_heals_it(happened: Happened) -> None:
    second = happened.second
    healed = [CASES[what].healed for what in FAILURES]

    assert (second.outcome, reasons(second), second.conflicts) == ("ok", {}, ())
    assert (second.copied, second.already_there) == (healed.count("copied"), healed.count("already_there"))
    assert happened.stage.installed.quarantined(happened.stage.job) == {}


def test_both_sides_are_equal_in_the_end(happened: Happened) -> None:
    assert happened.stage.replica() == happened.stage.source()


def test_the_tick_after_has_nothing_to_do(happened: Happened) -> None:
    asked = {request.operation for request in happened.third_requests}

    assert (happened.third.outcome, happened.third.copied, happened.third.already_there) == ("ok", 0, 0)
    assert asked <= {"ListObjectsV2", "AssumeRole", "GetCallerIdentity"}


def test_failures_are_told_in_the_log_and_no_secret_is(happened: Happened) -> None:
    told = [facts for event, facts in happened.stage.installed.told if event == "object.failed"]
    secrets = [consumer.secret_access_key for consumer in happened.stage.world.consumers]

    assert len(told) == min(len(FAILURES), 20)
    assert not [secret for secret in secrets if secret in str(happened.stage.installed.told)]
