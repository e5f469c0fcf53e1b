"""Server-side copies and what lands, end to end against the fake, whose rule of access is: owner, or shared with.

What real servers lack of it: MiniStack answers a permitted cross-account CopyObject with 404, SeaweedFS has one account.
So the crossing of accounts is shown here, and S3's own conditions on SeaweedFS in `contract/`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import FaultyS3
from installed import Installed, reasons

from syncd import failures
from syncd.model import TickReport, Window
from syncd.world import ACCOUNT_A, ACCOUNT_B, TRAIL_BUCKET

JOB = "account-b"
SHARD = f"AWSLogs/{ACCOUNT_B}/CloudTrail/us-east-1/2026/11/23/{ACCOUNT_B}_CloudTrail_us-east-1_20261123T"


class Site:
    def __init__(self, server: FaultyS3, folder: Path) -> None:
        self.server = server
        self.installed = Installed(server.world(), folder)
        self.bucket = self.installed.world.consumer(JOB).bucket

    def deliver(self, count: int, **more: object) -> list[str]:
        keys = [f"{SHARD}{number % 24:02}15Z_{number:016}.json.gz" for number in range(count)]
        for key in keys:
            self.server.put(TRAIL_BUCKET, key, key.encode(), metadata={"signature": "00ff"}, **more)  # type: ignore[arg-type]
        return keys

    def share(self, bucket: str, account: str) -> None:
        self.server.storage.buckets[bucket].shared_with = frozenset({account})

    def catch_up(self, **changes: object) -> TickReport:
        job = self.installed.job(JOB, {f"destination.{name}": value for name, value in changes.items()})
        return self.installed.tick(job, kind="catch-up", window=Window("2026-11-20"))


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
    assert reasons(report) == dict.fromkeys(keys, failures.ACCESS_DENIED)
    assert all("CopyObject by" in item.detail for item in report.failed)


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


def test_archived_objects_are_counted_and_reported_and_not_asked_for(site: Site) -> None:
    site.deliver(4, storage_class="DEEP_ARCHIVE")
    job = site.installed.job(JOB)

    reports = [site.installed.tick(job) for _ in range(2)]

    assert [report.outcome for report in reports] == ["ok", "ok"]
    assert reports[0].skipped["archived"] == 4
    assert site.server.count("GetObject") == 0
    assert {item.reason for item in site.installed.quarantined(job).values()} == {failures.ARCHIVED}
    assert reports[1].complete_until < reports[1].started_at - 3600
