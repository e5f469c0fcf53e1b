"""The destination listed beside the source: each replica is handed over once, beside the page that its object is on."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import pytest
from fakes import MemoryBucket, MemorySource
from hypothesis import given
from hypothesis import strategies as st

from syncd.job.planning import ForgivingLister
from syncd.model.errors import JobFailed
from syncd.model.objects import LogObject, Page, Range, Shard
from syncd.tick.side_by_side import Beside, at_destination, first_page, replicas_in, replicas_of

SHARD = Shard("logs/")
PREFIX = "copy/"
Result = TypeVar("Result")


def finished(steps: Generator[None, None, Result]) -> Result:
    """What a generator returns in the end."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: Result = ended.value
            return result


def names(steps: Generator[None, None, Mapping[str, LogObject] | None]) -> list[str]:
    """The keys of what it returns."""
    found = finished(steps)
    return list(found or {})


def bucket_of(keys: Iterable[str], page_keys: int = 1000, **more: Any) -> MemorySource:
    bucket = MemoryBucket()
    for key in keys:
        bucket.put(key)
    return MemorySource(bucket, page_keys=page_keys, **more)


def everything(_: str) -> bool:
    return True


def beside(keys: Iterable[str], *, wanted: Range | None = None, page_keys: int = 1000) -> Callable[[str], list[str]]:
    """What each call of `upto` gives."""
    sides = Beside(wanted or Range(SHARD, ""), bucket_of((PREFIX + key for key in keys), page_keys), PREFIX)
    return lambda key: names(sides.upto(key, everything))


KEYS = ["logs/a", "logs/b", "logs/c", "logs/d", "logs/e"]


@pytest.mark.parametrize("page_keys", [1, 2, 3, 5, 1000])
def test_replicas_come_up_to_the_key_that_is_asked_for_and_once(page_keys: int) -> None:
    upto = beside(KEYS, page_keys=page_keys)

    assert upto("logs/b") == ["logs/a", "logs/b"]
    assert upto("logs/b") == []
    assert upto("logs/cc") == ["logs/c"]
    assert upto("logs/z") == ["logs/d", "logs/e"]
    assert upto("logs/zz") == []


def test_what_is_not_wanted_is_let_go_of() -> None:
    sides = Beside(Range(SHARD, ""), bucket_of(PREFIX + key for key in KEYS), PREFIX)

    assert names(sides.upto("logs/c", {"logs/b"}.__contains__)) == ["logs/b"]
    assert names(sides.upto("logs/z", everything)) == ["logs/d", "logs/e"]


@given(
    keys=st.sets(st.text("abc/", min_size=1, max_size=3), max_size=20),
    asked=st.lists(st.text("abc/", max_size=3), max_size=9),
    page_keys=st.integers(1, 7),
)
def test_whatever_is_asked_for_no_replica_is_given_too_late_or_twice(
    keys: set[str], asked: list[str], page_keys: int
) -> None:
    upto = beside([SHARD.prefix + key for key in keys], page_keys=page_keys)
    given_before: list[str] = []

    for key in sorted(SHARD.prefix + end for end in asked):
        given_before += upto(key)
        assert given_before == sorted(SHARD.prefix + other for other in keys if SHARD.prefix + other <= key)


def test_only_the_range_is_listed_under_the_destinations_prefix() -> None:
    wanted = Range(SHARD, "logs/a", "logs/d")

    assert at_destination(wanted, PREFIX) == Range(Shard("copy/logs/"), "copy/logs/a", "copy/logs/d")
    assert at_destination(Range(SHARD, ""), PREFIX) == Range(Shard("copy/logs/"), "", "")
    assert beside(KEYS, wanted=wanted)("logs/z") == ["logs/b", "logs/c", "logs/d"]


def test_replicas_are_told_by_the_sources_keys() -> None:
    page = Page(Range(SHARD, ""), [LogObject("copy/logs/a", "e", 1, 2.0)], is_last=True)

    assert replicas_of(page, PREFIX) == [LogObject("logs/a", "e", 1, 2.0)]
    assert replicas_of(page._replace(objects=[LogObject("logs/a", "e", 1, 2.0)]), "") == [
        LogObject("logs/a", "e", 1, 2.0)
    ]


def test_all_replicas_of_a_range_are_listed() -> None:
    lister = bucket_of([*(PREFIX + key for key in KEYS), "logs/x"], page_keys=2)

    assert names(replicas_in(Range(SHARD, "logs/b"), lister, PREFIX)) == KEYS[2:]
    assert finished(replicas_in(Range(Shard("none/"), ""), lister, PREFIX)) == {}


def denied(_prefix: str, page: int) -> JobFailed | None:
    return JobFailed("access_denied", "ListObjectsV2", "") if page >= 1 else None


def test_a_listing_that_is_denied_says_nothing_of_what_is_missing() -> None:
    lister = ForgivingLister(bucket_of((PREFIX + key for key in KEYS), 2, refuse=denied), lambda *_, **__: None)
    sides = Beside(Range(SHARD, ""), lister, PREFIX)

    assert names(sides.upto("logs/a", everything)) == ["logs/a"]
    assert finished(sides.upto("logs/d", everything)) is None
    assert finished(sides.rest()) is None
    assert finished(replicas_in(Range(SHARD, ""), lister, PREFIX)) is None


def test_there_may_be_nothing_yet() -> None:
    waits = list(Beside(Range(SHARD, ""), bucket_of([PREFIX + key for key in KEYS]), PREFIX).upto("logs/z", everything))

    assert waits == [None]


class Piecewise:
    """Gives empty pages before the first that is not."""

    is_denied = False

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        (wanted,) = ranges
        yield None
        yield Page(wanted, [], is_last=False)
        yield Page(wanted, [LogObject("copy/logs/a", "e", 1, 2.0)], is_last=False)
        yield Page(wanted, [LogObject("copy/logs/b", "e", 1, 2.0)], is_last=True)

    def folders(self, prefixes: Iterable[str]) -> Iterator[Any]:
        del prefixes
        yield from ()


def test_the_first_page_is_the_first_that_is_not_empty() -> None:
    assert [item.key for item in first_page(SHARD, Piecewise(), PREFIX)] == ["logs/a"]
    assert first_page(SHARD, bucket_of([]), PREFIX) == []
