"""Server-side copies between two owners on a real server that tells them apart: Ceph's gateway.

    make ceph           needs radosgw, ceph-mon, ceph-osd and ceph-common, 270 MB that `make test` does without

It is the half that SeaweedFS lacks (`contract/test_server_side_servers.py`), and lacks the other: it holds CopyObject to no
condition, knows no checksums but MD5, and does not ask who should own a bucket. So `auto` must find out and stream. And it
lets nobody copy parts of another owner's object, whatever the policies say.
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from threading import Event
from typing import Any, NamedTuple

import pytest
from builders_copy import MIB, address_of, md5_of, terms
from fakes import MemoryPrincipal, MemoryVerdict, words
from gateway import Gateway, ceph_gateway
from servers import MakeClient

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials
from syncd.copy.modes import STREAM, ModalCopier, Way
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy
from syncd.copy.workers.engine import CopyEngine
from syncd.model.objects import Failed, LogObject, Mode, Outcome, Shard, Transfer
from syncd.model.reasons import Reason

DESCRIBED = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "00ff"}}
BY_CONSUMER = Way(Mode.SERVER_SIDE, "consumer")
LARGE = bytes(range(256)) * (11 * MIB // 256)


@pytest.fixture(scope="module")
def gateway(_aws_environment: None) -> Iterator[Gateway]:
    with ceph_gateway() as running:
        yield running


class Owners(NamedTuple):
    """A source that one user owns and reads, and a destination that another owns and writes."""

    name: str
    source: Endpoint
    destination: Endpoint
    owner: Any
    """A client of the source's owner."""
    consumer: Any

    def put(self, key: str, body: bytes) -> Transfer:
        self.owner.put_object(Bucket=self.source.bucket, Key=key, Body=body, **DESCRIBED)
        return Transfer(Shard(""), LogObject(key, md5_of(body), len(body), 0.0), key)

    def share(self) -> None:
        """The owner lets the consumer read."""
        resource = [f"arn:aws:s3:::{self.source.bucket}", f"arn:aws:s3:::{self.source.bucket}/*"]
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam:::user/{self.name}"},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": resource,
        }
        # With a space in it the policy is malformed there.
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
        self.owner.put_bucket_policy(Bucket=self.source.bucket, Policy=policy)

    def copier(self, way: Way) -> CopyEngine:
        agreed = terms()._replace(
            source_bucket=self.source.bucket,
            destination_bucket=self.destination.bucket,
            largest_copy=5 * MIB,
            copy_part_size=5 * MIB,
        )
        begin = server_side if way.mode is Mode.SERVER_SIDE else stream
        return CopyEngine(
            {Side.SOURCE: self.source, Side.DESTINATION: self.destination, Side.COPY: self.destination},
            begin=lambda transfer: begin(Copy(transfer, agreed)),
            in_flight=lambda: 4,
            memory_bytes=lambda: 128 * MIB,
            held_bytes=agreed.held_bytes,
        )

    def copy(self, *transfers: Transfer) -> list[Outcome]:
        """By the consumer, server-side."""
        return list(self.copier(BY_CONSUMER).copy_all(iter(transfers), Event()))


@pytest.fixture
def owners(gateway: Gateway, make_client: MakeClient, request: pytest.FixtureRequest) -> Owners:
    """Two users that no other test has."""
    number = zlib.crc32(request.node.name.encode())
    ends, clients = [], []
    for role in ("owner", "consumer"):
        keys = gateway.add_user(f"{role}{number}")
        client = make_client(
            gateway.url,
            access_key_id=keys[0],
            secret_access_key=keys[1],
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        bucket = f"{role}-{number}"
        client.create_bucket(Bucket=bucket)
        principal = MemoryPrincipal(role, [Credentials(*keys, None, None)])
        ends.append(
            Endpoint(bucket, "111111111111", address_of(gateway.url, bucket), principal, Transport(), Counter())
        )
        clients.append(client)
    return Owners(f"consumer{number}", *ends, *clients)


def test_the_consumer_copies_what_the_owner_lets_it_read(owners: Owners) -> None:
    transfer = owners.put("logs/a b", b"\x1f\x8b\x00")
    owners.share()

    outcomes = owners.copy(transfer)

    head = owners.consumer.head_object(Bucket=owners.destination.bucket, Key="logs/a b")
    assert words(outcomes) == {"logs/a b": "Copied"}
    assert head["ContentLength"] == 3
    assert {name: head[name] for name in DESCRIBED} == DESCRIBED


def test_what_is_refused_in_the_middle_of_a_copy_in_parts_leaves_nothing_behind(owners: Owners) -> None:
    transfer = owners.put("logs/large", LARGE)
    owners.share()

    outcomes = owners.copy(transfer)

    assert words(outcomes) == {"logs/large": Reason.ACCESS_DENIED}
    assert owners.consumer.list_objects_v2(Bucket=owners.destination.bucket)["KeyCount"] == 0
    assert owners.consumer.list_multipart_uploads(Bucket=owners.destination.bucket).get("Uploads", []) == []


def test_what_the_owner_does_not_let_it_read_is_refused_and_not_written(owners: Owners) -> None:
    (outcome,) = owners.copy(owners.put("logs/a", b"body"))

    assert isinstance(outcome, Failed)
    assert outcome.reason == Reason.ACCESS_DENIED
    assert owners.consumer.list_objects_v2(Bucket=owners.destination.bucket)["KeyCount"] == 0


def test_auto_finds_out_that_a_copy_overwrites_there_and_streams(owners: Owners) -> None:
    transfers = [owners.put(f"logs/{number}", b"body") for number in range(3)]
    owners.share()
    found = MemoryVerdict()
    copier = ModalCopier([BY_CONSUMER, STREAM], owners.copier, found, lambda *_, **__: None)

    outcomes = words(copier.copy_all(iter(transfers), Event()))

    assert outcomes == dict.fromkeys(("logs/0", "logs/1", "logs/2"), "Copied")
    assert found.kept == ("stream", "CopyObject by the consumer overwrites: the server ignores If-None-Match")


def test_auto_streams_where_the_consumer_may_not_read_the_source_itself(owners: Owners) -> None:
    transfers = [owners.put(f"logs/{number}", b"body") for number in range(3)]
    found = MemoryVerdict()
    copier = ModalCopier([BY_CONSUMER, STREAM], owners.copier, found, lambda *_, **__: None)

    outcomes = words(copier.copy_all(iter(transfers), Event()))

    assert outcomes == dict.fromkeys(("logs/0", "logs/1", "logs/2"), "Copied")
    assert found.kept is not None
    assert found.kept[0] == "stream"
    assert "AccessDenied" in found.kept[1]
