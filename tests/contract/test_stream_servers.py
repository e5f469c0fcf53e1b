"""What lands where the product streams: the same on the fake and on three real servers, but for what each gets wrong.

The tables are to be read as in `test_s3_servers.py`: where a server does not do as S3 does, what comes of it is said.
"""

import time
from collections.abc import Sequence
from threading import Event
from typing import Any, NamedTuple

import pytest
from builders_copy import MIB, Ends, engine_between, fresh_bucket, md5_of, sha256_of, terms
from fakes import words
from faulty import FaultyS3
from place import Place
from servers import MakeClient

from syncd.aws.endpoint import Endpoint
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.model.objects import Page, Range, Shard, Transfer

LOGS = Shard("logs/")
LARGE = bytes(range(256)) * (11 * MIB // 256)


class Server(NamedTuple):
    """One server with a bucket that is both ends: replicas lie under `replica/`."""

    place: Place
    end: Endpoint

    def pages(self, *, shard: Shard = LOGS, start_after: str = "") -> list[Page]:
        lister = BucketLister(self.end, Side.SOURCE, now=time.time)
        return [page for page in lister.pages([Range(shard, start_after)]) if page is not None]

    def transfers(self, *, compare_first: bool = False) -> list[Transfer]:
        """Everything under `logs/`, as it is listed."""
        items = [item for page in self.pages() for item in page.objects]
        return [Transfer(LOGS, item, f"replica/{item.key}", compare_first=compare_first) for item in items]

    def copy(
        self,
        transfers: Sequence[Transfer] | None = None,
        *,
        multipart_above: int = 5 * MIB,
        source: Endpoint | None = None,
    ) -> dict[str, str]:
        """Streams them, from here if from nowhere else; by key what came of it."""
        agreed = terms(multipart_above=multipart_above, part_size=5 * MIB)
        engine = engine_between(source or self.end, self.end, agreed, in_flight=8)
        wanted = self.transfers() if transfers is None else transfers
        return words(engine.copy_all(iter(wanted), Event()))

    def head(self, key: str) -> Any:
        return self.place.client.head_object(Bucket=self.place.bucket, Key=f"replica/{key}", ChecksumMode="ENABLED")

    def replica(self, key: str) -> bytes:
        return self.place.body(f"replica/{key}")


@pytest.fixture(params=["faulty", "ministack", "moto", "seaweed"])
def server(request: pytest.FixtureRequest, make_client: MakeClient) -> Server:
    return Server(*fresh_bucket(request.param, request.getfixturevalue(request.param), make_client))


def test_an_object_is_streamed_with_its_bytes_metadata_type_and_encoding(server: Server) -> None:
    more = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "00ff", "x": "y z"}}
    server.place.put("logs/a", b"\x1f\x8b\x00", **more)

    outcomes = server.copy()

    head = server.head("logs/a")
    assert outcomes == {"logs/a": "Copied"}
    assert server.replica("logs/a") == b"\x1f\x8b\x00"
    assert {name: head[name] for name in more} == more


def test_a_replica_carries_the_sha256_that_it_was_written_with(server: Server) -> None:
    server.place.put("logs/a", b"body")

    server.copy()

    assert server.head("logs/a")["ChecksumSHA256"] == sha256_of(b"body")


def test_an_empty_object_is_streamed(server: Server) -> None:
    server.place.put("logs/a", b"")

    assert server.copy() == {"logs/a": "Copied"}
    assert server.replica("logs/a") == b""


def test_what_is_listed_is_what_is_there(server: Server) -> None:
    server.place.put("logs/a", b"body")

    (page,) = server.pages()

    (item,) = page.objects
    assert (item.key, item.etag, item.size_bytes, item.storage_class) == ("logs/a", md5_of(b"body"), 4, "STANDARD")
    assert item.last_modified > 1_700_000_000
    assert (page.is_last, page.reached_end) == (True, True)


ODD = ["logs/a b", "logs/a+b", "logs/a%2Bb", "logs/ü日本😀", "logs/'\"<>&", "logs/a=b,c;d:e@f", "logs/-._~!$()*"]


@pytest.mark.parametrize("key", ODD)
def test_an_odd_key_is_listed_read_and_written_as_it_is(server: Server, key: str) -> None:
    server.place.put(key, b"body")

    assert server.copy() == {key: "Copied"}
    assert server.replica(key) == b"body"


