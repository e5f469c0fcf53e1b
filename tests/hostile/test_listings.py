"""Listings that lie or do not end: what fails the job, what fails alone, and after how long."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from builders_copy import address_of
from fakes import MemoryPrincipal

from hostile.server import Asked, HostileServer, answer, hostile, page, row
from syncd.aws.endpoint import Endpoint
from syncd.aws.listing import EMPTY_PAGES_IN_A_ROW, BucketLister
from syncd.aws.s3 import Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials
from syncd.model.errors import JobFailed, ListingBudgetSpent
from syncd.model.objects import Page, Range, Shard

LOGS = Range(Shard("logs/"), "")


@contextmanager
def lister(attack: Callable[[Asked], Iterable[bytes]], **more: Any) -> Iterator[tuple[BucketLister, HostileServer]]:
    with hostile(attack) as server:
        principal = MemoryPrincipal("reader", [Credentials("AKID", "secret", None, None)])
        end = Endpoint("trail", "111111111111", address_of(server.url, "trail"), principal, Transport(), Counter())
        yield BucketLister(end, Side.SOURCE, now=time.time, **more), server


def pages(found: BucketLister) -> Iterator[Page]:
    return (each for each in found.pages([LOGS]) if each is not None)


def key(number: int) -> str:
    return f"logs/{number:08}"


ENDLESS = {
    "empty pages": (lambda _: page(), "5 pages in a row without an object"),
    "the same page": (lambda _: page(row(key(1))), "does not come after"),
    "descending pages": (lambda number: page(row(key(1000 - number))), "does not come after"),
    "pages of another prefix": (lambda number: page(row(f"other/{number}")), "outside of the prefix"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_pages_that_bring_nothing_are_not_asked_for_without_an_end(what: str) -> None:
    make, why = ENDLESS[what]

    def attack(asked: Asked) -> Iterable[bytes]:
        body = make(asked.number).partition(b"<EncodingType>")[2]
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{asked.number}</NextContinuationToken>"
        return [answer(f"<ListBucketResult>{more}<EncodingType>".encode() + body)]

    with lister(attack) as (found, server), pytest.raises(JobFailed, match=why) as caught:
        list(pages(found))

    assert caught.value.reason == "unexpected_answer"
    assert len(server.asked) <= EMPTY_PAGES_IN_A_ROW


LIES = {
    "a negative size": row(key(1), size="-1"),
    "a size of a thousand digits": row(key(1), size="9" * 1000),
    "the year 9999": row(key(1), modified="9999-12-31T23:59:59.000Z"),
    "the year 1970": row(key(1), modified="1970-01-01T00:00:00.000Z"),
    "the year 0001, in the east": row(key(1), modified="0001-01-01T00:00:00+14:00"),
    "a header in an ETag": row(key(1), etag="a&#13;&#10;x-amz-acl: public-read"),
    "a key of two kilobytes": row("logs/" + "k" * 2000),
    "two thousand rows": "".join(row(key(number)) for number in range(2000)),
    "a million elements": "<a/>" * 900_000,
}


@pytest.mark.parametrize("what", LIES)
def test_a_row_that_cannot_be_true_is_an_unexpected_answer(what: str) -> None:
    with (
        lister(lambda _: [page(LIES[what])]) as (found, _),
        pytest.raises(JobFailed, match=r"s3://trail/logs/") as caught,
    ):
        list(pages(found))

    assert caught.value.reason == "unexpected_answer"
    assert len(caught.value.detail) < 1000


def test_a_key_that_is_not_utf8_is_named_and_the_others_are_listed() -> None:
    odd = quote_from_bytes(b"logs/b\xff%")

    with lister(lambda _: [page(row("logs/a"), row(odd), row("logs/c"))]) as (found, _):
        (only,) = pages(found)

    assert [item.key for item in only.objects] == ["logs/a", "logs/c"]
    assert [item.key for item in only.unreadable] == ["logs/b%FF%25"]


@pytest.mark.parametrize("order", ["as S3 writes them", "otherwise"])
def test_such_a_key_may_be_listed_as_bytes(order: str) -> None:
    rows = [row(name) for name in ("logs/a", "logs/b?", "logs/c")]
    if order == "otherwise":
        rows[1] = rows[1].replace("<StorageClass>STANDARD</StorageClass>", "").replace("<Contents>", "<Contents><A/>")
    body = page(*rows).replace(b"<EncodingType>url</EncodingType>", b"").replace(b"b?", b"b\xff")
    body = answer(body.partition(b"\r\n\r\n")[2])

    with lister(lambda _: [body]) as (found, _):
        (only,) = pages(found)

    assert [item.key for item in only.objects] == ["logs/a", "logs/c"]
    assert [item.key for item in only.unreadable] == ["logs/b%FF"]


def test_rows_keep_their_order_whichever_way_they_are_written() -> None:
    odd = row(key(2)).replace("<Contents>", "<Contents><Owner><ID>x</ID></Owner>")
    rows = [row(key(3)), odd, row(key(4))]

    with lister(lambda _: [page(*rows)]) as (found, _), pytest.raises(JobFailed, match="does not come after"):
        list(pages(found))
    with lister(lambda _: [page(row(key(1)), *rows[1:])]) as (found, _):
        assert [item.key for each in pages(found) for item in each.objects] == [key(1), key(2), key(4)]


def test_a_source_that_brings_nothing_is_given_up_within_a_minute() -> None:
    # Each look at the clock takes a second.
    clock = map(float, itertools.count())

    def stalled(_: Asked) -> Iterable[bytes]:
        return server.drip(itertools.repeat(b"H"))

    with (
        lister(stalled, clock=lambda: next(clock)) as (found, server),
        pytest.raises(JobFailed, match="no object in 60 s") as caught,
    ):
        list(pages(found))

    assert caught.value.reason == "timeout"


def test_a_source_that_brings_a_little_for_ever_ends_with_the_budget_and_what_it_brought_is_kept() -> None:
    clock = map(float, itertools.count())

    def dribble(asked: Asked) -> Iterable[bytes]:
        return [page(row(key(asked.number)), token=f"t{asked.number}")]

    kept: list[Page] = []
    with (
        lister(dribble, budget_seconds=20.0, clock=lambda: next(clock)) as (found, _),
        pytest.raises(ListingBudgetSpent, match=r"listing\.budget") as caught,
    ):
        kept.extend(pages(found))

    assert caught.value.reason == "listing_budget_spent"
    assert kept
    assert not [each for each in kept if each.is_last]
