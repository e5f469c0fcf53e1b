"""Who may do what, tested where it is enforced: MiniStack holds trust policies, external IDs and session policies.

What it does not hold, and AWS does: a root user may assume a role there, and a session may be shorter than 15 minutes.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from builders_copy import MIB, address_of, engine_between
from fakes import words
from installed import Installed, reasons
from place import refusal
from servers import MakeClient
from waiting import wait_until

from syncd.aws.endpoint import Endpoint
from syncd.aws.identity.principals import RolePrincipal
from syncd.aws.identity.sessions import Identities
from syncd.aws.listing import BucketLister
from syncd.aws.policies.session import session_policy
from syncd.aws.s3 import Side
from syncd.aws.transport import Transport
from syncd.cli.demo import samples
from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_C, ACCOUNT_Z, USER, World, deliver, root_client
from syncd.copy.terms import Terms
from syncd.model.objects import Range, Shard, Transfer
from syncd.model.reports import TickReport


class Watched(Identities):
    """Remembers every role that it has assumed."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        super().__init__(now=now)
        self.roles: list[RolePrincipal] = []

    def role(self, *arguments: Any, **more: Any) -> RolePrincipal:
        self.roles.append(super().role(*arguments, **more))
        return self.roles[-1]


@pytest.fixture
def delivered(world: World) -> list[str]:
    """Three hours of logs of B and C; their keys."""
    now = datetime.now(UTC)
    spec = samples.TrailSpec(world.bucket, (ACCOUNT_B, ACCOUNT_C), ("us-east-1",), now - timedelta(hours=3))
    found = list(samples.trail(spec, now))
    deliver(world, found)
    return sorted(sample.key for sample in found)


@pytest.fixture
def install(world: World, tmp_path: Path) -> Iterator[Callable[..., Installed]]:
    """Installs the world, with what a consumer has changed."""
    made: list[Installed] = []

    def make(changes: Mapping[str, Mapping[str, Any]] | None = None) -> Installed:
        changed = [replace(each, **(changes or {}).get(each.name, {})) for each in world.consumers]
        made.append(Installed(replace(world, consumers=tuple(changed)), tmp_path, identities=Watched))
        return made[-1]

    yield make
    for installed in made:
        installed.close()


def tick(installed: Installed, name: str, changes: Mapping[str, Any] | None = None) -> TickReport:
    return installed.tick(installed.job(name, changes))


def error_of(report: TickReport) -> tuple[str, str]:
    assert report.error is not None
    assert report.outcome == "failed"
    return report.error.reason, report.error.detail


def there(world: World, name: str) -> list[str]:
    """Keys in a consumer's bucket."""
    consumer = world.consumer(name)
    with root_client(world.url, consumer.account_id, "s3") as s3:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=consumer.bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


def allow_user(world: World, account_id: str, *statements: Mapping[str, object]) -> None:
    """Gives the consumer's user another policy."""
    with root_client(world.url, account_id, "iam") as iam:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=USER, PolicyName="syncd", PolicyDocument=document)


def allow(actions: str | list[str], resource: str) -> Mapping[str, object]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def of_account(keys: list[str], account_id: str) -> list[str]:
    return [key for key in keys if key.startswith(f"AWSLogs/{account_id}/")]


# The role


def test_a_business_unit_copies_its_own_logs_by_a_role_that_may_list_only_its_own_prefix(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    report = tick(install(), "account-b")

    assert (report.outcome, report.copied) == ("ok", len(of_account(delivered, ACCOUNT_B)))
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)