@pytest.mark.parametrize("server", ["ministack", "seaweed"], indirect=True)
def test_objects_of_several_pages_are_streamed_there_and_listed(server: Server, faulty: FaultyS3) -> None:
    """Not on moto, which takes a quarter of a second for a page."""
    ends = Ends(faulty)
    keys = [f"logs/{number:04}" for number in range(1100)]
    transfers = [ends.put(key, key.encode()) for key in keys]

    outcomes = server.copy(transfers, source=ends.source)
    pages = server.pages()

    assert outcomes == dict.fromkeys(keys, "Copied")
    assert [item.key for page in pages for item in page.objects] == keys
    assert [len(page.objects) for page in pages] == [1000, 100]


def test_a_listing_begins_after_a_day_folder(server: Server) -> None:
    """SeaweedFS takes StartAfter as a place in its tree: `…/23/~` lies in it, and the bare `…/24` would lose all of it."""
    for day in ("23", "24", "25"):
        server.place.put(f"logs/2026/11/{day}/x", b"")

    found = [item.key for page in server.pages(start_after="logs/2026/11/23/~") for item in page.objects]

    assert found == ["logs/2026/11/24/x", "logs/2026/11/25/x"]


def test_the_same_content_is_already_there(server: Server) -> None:
    server.place.put("logs/a", b"body")
    server.copy()

    assert server.copy() == {"logs/a": "AlreadyThere"}


def test_the_same_content_written_without_a_checksum_is_already_there(server: Server) -> None:
    server.place.put("logs/a", b"body")
    server.place.put("replica/logs/a", b"body")

    assert server.copy() == {"logs/a": "AlreadyThere"}


@pytest.mark.parametrize("other", [b"beef", b"longer than that"])
def test_other_content_is_a_conflict_and_stays(server: Server, other: bytes) -> None:
    server.place.put("logs/a", b"body")
    server.place.put("replica/logs/a", other)

    assert server.copy() == {"logs/a": "Conflict"}
    assert server.replica("logs/a") == other


@pytest.mark.parametrize(("replica", "outcome"), [(b"body", "AlreadyThere"), (b"beef", "Conflict"), (None, "Copied")])
def test_a_known_key_is_compared_before_it_is_written(server: Server, replica: bytes | None, outcome: str) -> None:
    server.place.put("logs/a", b"body")
    if replica is not None:
        server.place.put("replica/logs/a", replica)

    assert server.copy(server.transfers(compare_first=True)) == {"logs/a": outcome}


def test_an_object_that_is_gone_or_changed_since_it_was_listed_is_not_copied(server: Server) -> None:
    server.place.put("logs/a", b"body")
    server.place.put("logs/b", b"body")
    transfers = server.transfers()
    server.place.client.delete_object(Bucket=server.place.bucket, Key="logs/a")
    server.place.put("logs/b", b"beef")

    assert server.copy(transfers) == {"logs/a": "object_gone", "logs/b": "object_changed"}


def test_a_large_object_is_streamed_in_parts_with_its_metadata(server: Server) -> None:
    more = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "00ff"}}
    server.place.put("logs/large", LARGE, **more)

    outcomes = server.copy()

    head = server.head("logs/large")
    assert outcomes == {"logs/large": "Copied"}
    assert server.replica("logs/large") == LARGE
    assert {name: head[name] for name in more} == more
    assert head["ETag"].strip('"').endswith("-3")
    assert server.place.client.list_multipart_uploads(Bucket=server.place.bucket).get("Uploads", []) == []


def test_a_large_object_that_is_there_is_already_there(server: Server) -> None:
    """moto leaves `-3` out of the checksum of three parts; the replica is then read, and never called a Conflict."""
    server.place.put("logs/large", LARGE)
    server.copy()

    assert server.copy() == {"logs/large": "AlreadyThere"}


def test_a_large_object_of_other_content_is_a_conflict_and_stays(server: Server) -> None:
    other = LARGE[:-1] + b"!"
    server.place.put("logs/large", LARGE)
    server.place.put("replica/logs/large", other)

    assert server.copy() == {"logs/large": "Conflict"}
    assert server.replica("logs/large") == other


def test_a_source_that_was_written_in_parts_is_streamed_whole(server: Server) -> None:
    """Its checksum is one of its parts' and says nothing of the body; moto leaves the `-2` out, by which that is told."""
    upload = server.place.upload("logs/parts", ChecksumAlgorithm="SHA256")
    server.place.complete("logs/parts", upload, with_checksums=True)
    whole = server.place.body("logs/parts")

    outcomes = server.copy(multipart_above=64 * MIB)

    assert outcomes == {"logs/parts": "Copied"}
    assert server.replica("logs/parts") == whole
