"""What lands where S3 copies: on the fake, which stands for AWS, and on three real servers, but for what each gets wrong.

None of the real ones has it all. SeaweedFS holds every condition and knows one account; MiniStack tells accounts apart
and answers a permitted copy between two with 404; moto holds neither conditions nor owners. So the crossing of accounts
is shown on the fake (`faults/test_server_side_ticks.py`), and here the rest; tables are to be read as in
`test_s3_servers.py`.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from threading import Event
from typing import Any, NamedTuple

import pytest
from builders_copy import MIB, B, address_of, fresh_bucket, sha256_of, terms
from fakes import MemoryPrincipal, MemoryVerdict, words
from place import Place
from servers import MakeClient, S3Server

from syncd.aws.endpoint import Endpoint
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials
from syncd.copy.modes import STREAM, ModalCopier, Way
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy
from syncd.copy.workers.engine import CopyEngine
from syncd.model.objects import Failed, Mode, Outcome, Range, Shard, Transfer
from syncd.model.reasons import Reason

LOGS = Shard("logs/")
LARGE = bytes(range(256)) * (11 * MIB // 256)
SERVERS = ["faulty", "ministack", "moto", "seaweed"]


class Server(NamedTuple):
    """One server with a bucket that is both ends: replicas lie under `replica/`."""

    place: Place
    end: Endpoint

    def transfers(self) -> list[Transfer]:
        """Everything under `logs/`, as it is listed."""
        lister = BucketLister(self.end, Side.SOURCE, now=time.time)
        pages = [page for page in lister.pages([Range(LOGS, "")]) if page is not None]
        return [Transfer(LOGS, item, f"replica/{item.key}") for page in pages for item in page.objects]

    def copier(self, way: Way, *, in_parts: bool = False, destination: Endpoint | None = None) -> CopyEngine:
        there = destination or self.end
        agreed = terms()._replace(
            source_bucket=self.place.bucket,
            destination_bucket=there.bucket,
            copy_principal=there.principal.name,
        )
        if in_parts:
            agreed = agreed._replace(largest_copy=5 * MIB, copy_part_size=5 * MIB)
        begin = server_side if way.mode is Mode.SERVER_SIDE else stream
        return CopyEngine(
            {Side.SOURCE: self.end, Side.DESTINATION: there, Side.COPY: there},
            begin=lambda transfer: begin(Copy(transfer, agreed)),
            in_flight=lambda: 8,
            memory_bytes=lambda: 64 * MIB,
            held_bytes=agreed.held_bytes,
        )

    def outcomes(
        self,
        transfers: Sequence[Transfer] | None = None,
        *,
        in_parts: bool = False,
        destination: Endpoint | None = None,
    ) -> list[Outcome]:
        copier = self.copier(Way(Mode.SERVER_SIDE), in_parts=in_parts, destination=destination)
        return list(copier.copy_all(iter(self.transfers() if transfers is None else transfers), Event()))

    def copy(self, transfers: Sequence[Transfer] | None = None, *, in_parts: bool = False) -> dict[str, str]:
        """By key, what came of it."""
        return words(self.outcomes(transfers, in_parts=in_parts))

    def head(self, key: str) -> Any:
        return self.place.client.head_object(Bucket=self.place.bucket, Key=f"replica/{key}", ChecksumMode="ENABLED")

    def replica(self, key: str) -> bytes:
        return self.place.body(f"replica/{key}")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, make_client: MakeClient) -> Server:
    return Server(*fresh_bucket(request.param, request.getfixturevalue(request.param), make_client))


DESCRIBED = {
    "ContentType": "application/json",
    "ContentEncoding": "gzip",
    "Metadata": {"signature": "00ff", "x": "y z"},
}


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_copy_has_the_bytes_metadata_type_and_encoding_of_its_source(server: Server, *, in_parts: bool) -> None:
    body = LARGE if in_parts else b"\x1f\x8b\x00"
    server.place.put("logs/a", body, **DESCRIBED)

    outcomes = server.copy(in_parts=in_parts)

    head = server.head("logs/a")
    assert outcomes == {"logs/a": "Copied"}
    assert server.replica("logs/a") == body
    assert {name: head[name] for name in DESCRIBED} == DESCRIBED


COMPOSITE = f"{sha256_of(b''.join(hashlib.sha256(LARGE[at : at + 5 * MIB]).digest() for at in range(0, len(LARGE), 5 * MIB)))}-3"
# MiniStack and SeaweedFS compute none for CopyObject, MiniStack none for a part; moto leaves the number of parts out.
CHECKSUMS = {
    "faulty": (sha256_of(b"body"), COMPOSITE),
    "ministack": (None, None),
    "moto": (sha256_of(b"body"), COMPOSITE.removesuffix("-3")),
    "seaweed": (None, COMPOSITE),
}


def test_a_copy_has_the_sha256_that_was_asked_for(server: Server) -> None:
    server.place.put("logs/a", b"body")
    server.place.put("logs/large", LARGE)

    server.copy(in_parts=True)

    told = tuple(server.head(key).get("ChecksumSHA256") for key in ("logs/a", "logs/large"))
    assert told == CHECKSUMS[server.place.server]


# MiniStack's HeadObject does not count tags, so that for a copy in parts nobody asks for them.
TAG_IN_PARTS = dict.fromkeys(SERVERS, "audit") | {"ministack": None}


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_copy_has_the_tags_of_its_source(server: Server, *, in_parts: bool) -> None:
    server.place.put("logs/a", LARGE if in_parts else b"body", Tagging="team=audit")

    server.copy(in_parts=in_parts)

    found = server.place.client.get_object_tagging(Bucket=server.place.bucket, Key="replica/logs/a")["TagSet"]
    tags = {tag["Key"]: tag["Value"] for tag in found}
    assert tags.get("team") == (TAG_IN_PARTS[server.place.server] if in_parts else "audit")


# MiniStack and moto overwrite what CopyObject finds: the reason why `auto` streams under [endpoints].
THERE_ALREADY = {"faulty": "AlreadyThere", "ministack": "Copied", "moto": "Copied", "seaweed": "AlreadyThere"}


@pytest.mark.parametrize("in_parts", [False, True])
def test_the_same_content_is_already_there(server: Server, *, in_parts: bool) -> None:
    """CompleteMultipartUpload holds its condition everywhere."""
    server.place.put("logs/a", LARGE if in_parts else b"body")
    server.copy(in_parts=in_parts)

    expected = "AlreadyThere" if in_parts else THERE_ALREADY[server.place.server]
    assert server.copy(in_parts=in_parts) == {"logs/a": expected}


CONFLICT = {
    "faulty": ("Conflict", b"beef"),
    "ministack": ("Copied", b"body"),
    "moto": ("Copied", b"body"),
    "seaweed": ("Conflict", b"beef"),
}


def test_other_content_is_a_conflict_and_stays(server: Server) -> None:
    server.place.put("logs/a", b"body")
    server.place.put("replica/logs/a", b"beef")

    outcomes = server.copy()

    assert (outcomes["logs/a"], server.replica("logs/a")) == CONFLICT[server.place.server]


def test_other_content_of_a_large_object_is_a_conflict_and_stays(server: Server) -> None:
    other = LARGE[:-1] + b"!"
    server.place.put("logs/a", LARGE)
    server.place.put("replica/logs/a", other)

    assert server.copy(in_parts=True) == {"logs/a": "Conflict"}
    assert server.replica("logs/a") == other
    assert server.place.client.list_multipart_uploads(Bucket=server.place.bucket).get("Uploads", []) == []


# moto does not look at the condition on the source.
CHANGED = dict.fromkeys(SERVERS, "object_changed") | {"moto": "Copied"}


@pytest.mark.parametrize("in_parts", [False, True])
def test_an_object_that_changed_since_it_was_listed_is_not_copied(server: Server, *, in_parts: bool) -> None:
    """Above 5 GB the object is looked at first, with a condition that moto holds too."""
    server.place.put("logs/a", LARGE if in_parts else b"body")
    transfers = server.transfers()
    server.place.put("logs/a", LARGE[::-1] if in_parts else b"beef")

    outcomes = server.copy(transfers, in_parts=in_parts)

    assert outcomes == {"logs/a": "object_changed" if in_parts else CHANGED[server.place.server]}


@pytest.mark.parametrize("in_parts", [False, True])
def test_an_object_that_is_gone_since_it_was_listed_is_told(server: Server, *, in_parts: bool) -> None:
    server.place.put("logs/a", LARGE if in_parts else b"body")
    transfers = server.transfers()
    server.place.client.delete_object(Bucket=server.place.bucket, Key="logs/a")

    assert server.copy(transfers, in_parts=in_parts) == {"logs/a": "object_gone"}


WORKS = ("server-side:consumer", "CopyObject by the consumer works")
OVERWRITES = ("stream", "CopyObject by the consumer overwrites: the server ignores If-None-Match")
VERDICTS = {"faulty": WORKS, "ministack": OVERWRITES, "moto": OVERWRITES, "seaweed": WORKS}


def test_auto_finds_out_whether_a_server_would_overwrite(server: Server) -> None:
    for number in range(5):
        server.place.put(f"logs/{number}", b"body")
    found = MemoryVerdict()
    copier = ModalCopier([Way(Mode.SERVER_SIDE, "consumer"), STREAM], server.copier, found, lambda *_, **__: None)

    outcomes = words(copier.copy_all(iter(server.transfers()), Event()))

    assert outcomes == dict.fromkeys((f"logs/{number}" for number in range(5)), "Copied")
    assert found.kept == VERDICTS[server.place.server]


def test_auto_overwrites_nothing_while_it_finds_out(server: Server) -> None:
    for number in range(3):
        server.place.put(f"logs/{number}", b"body")
    server.place.put("replica/logs/0", b"beef")
    found = MemoryVerdict()
    copier = ModalCopier([Way(Mode.SERVER_SIDE, "consumer"), STREAM], server.copier, found, lambda *_, **__: None)

    outcomes = words(copier.copy_all(iter(server.transfers()), Event()))

    assert outcomes == {"logs/0": "Conflict", "logs/1": "Copied", "logs/2": "Copied"}
    assert server.replica("logs/0") == b"beef"
    assert found.kept == VERDICTS[server.place.server]


# MiniStack alone has policies of its users, and its denials name the action as AWS's do within an account.
GRANTS = {
    "s3:GetObject": ("arn:aws:s3:::{}/*", "refused at the destination: s3:PutObject"),
    "s3:PutObject": ("arn:aws:s3:::{}/*", "refused at the source: s3:GetObject"),
}


@pytest.mark.parametrize("server", ["ministack"], indirect=True)
@pytest.mark.parametrize("granted", GRANTS)
def test_a_denial_tells_which_end_refused(
    server: Server, ministack: S3Server, make_client: MakeClient, granted: str
) -> None:
    resource, told = GRANTS[granted]
    keys = {"access_key_id": ministack.access_key_id, "secret_access_key": ministack.secret_access_key}
    iam = make_client(ministack.url, "iam", **keys)
    iam.create_user(UserName="half")
    statement = {"Effect": "Allow", "Action": granted, "Resource": resource.format(server.place.bucket)}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="half", PolicyName="half", PolicyDocument=policy)
    key = iam.create_access_key(UserName="half")["AccessKey"]
    half = MemoryPrincipal("half", [Credentials(key["AccessKeyId"], key["SecretAccessKey"], None, None)])
    server.place.put("logs/a", b"body")
    transfers = server.transfers()

    (outcome,) = server._replace(end=server.end._replace(principal=half)).outcomes(transfers)

    assert isinstance(outcome, Failed)
    assert outcome.reason == Reason.ACCESS_DENIED
    assert outcome.detail.endswith(told)


@pytest.mark.parametrize("server", ["ministack"], indirect=True)
def test_a_permitted_copy_between_accounts_is_a_404_on_ministack(
    server: Server, ministack: S3Server, make_client: MakeClient
) -> None:
    """Account B may read A's bucket and write its own. AWS and Ceph copy; `auto` takes the 404 for a refusal, and streams."""
    client = make_client(ministack.url, access_key_id=B, secret_access_key=ministack.secret_access_key)
    client.create_bucket(Bucket="replicas")
    server.place.client.put_public_access_block(
        Bucket=server.place.bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": False}
    )
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{B}:root"}, "Action": "s3:*"}
    resources = [f"arn:aws:s3:::{server.place.bucket}", f"arn:aws:s3:::{server.place.bucket}/*"]
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": resources}]}
    server.place.client.put_bucket_policy(Bucket=server.place.bucket, Policy=json.dumps(policy))
    server.place.put("logs/a", b"body")
    transfers = server.transfers()
    consumer = MemoryPrincipal("consumer", [Credentials(B, ministack.secret_access_key, None, None)])
    there = Endpoint("replicas", B, address_of(ministack.url, "replicas"), consumer, Transport(), Counter())

    (outcome,) = server.outcomes(transfers, destination=there)

    assert isinstance(outcome, Failed)
    assert outcome.reason == Reason.NO_BUCKET
    assert client.head_object(Bucket=server.place.bucket, Key="logs/a")["ContentLength"] == 4


def test_odd_keys_are_copied_as_they_are(server: Server) -> None:
    keys = ["logs/a b", "logs/a+b", "logs/a%2Bb", "logs/ü日本😀", "logs/'\"<>&", "logs/a=b,c;d:e@f", "logs/-._~!$()*"]
    for key in keys:
        server.place.put(key, key.encode())

    outcomes = server.copy()

    assert outcomes == dict.fromkeys(keys, "Copied")
    assert {key: server.replica(key).decode() for key in keys} == {key: key for key in keys}