def test_a_third_party_with_the_right_external_id_copies_everything(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    report = tick(install(), "account-z")

    assert (report.outcome, there(world, "account-z")) == ("ok", delivered)


@pytest.mark.parametrize("external_id", ["another-external-id", None], ids=["wrong", "missing"])
def test_a_wrong_or_missing_external_id_is_refused_and_nothing_is_listed(
    world: World, delivered: list[str], install: Callable[..., Installed], external_id: str | None
) -> None:
    installed = install({"account-z": {"external_id": external_id}})

    report = tick(installed, "account-z")

    role = world.consumer("account-z").role_arn
    reason, detail = error_of(report)
    assert reason == "access_denied"
    assert f"AssumeRole by arn:aws:iam::{ACCOUNT_Z}:user/syncd of {role}: AccessDenied" in detail
    assert report.error is not None
    assert "external ID" in report.error.remedy
    assert (report.listed, there(world, "account-z"), bool(delivered)) == (0, [], True)


def test_the_role_of_another_consumer_is_refused(world: World, install: Callable[..., Installed]) -> None:
    installed = install({"account-b": {"role_arn": world.consumer("account-c").role_arn}})

    assert error_of(tick(installed, "account-b"))[0] == "access_denied"


def test_a_role_that_its_owner_deletes_ends_the_sharing_with_the_next_tick(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    installed = install()
    before = tick(installed, "account-b")
    name = world.consumer("account-b").role_arn.rpartition("/")[2]
    with root_client(world.url, ACCOUNT_A, "iam") as iam:
        iam.delete_role_policy(RoleName=name, PolicyName="read-logs")
        iam.delete_role(RoleName=name)

    after = tick(installed, "account-b")

    assert (before.outcome, error_of(after)[0]) == ("ok", "access_denied")
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)


def test_a_business_unit_is_refused_the_logs_of_another(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    report = tick(install(), "account-b", {"source.accounts": [ACCOUNT_C]})

    reason, detail = error_of(report)
    assert reason == "access_denied"
    assert (
        f"ListObjectsV2 by {world.consumer('account-b').role_arn} of s3://{world.bucket}/AWSLogs/{ACCOUNT_C}/" in detail
    )
    assert (there(world, "account-b"), bool(delivered)) == ([], True)


def test_a_business_unit_is_refused_the_list_of_all_accounts(install: Callable[..., Installed]) -> None:
    report = tick(install(), "account-b", {"source.accounts": "*"})

    assert error_of(report)[0] == "access_denied"


# The consumer


def test_a_consumer_that_may_not_write_fails_each_object_and_says_who_lacks_what(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    consumer = world.consumer("account-b")
    allow_user(
        world,
        ACCOUNT_B,
        allow("sts:AssumeRole", consumer.role_arn),
        allow(["s3:GetObject", "s3:ListBucket"], "*"),
    )

    report = tick(install(), "account-b")

    own = of_account(delivered, ACCOUNT_B)
    assert (report.outcome, report.copied) == ("partial", 0)
    assert reasons(report) == dict.fromkeys(own, "access_denied")
    assert f"PutObject by arn:aws:iam::{ACCOUNT_B}:user/syncd of s3://{consumer.bucket}/{own[0]}" in str(report.failed)
    assert there(world, "account-b") == []


def test_a_consumer_that_may_not_list_its_own_bucket_copies_and_is_told_what_that_costs(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    consumer = world.consumer("account-b")
    allow_user(
        world,
        ACCOUNT_B,
        allow("sts:AssumeRole", consumer.role_arn),
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{consumer.bucket}/*"),
    )
    installed = install()

    report = tick(installed, "account-b")

    assert report.outcome == "ok"
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)
    assert "rebuild.listing_denied" in {event for event, _ in installed.told}


def test_a_consumer_that_may_not_read_its_own_bucket_cannot_compare_what_is_there(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    consumer = world.consumer("account-b")
    own = of_account(delivered, ACCOUNT_B)
    with root_client(world.url, ACCOUNT_B, "s3") as s3:
        s3.put_object(Bucket=consumer.bucket, Key=own[0], Body=b"written by somebody else")
    allow_user(
        world,
        ACCOUNT_B,
        allow("sts:AssumeRole", consumer.role_arn),
        allow("s3:PutObject", f"arn:aws:s3:::{consumer.bucket}/*"),
    )

    report = tick(install(), "account-b")

    assert (report.outcome, report.copied, reasons(report)) == ("partial", len(own) - 1, {own[0]: "cannot_compare"})


def test_a_consumer_that_may_not_assume_the_role_is_refused(world: World, install: Callable[..., Installed]) -> None:
    allow_user(world, ACCOUNT_B, allow("s3:*", "*"))

    report = tick(install(), "account-b")

    assert error_of(report)[0] == "access_denied"
    assert report.error is not None
    assert "sts:AssumeRole" in report.error.remedy


def test_a_root_user_is_refused_with_awss_reason_before_the_role_is_asked_for(
    install: Callable[..., Installed],
) -> None:
    installed = install({"account-b": {"access_key_id": ACCOUNT_B, "secret_access_key": ROOT_SECRET}})

    report = tick(installed, "account-b")

    reason, detail = error_of(report)
    assert reason == "root_caller"
    assert "roles may not be assumed by root accounts" in detail
    assert "AssumeRole" not in report.requests


def test_credentials_of_another_account_are_refused_before_the_role_is_asked_for(
    world: World, install: Callable[..., Installed]
) -> None:
    other = world.consumer("account-c")
    keys = {"access_key_id": other.access_key_id, "secret_access_key": other.secret_access_key}

    report = tick(install({"account-b": keys}), "account-b")

    assert error_of(report)[0] == "wrong_account"
    assert "AssumeRole" not in report.requests


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"secret_access_key": "wrong"}, "wrong_secret_key"),
        ({"access_key_id": "AKIA0000000000000000"}, "invalid_credentials"),
    ],
)
def test_credentials_that_are_wrong_are_refused(
    keys: Mapping[str, str], reason: str, install: Callable[..., Installed]
) -> None:
    report = tick(install({"account-b": keys}), "account-b")

    assert error_of(report)[0] == reason


def test_a_consumer_without_a_role_reads_what_the_buckets_own_policy_lets_it(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    """MiniStack takes a bucket policy across accounts only where it names the account as a whole, and so does this."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_B}:root"},
                "Action": ["s3:ListBucket", "s3:GetObject"],
                "Resource": [f"arn:aws:s3:::{world.bucket}", f"arn:aws:s3:::{world.bucket}/AWSLogs/{ACCOUNT_B}/*"],
            }
        ],
    }
    with root_client(world.url, ACCOUNT_A, "s3") as s3:
        s3.put_bucket_policy(Bucket=world.bucket, Policy=json.dumps(policy))
    allow_user(world, ACCOUNT_B, allow("s3:*", "*"))

    report = tick(install(), "account-b", {"source.role": None})

    assert (report.outcome, "AssumeRole" in report.requests) == ("ok", False)
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)


# Where the consumer's credentials come from


def test_a_profile_of_the_standard_files_works(
    world: World,
    delivered: list[str],
    install: Callable[..., Installed],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = install()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    report = tick(installed, "account-b", {"consumer.credentials_file": None})

    assert report.outcome == "ok"
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)


def test_a_credentials_file_without_a_profile_works(
    world: World, delivered: list[str], install: Callable[..., Installed], tmp_path: Path
) -> None:
    installed = install()
    text = (tmp_path / "credentials").read_text().replace("[account-b]", "[default]")
    (tmp_path / "own").write_text(text)

    report = tick(
        installed, "account-b", {"consumer.profile": None, "consumer.credentials_file": str(tmp_path / "own")}
    )

    assert report.outcome == "ok"
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)


def test_the_environment_works(
    world: World, delivered: list[str], install: Callable[..., Installed], monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = world.consumer("account-b")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", consumer.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", consumer.secret_access_key)

    report = tick(install(), "account-b", {"consumer.profile": None, "consumer.credentials_file": None})

    assert report.outcome == "ok"
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)


# The session


def widened(world: World, name: str) -> None:
    """Gives the consumer's role everything there is in S3."""
    with root_client(world.url, ACCOUNT_A, "iam") as iam:
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*", "*")]})
        role = world.consumer(name).role_arn.rpartition("/")[2]
        iam.put_role_policy(RoleName=role, PolicyName="read-logs", PolicyDocument=document)


def session_client(world: World, make_client: MakeClient, principal: RolePrincipal) -> Any:
    credentials = principal.current()
    return make_client(
        world.url,
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        session_token=credentials.session_token,
    )


def test_a_role_that_may_do_anything_can_neither_write_nor_delete_nor_look_elsewhere_in_our_hands(
    world: World, delivered: list[str], install: Callable[..., Installed], make_client: MakeClient
) -> None:
    widened(world, "account-b")
    installed = install()
    report = tick(installed, "account-b")
    identities = installed.installation.identities
    assert isinstance(identities, Watched)
    ours = session_client(world, make_client, identities.roles[0])
    own, foreign = of_account(delivered, ACCOUNT_B)[0], of_account(delivered, ACCOUNT_C)[0]
    bucket = {"Bucket": world.bucket}

    answers = {
        "reads its own": refusal(lambda: ours.head_object(**bucket, Key=own)),
        "lists its own": refusal(lambda: ours.list_objects_v2(**bucket, Prefix=f"AWSLogs/{ACCOUNT_B}/")),
        "writes": refusal(lambda: ours.put_object(**bucket, Key=own, Body=b"")),
        "writes anew": refusal(lambda: ours.put_object(**bucket, Key=f"AWSLogs/{ACCOUNT_B}/new", Body=b"")),
        "deletes": refusal(lambda: ours.delete_object(**bucket, Key=own)),
        "reads another's": refusal(lambda: ours.get_object(**bucket, Key=foreign)),
        "lists another's": refusal(lambda: ours.list_objects_v2(**bucket, Prefix=f"AWSLogs/{ACCOUNT_C}/")),
        "lists everything": refusal(lambda: ours.list_objects_v2(**bucket)),
    }

    denied = {what for what, code in answers.items() if code == "AccessDenied"}
    assert report.outcome == "ok"
    assert answers["reads its own"] is answers["lists its own"] is None
    assert denied == set(answers) - {"reads its own", "lists its own"}


def test_it_is_the_session_policy_that_narrows(world: World, make_client: MakeClient, delivered: list[str]) -> None:
    """Without it the same role deletes: what the test above sees is no accident."""
    widened(world, "account-b")
    consumer = world.consumer("account-b")
    user = make_client(
        world.url, "sts", access_key_id=consumer.access_key_id, secret_access_key=consumer.secret_access_key
    )
    told = user.assume_role(RoleArn=consumer.role_arn, RoleSessionName="wide")["Credentials"]
    wide = make_client(
        world.url,
        access_key_id=told["AccessKeyId"],
        secret_access_key=told["SecretAccessKey"],
        session_token=told["SessionToken"],
    )

    assert refusal(lambda: wide.delete_object(Bucket=world.bucket, Key=delivered[0])) is None


class Short:
    """A session of two seconds, and both ends of account Z's job."""

    def __init__(self, installed: Installed, make_client: MakeClient, *, now: Callable[[], float]) -> None:
        self.world = installed.world
        self.counted: Counter[str] = Counter()
        job = installed.job("account-z")
        identities = installed.installation.identities
        consumer = identities.consumer(job, count=lambda _: None)
        assert job.source.role is not None
        self.role = RolePrincipal(
            job.source.role,
            consumer,
            # Botocore itself would refuse what AWS does not grant.
            sts=lambda credentials: make_client(
                self.world.url,
                "sts",
                access_key_id=credentials.access_key_id,
                secret_access_key=credentials.secret_access_key,
                parameter_validation=False,
            ),
            session_policy=session_policy(job),
            now=now,
            count=lambda operation: self.counted.update([operation]),
            duration_seconds=2,
        )
        self.ends = {
            side: Endpoint(bucket, owner, address_of(self.world.url, bucket), principal, Transport(), self.counted)
            for side, bucket, owner, principal in (
                (Side.SOURCE, self.world.bucket, ACCOUNT_A, self.role),
                (Side.DESTINATION, job.destination.bucket, ACCOUNT_Z, consumer),
            )
        }
        self.terms = Terms(
            source_bucket=self.world.bucket,
            source_owner=ACCOUNT_A,
            source_principal=self.role.name,
            destination_bucket=job.destination.bucket,
            destination_principal=consumer.name,
            multipart_above=5 * MIB,
            part_size=5 * MIB,
        )

    def run(self) -> dict[str, str]:
        """Lists, and copies; the session ends after the fourth object."""
        lister = BucketLister(self.ends[Side.SOURCE], Side.SOURCE, now=time.time)
        engine = engine_between(self.ends[Side.SOURCE], self.ends[Side.DESTINATION], self.terms, in_flight=4)

        def transfers() -> Iterator[Transfer]:
            for page in lister.pages([Range(Shard("AWSLogs/"), "")]):
                for number, item in enumerate(page.objects if page else ()):
                    if number == 4:
                        self.outlive()
                    yield Transfer(Shard("AWSLogs/"), item, item.key)

        return words(engine.copy_all(transfers(), Event()))

    def outlive(self) -> None:
        # Told to the second, and kept more exactly.
        over = (self.role.current().expires_at or 0.0) + 1
        wait_until(lambda: datetime.now(UTC).timestamp() > over, what="the end of the session")


@pytest.mark.parametrize(
    "now",
    [lambda: 0.0, lambda: datetime.now(UTC).timestamp()],
    ids=["told by the refusal", "told by the clock"],
)
def test_a_session_that_ends_in_the_middle_of_a_run_is_renewed_and_nothing_fails(
    world: World,
    delivered: list[str],
    install: Callable[..., Installed],
    make_client: MakeClient,
    now: Callable[[], float],
) -> None:
    """What is told by the refusal is a session that ends before its time, as when its owner revokes it."""
    short = Short(install(), make_client, now=now)
    with root_client(world.url, ACCOUNT_A, "s3") as s3:
        for key in delivered[8:]:
            s3.delete_object(Bucket=world.bucket, Key=key)

    outcomes = short.run()

    assert outcomes == dict.fromkeys(delivered[:8], "Copied")
    assert there(world, "account-z") == delivered[:8]
    assert short.counted["AssumeRole"] >= 2


# What is told


def test_no_secret_is_in_anything_that_is_told(delivered: list[str], install: Callable[..., Installed]) -> None:
    installed = install({"account-c": {"secret_access_key": "a wrong secret that is one too"}})

    reports = [tick(installed, name) for name in ("account-b", "account-c", "account-z")]
    refused = tick(installed, "account-b", {"source.accounts": [ACCOUNT_C]})

    identities = installed.installation.identities
    assert isinstance(identities, Watched)
    sessions = [principal.current() for principal in identities.roles]
    secrets = [consumer.secret_access_key for consumer in installed.world.consumers]
    secrets += [text for session in sessions for text in (session.secret_access_key, session.session_token or "")]
    told = f"{installed.told}{reports}{refused}{installed.installation}{installed.configuration}{sessions}"
    assert [report.outcome for report in reports] == ["ok", "failed", "ok"]
    assert len(sessions) == 3
    assert bool(delivered)
    assert not [secret for secret in secrets if secret in told]


def test_jobs_that_run_side_by_side_keep_their_identities_apart(
    world: World, delivered: list[str], install: Callable[..., Installed]
) -> None:
    installed = install()
    reports: dict[str, TickReport] = {}
    names = ("account-b", "account-c", "account-z")
    threads = [
        threading.Thread(target=lambda name=name: reports.update({name: tick(installed, name)})) for name in names
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {name: report.outcome for name, report in reports.items()} == dict.fromkeys(names, "ok")
    assert there(world, "account-b") == of_account(delivered, ACCOUNT_B)
    assert there(world, "account-c") == of_account(delivered, ACCOUNT_C)
    assert there(world, "account-z") == delivered
