"""Server-side copies and what lands, end to end against the fake, whose rule of access is: owner, or shared with.

What real servers lack of it: MiniStack answers a permitted cross-account CopyObject with 404, SeaweedFS has one account.
So the crossing of accounts is shown here, and S3's own conditions on SeaweedFS in `contract/`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty import Body, Call, DropConnection, ErrorIn200, FaultyS3, Stall, Status, on
from installed import Installed, reasons

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, TRAIL_BUCKET
from syncd.config.job import Job
from syncd.model.objects import Window
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport

JOB = "account-b"
SHARD = f"AWSLogs/{ACCOUNT_B}/CloudTrail/us-east-1/2026/11/23/{ACCOUNT_B}_CloudTrail_us-east-1_20261123T"


class Site:
    def __init__(self, server: FaultyS3, folder: Path, *, deadline_seconds: float = 60.0) -> None:
        self.server = server
        self.installed = Installed(server.world(), folder, deadline_seconds=deadline_seconds)
        self.bucket = self.installed.world.consumer(JOB).bucket

    def deliver(self, count: int, **more: object) -> list[str]:
        keys = [f"{SHARD}{number % 24:02}15Z_{number:016}.json.gz" for number in range(count)]
        for key in keys:
            self.server.put(TRAIL_BUCKET, key, key.encode(), metadata={"signature": "00ff"}, **more)  # type: ignore[arg-type]
        return keys

    def share(self, bucket: str, account: str) -> None:
        self.server.storage.buckets[bucket].shared_with = frozenset({account})

    def job(self, **changes: object) -> Job:
        return self.installed.job(JOB, {f"destination.{name}": value for name, value in changes.items()})

    def catch_up(self, **changes: object) -> TickReport:
        return self.installed.tick(self.job(**changes), kind="catch-up", window=Window("2026-11-20"))

    def held(self) -> dict[str, str]:
        """By key, the reason in the state on disk."""
        return {key: item.reason for key, item in self.installed.quarantined(self.job()).items()}


@pytest.fixture
def site(faulty: FaultyS3, tmp_path: Path) -> Iterator[Site]:
    found = Site(faulty, tmp_path)
    yield found
    found.installed.close()


def test_the_consumer_copies_by_the_server_where_it_may_read_the_source(site: Site) -> None:
    keys = site.deliver(40)
    site.share(TRAIL_BUCKET, ACCOUNT_B)

    report = site.catch_up(copy="server-side", signer="consumer")

    assert (report.outcome, report.mode, report.copied) == ("ok", "server-side", 40)
    assert site.server.count("CopyObject") == 40
    assert site.server.count("GetObject") + site.server.count("PutObject") == 0
    replicas = site.server.objects(site.bucket)
    assert {key: (item.body, item.metadata) for key, item in replicas.items()} == {
        key: (key.encode(), {"signature": "00ff"}) for key in keys
    }


def test_the_role_copies_by_the_server_where_it_may_write_the_destination(site: Site) -> None:
    site.deliver(5)
    site.share(site.bucket, ACCOUNT_A)

    report = site.catch_up(copy="server-side", signer="role")

    assert (report.outcome, report.copied) == ("ok", 5)
    assert report.requests["AssumeRole"] == 2
    policies = [request.form.get("Policy", "") for request in site.server.requests if request.operation == "AssumeRole"]
    assert ["s3:PutObject" in policy for policy in policies] == [False, True]


def test_a_copy_that_nobody_may_sign_fails_object_by_object_with_who_was_refused(site: Site) -> None:
    keys = site.deliver(3)

    report = site.catch_up(copy="server-side", signer="consumer")

    assert report.outcome == "partial"
    assert reasons(report) == dict.fromkeys(keys, Reason.ACCESS_DENIED)
    assert all("CopyObject by" in item.detail for item in report.failed)


DENIED = "User: x is not authorized to perform: s3:GetObject on resource: y because no policy allows it"
KMS = "User: x is not authorized to perform: kms:Decrypt on the resource because no key policy allows it"
FAULTS = {
    Reason.ACCESS_DENIED: Status(403, "AccessDenied", DENIED),
    Reason.KMS_DENIED: Status(403, "AccessDenied", KMS),
    Reason.SLOW_DOWN: Status(503, "SlowDown"),
    Reason.SERVER_ERROR: ErrorIn200(),
    Reason.CONNECTION: DropConnection(),
    Reason.UNEXPECTED: Body(b""),
}
CHANGES: dict[str, Callable[[FaultyS3, str], object]] = {
    Reason.OBJECT_GONE: lambda server, key: server.delete(TRAIL_BUCKET, key),
    Reason.OBJECT_CHANGED: lambda server, key: server.put(TRAIL_BUCKET, key, b"something else"),
    Reason.ARCHIVED: lambda server, key: server.put(TRAIL_BUCKET, key, key.encode(), storage_class="GLACIER"),
}


def test_what_goes_wrong_is_told_and_held_with_its_reason_and_the_next_run_heals_it(site: Site) -> None:
    keys = site.deliver(60)
    site.share(TRAIL_BUCKET, ACCOUNT_B)
    meant = dict(zip([*FAULTS, *CHANGES], keys, strict=False))
    for reason, key in meant.items():
        if (action := FAULTS.get(reason)) is not None:
            site.server.faults.add(on("CopyObject", key=key), action)
        else:
            change = CHANGES[reason]
            hook = Call(lambda request, change=change: change(site.server, request.key))
            site.server.faults.add(on("CopyObject", key=key), hook, times=1)
    for key in keys[-2:]:
        site.server.faults.add(on("CopyObject", key=key), DropConnection(is_applied=True), times=1)

    report = site.catch_up(copy="server-side", signer="consumer")
    held = site.held()
    site.server.faults.clear()
    for key in keys:
        site.server.put(TRAIL_BUCKET, key, key.encode(), metadata={"signature": "00ff"})
    healed = site.catch_up(copy="server-side", signer="consumer")

    expected = {key: reason for reason, key in meant.items()}
    assert (reasons(report), held) == (expected, expected)
    assert (report.copied, report.already_there, report.conflict_count) == (60 - len(meant) - 2, 2, 0)
    assert (healed.outcome, healed.copied, site.held()) == ("ok", len(meant), {})
    assert {item.body for item in site.server.objects(site.bucket).values()} == {key.encode() for key in keys}


def test_copies_that_stall_are_given_up_and_the_others_made(faulty: FaultyS3, tmp_path: Path) -> None:
    site = Site(faulty, tmp_path, deadline_seconds=10.0)
    keys = site.deliver(30)
    site.share(TRAIL_BUCKET, ACCOUNT_B)
    site.server.faults.add(on("CopyObject", key=keys[3]), Stall())

    report = site.catch_up(copy="server-side", signer="consumer")
    site.server.faults.clear()
    healed = site.catch_up(copy="server-side", signer="consumer")
    site.installed.close()

    assert (report.copied, reasons(report)) == (29, {keys[3]: Reason.TIMEOUT})
    assert (healed.outcome, healed.copied) == ("ok", 1)


def test_a_session_that_ends_in_the_middle_of_copies_by_the_role_is_renewed(site: Site) -> None:
    site.deliver(200)
    site.share(site.bucket, ACCOUNT_A)
    expire = Call(lambda _: site.server.identities.expire_sessions())
    copies: list[int] = []
    site.server.faults.add(
        lambda request: request.operation == "CopyObject" and (copies.append(1) or len(copies) == 100), expire, times=1
    )

    report = site.catch_up(copy="server-side", signer="role")

    assert (report.outcome, report.copied, report.failed_count) == ("ok", 200, 0)
    assert 3 <= report.requests["AssumeRole"] <= 5


def test_what_is_there_already_is_told_from_a_conflict_and_never_overwritten(site: Site) -> None:
    keys = site.deliver(3)
    site.share(TRAIL_BUCKET, ACCOUNT_B)
    site.server.put(site.bucket, keys[0], keys[0].encode())
    site.server.put(site.bucket, keys[1], b"of the same length" + bytes(len(keys[1]) - 18))
    site.server.faults.clear()

    report = site.catch_up(copy="server-side", signer="consumer")

    assert (report.copied, report.already_there, [key for key, _ in report.conflicts]) == (1, 1, [keys[1]])
    assert site.server.get(site.bucket, keys[1]).body.startswith(b"of the same length")


@pytest.mark.parametrize("copy", ["stream", "server-side"])
def test_what_lands_is_the_users_choice(site: Site, copy: str) -> None:
    site.deliver(2)
    site.share(TRAIL_BUCKET, ACCOUNT_B)

    site.catch_up(
        copy=copy,
        signer="consumer",
        storage_class="STANDARD_IA",
        kms_key_id="1234abcd-12ab-34cd-56ef-1234567890ab",
        tags={"team": "a b"},
        acl="bucket-owner-full-control",
    )

    writes = [request for request in site.server.requests if request.operation in ("PutObject", "CopyObject")]
    assert len(writes) == 2
    for request in writes:
        assert request.headers["x-amz-storage-class"] == "STANDARD_IA"
        assert request.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert request.headers["x-amz-server-side-encryption-aws-kms-key-id"].startswith("1234abcd")
        assert request.headers["x-amz-tagging"] == "team=a%20b"
        assert request.headers["x-amz-acl"] == "bucket-owner-full-control"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
@pytest.mark.parametrize("copy", ["stream", "server-side"])
def test_archived_objects_are_counted_and_reported_and_not_asked_for(site: Site, copy: str, storage_class: str) -> None:
    site.share(TRAIL_BUCKET, ACCOUNT_B)
    site.deliver(4, storage_class=storage_class)
    job = site.job(copy=copy, signer="consumer")

    reports = [site.installed.tick(job) for _ in range(2)]

    assert [report.outcome for report in reports] == ["ok", "ok"]
    assert reports[0].skipped["archived"] == 4
    assert {request.operation for request in site.server.requests} <= {
        "AssumeRole",
        "GetCallerIdentity",
        "ListObjectsV2",
    }
    assert set(site.held().values()) == {Reason.ARCHIVED}
    assert reports[1].complete_until < reports[1].started_at - 3600
