"""The sample world on MiniStack, which enforces trust and policies, and on the fake: the same answers from both."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from faulty import FaultyS3
from place import refusal
from servers import MakeClient

from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.world import ACCOUNT_B, ACCOUNT_C, Consumer, World


@pytest.fixture(params=["faulty", "ministack"])
def shared_world(request: pytest.FixtureRequest) -> World:
    """The sample world on either server."""
    if request.param == "faulty":
        server: FaultyS3 = request.getfixturevalue("faulty")
        return server.world()
    world: World = request.getfixturevalue("world")
    return world


def user(world: World, consumer: Consumer, make_client: MakeClient, service: str) -> Any:
    return make_client(
        world.url,
        service,
        access_key_id=consumer.access_key_id,
        secret_access_key=consumer.secret_access_key,
        parameter_validation=False,
    )


def assume(world: World, consumer: Consumer, make_client: MakeClient, **more: Any) -> Any:
    external_id = {"ExternalId": consumer.external_id} if consumer.external_id else {}
    answer = user(world, consumer, make_client, "sts").assume_role(
        RoleArn=consumer.role_arn, RoleSessionName="syncd-test", **external_id, **more
    )
    return answer["Credentials"]


def session(world: World, credentials: Any, make_client: MakeClient) -> Any:
    return make_client(
        world.url,
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
    )


def test_the_identity_of_a_user_is_told(shared_world: World, make_client: MakeClient) -> None:
    consumer = shared_world.consumer("account-b")

    identity = user(shared_world, consumer, make_client, "sts").get_caller_identity()

    assert (identity["Account"], identity["Arn"]) == (ACCOUNT_B, f"arn:aws:iam::{ACCOUNT_B}:user/syncd")


def test_a_consumer_lists_its_own_logs_through_its_role(shared_world: World, make_client: MakeClient) -> None:
    consumer = shared_world.consumer("account-b")
    reader = session(shared_world, assume(shared_world, consumer, make_client), make_client)

    listed = reader.list_objects_v2(Bucket=shared_world.bucket, Prefix=f"AWSLogs/{ACCOUNT_B}/")

    assert listed["KeyCount"] == 0


def test_the_right_external_id_opens_the_role(shared_world: World, make_client: MakeClient) -> None:
    consumer = shared_world.consumer("account-z")
    reader = session(shared_world, assume(shared_world, consumer, make_client), make_client)

    assert reader.list_objects_v2(Bucket=shared_world.bucket)["KeyCount"] == 0


@pytest.mark.parametrize("external_id", [None, "another-external-id"])
def test_a_missing_or_wrong_external_id_is_denied(
    shared_world: World, make_client: MakeClient, external_id: str | None
) -> None:
    consumer = replace(shared_world.consumer("account-z"), external_id=external_id)

    assert refusal(lambda: assume(shared_world, consumer, make_client)) == "AccessDenied"


def test_the_role_of_another_consumer_is_denied(shared_world: World, make_client: MakeClient) -> None:
    consumer = replace(shared_world.consumer("account-b"), role_arn=shared_world.consumer("account-c").role_arn)

    assert refusal(lambda: assume(shared_world, consumer, make_client)) == "AccessDenied"


def test_a_role_that_does_not_exist_is_denied(shared_world: World, make_client: MakeClient) -> None:
    consumer = replace(shared_world.consumer("account-b"), role_arn="arn:aws:iam::111111111111:role/nobody")

    assert refusal(lambda: assume(shared_world, consumer, make_client)) == "AccessDenied"


def test_a_user_reads_nothing_of_account_a_without_the_role(shared_world: World, make_client: MakeClient) -> None:
    reader = user(shared_world, shared_world.consumer("account-b"), make_client, "s3")

    assert refusal(lambda: reader.list_objects_v2(Bucket=shared_world.bucket)) == "AccessDenied"


def test_a_role_writes_nothing_into_the_consumers_bucket(shared_world: World, make_client: MakeClient) -> None:
    consumer = shared_world.consumer("account-b")
    reader = session(shared_world, assume(shared_world, consumer, make_client), make_client)

    assert refusal(lambda: reader.put_object(Bucket=consumer.bucket, Key="k", Body=b"")) == "AccessDenied"


def test_a_user_writes_reads_and_lists_its_own_bucket(shared_world: World, make_client: MakeClient) -> None:
    consumer = shared_world.consumer("account-b")
    writer = user(shared_world, consumer, make_client, "s3")

    writer.put_object(Bucket=consumer.bucket, Key="k", Body=b"body", IfNoneMatch="*")

    with closing(writer.get_object(Bucket=consumer.bucket, Key="k")["Body"]) as stream:
        assert stream.read() == b"body"
    assert writer.list_objects_v2(Bucket=consumer.bucket)["KeyCount"] == 1


def test_an_unknown_access_key_is_refused_by_sts(shared_world: World, make_client: MakeClient) -> None:
    consumer = replace(shared_world.consumer("account-b"), access_key_id="AKIA0000000000000000")

    assert refusal(lambda: assume(shared_world, consumer, make_client)) == "InvalidClientTokenId"


def test_an_unknown_access_key_is_refused_by_s3(shared_world: World, make_client: MakeClient) -> None:
    consumer = replace(shared_world.consumer("account-b"), access_key_id="AKIA0000000000000000")
    reader = user(shared_world, consumer, make_client, "s3")

    assert refusal(lambda: reader.list_objects_v2(Bucket=consumer.bucket)) == "InvalidAccessKeyId"


def test_a_session_with_another_token_is_refused(shared_world: World, make_client: MakeClient) -> None:
    consumer = shared_world.consumer("account-b")
    credentials = {**assume(shared_world, consumer, make_client), "SessionToken": "another"}
    reader = session(shared_world, credentials, make_client)

    assert refusal(lambda: reader.list_objects_v2(Bucket=shared_world.bucket)) is not None


def test_a_root_user_may_not_assume_a_role(faulty: FaultyS3, make_client: MakeClient) -> None:
    consumer = faulty.world().consumer("account-b")
    keys = faulty.add_user(ACCOUNT_B, "root")
    sts = make_client(faulty.url, "sts", access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)

    code = refusal(lambda: sts.assume_role(RoleArn=consumer.role_arn, RoleSessionName="syncd-test"))

    assert code == "AccessDenied"


def test_ministack_lets_a_root_user_assume_a_role(world: World, make_client: MakeClient) -> None:
    """AWS does not; so syncd's own refusal of a root caller is what is tested there."""
    sts = make_client(world.url, "sts", access_key_id=ACCOUNT_B, secret_access_key=ROOT_SECRET)

    sts.assume_role(RoleArn=world.consumer("account-b").role_arn, RoleSessionName="syncd-test")


