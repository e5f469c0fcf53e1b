"""Replicas in a bucket whose Object Lock keeps each of them for a while: on the fake and on three real servers.

S3 takes nothing there that its sender has not summed. Tables are to be read as in `test_s3_servers.py`.
"""

from collections import Counter
from threading import Event
from typing import Any, NamedTuple

import pytest
from builders_copy import MIB, A, address_of, md5_of, terms
from fakes import MemoryPrincipal, words
from faulty import FaultyS3
from servers import MakeClient, S3Server

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy
from syncd.copy.workers.engine import CopyEngine
from syncd.model.objects import LogObject, Shard, Transfer

LARGE = bytes(range(256)) * (6 * MIB // 256)
BEGIN = {"stream": stream, "server-side": server_side}
MODE = "GOVERNANCE"


class Locked(NamedTuple):
    """A server with a bucket of logs, and one that is locked."""

    name: str
    client: Any
    source: Endpoint
    destination: Endpoint

    def copy(self, mode: str, body: bytes) -> dict[str, str]:
        """By key, what came of it; what is larger than 5 MiB goes in parts."""
        self.client.put_object(Bucket=self.source.bucket, Key="k", Body=body)
        agreed = terms(multipart_above=5 * MIB, part_size=5 * MIB)._replace(
            source_bucket=self.source.bucket,
            destination_bucket=self.destination.bucket,
            largest_copy=5 * MIB,
            copy_part_size=5 * MIB,
        )
        engine = CopyEngine(
            {Side.SOURCE: self.source, Side.DESTINATION: self.destination, Side.COPY: self.destination},
            begin=lambda transfer: BEGIN[mode](Copy(transfer, agreed)),
            in_flight=lambda: 4,
            memory_bytes=lambda: 64 * MIB,
            held_bytes=agreed.held_bytes,
        )
        transfer = Transfer(Shard(""), LogObject("k", md5_of(body), len(body), 0.0), "k")
        return words(engine.copy_all(iter([transfer]), Event()))

    def retention(self) -> str | None:
        """The mode in which the replica is kept."""
        mode: str | None = self.client.head_object(Bucket=self.destination.bucket, Key="k").get("ObjectLockMode")
        return mode


@pytest.fixture(params=["faulty", "ministack", "moto", "seaweed"])
def locked(request: pytest.FixtureRequest, make_client: MakeClient) -> Locked:
    found = request.getfixturevalue(request.param)
    if isinstance(found, FaultyS3):
        user, names = found.add_user(A), ("logs", "locked")
        keys = (user.access_key_id, user.secret_access_key)
        for name in names:
            found.create_bucket(name, account_id=A)
        found.storage.buckets["locked"].default_retention = (MODE, 1)
    else:
        assert isinstance(found, S3Server)
        names = (found.fresh_bucket_name(), found.fresh_bucket_name())
        keys = (found.access_key_id, found.secret_access_key)
    client = make_client(found.url, access_key_id=keys[0], secret_access_key=keys[1])
    if not isinstance(found, FaultyS3):
        client.create_bucket(Bucket=names[0])
        client.create_bucket(Bucket=names[1], ObjectLockEnabledForBucket=True)
        rule = {"DefaultRetention": {"Mode": MODE, "Days": 1}}
        client.put_object_lock_configuration(
            Bucket=names[1], ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    principal, transport = MemoryPrincipal("owner", [Credentials(*keys, None, None)]), Transport()
    ends = [Endpoint(name, A, address_of(found.url, name), principal, transport, Counter()) for name in names]
    return Locked(request.param, client, *ends)


# MiniStack and moto forget to lock what comes in parts, MiniStack and SeaweedFS what CopyObject brings. moto asks for a
# checksum of CopyObject too, which has no body to sum.
KEPT = {
    ("faulty", "stream"): (MODE, MODE),
    ("faulty", "server-side"): (MODE, MODE),
    ("ministack", "stream"): (MODE, None),
    ("ministack", "server-side"): (None, None),
    ("moto", "stream"): (MODE, None),
    ("moto", "server-side"): ("refused", None),
    ("seaweed", "stream"): (MODE, MODE),
    ("seaweed", "server-side"): (None, MODE),
}
"""By server and mode, how a small replica is kept, and one that came in parts."""


@pytest.mark.parametrize("mode", BEGIN)
@pytest.mark.parametrize("body", [b"body", LARGE], ids=["whole", "in parts"])
def test_a_locked_bucket_takes_replicas_and_keeps_them(locked: Locked, mode: str, body: bytes) -> None:
    expected = KEPT[locked.name, mode][body is LARGE]

    outcomes = locked.copy(mode, body)

    if expected == "refused":
        assert outcomes == {"k": "unexpected_answer"}
    else:
        assert (outcomes, locked.retention()) == ({"k": "Copied"}, expected)


@pytest.mark.parametrize("locked", ["faulty", "seaweed"], indirect=True)
@pytest.mark.parametrize("mode", BEGIN)
@pytest.mark.parametrize("body", [b"body", LARGE], ids=["whole", "in parts"])
def test_a_locked_replica_is_already_there(locked: Locked, mode: str, body: bytes) -> None:
    """The other two overwrite on CopyObject: under a lock, with one more version."""
    locked.copy(mode, body)

    assert locked.copy(mode, body) == {"k": "AlreadyThere"}