def test_ministack_lets_a_role_list_its_own_prefix_only(world: World, make_client: MakeClient) -> None:
    reader = session(world, assume(world, world.consumer("account-b"), make_client), make_client)

    codes = [
        refusal(partial(reader.list_objects_v2, Bucket=world.bucket, Prefix=prefix))
        for prefix in (f"AWSLogs/{ACCOUNT_B}/CloudTrail/", f"AWSLogs/{ACCOUNT_C}/", "AWSLogs/", "")
    ]

    assert codes == [None, "AccessDenied", "AccessDenied", "AccessDenied"]


def test_ministack_narrows_a_session_by_its_policy(world: World, make_client: MakeClient) -> None:
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}'
    credentials = assume(world, world.consumer("account-z"), make_client, Policy=policy)
    reader = session(world, credentials, make_client)

    codes = [
        refusal(lambda: reader.list_objects_v2(Bucket=world.bucket)),
        refusal(lambda: reader.get_object(Bucket=world.bucket, Key="k")),
    ]

    assert codes == [None, "AccessDenied"]


def test_an_expired_session_is_told_as_such(faulty: FaultyS3, make_client: MakeClient) -> None:
    world = faulty.world()
    reader = session(world, assume(world, world.consumer("account-z"), make_client), make_client)

    faulty.identities.expire_sessions()

    assert refusal(lambda: reader.list_objects_v2(Bucket=world.bucket)) == "ExpiredToken"


@pytest.mark.parametrize("seconds", [899, 3601, 43201])
def test_a_duration_out_of_bounds_is_refused(faulty: FaultyS3, make_client: MakeClient, seconds: int) -> None:
    world = faulty.world()

    code = refusal(lambda: assume(world, world.consumer("account-b"), make_client, DurationSeconds=seconds))

    assert code == "ValidationError"


def test_a_request_signed_for_another_region_is_told_the_right_one(faulty: FaultyS3, make_client: MakeClient) -> None:
    world = faulty.world()
    faulty.create_bucket("far", account_id=ACCOUNT_B, region="eu-west-1")
    client = user(world, world.consumer("account-b"), make_client, "s3")

    client.list_objects_v2(Bucket="far")

    assert [request.signing_region for request in faulty.requests] == ["us-east-1", "eu-west-1"]
