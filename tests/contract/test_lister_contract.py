"""What a tick relies on in a listing: one suite over the fake in memory and the lister that speaks S3."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from builders_copy import SOURCE, Ends
from fakes import MemoryBucket, MemorySource
from faulty import FaultyS3, Request, Status

from syncd.model.errors import JobFailed
from syncd.model.objects import Page, Range, Shard
from syncd.tick.ports import Lister

NOW = 1_795_507_200.0
LOGS, MORE = Shard("logs/"), Shard("more/")


class Listed(NamedTuple):
    """A bucket, and what lists it."""

    put: Callable[..., object]
    lister: Lister
    deny: Callable[[str, int], None]
    """Listings of the prefix are refused from the page of this number on, which counts from 0."""


@pytest.fixture(params=["memory", "http"])
def bucket(request: pytest.FixtureRequest) -> Listed:
    if request.param == "memory":
        return in_memory()
    server: FaultyS3 = request.getfixturevalue("faulty")
    return over_http(server)


def in_memory() -> Listed:
    memory = MemoryBucket()
    source = MemorySource(memory, now=lambda: NOW)

    def deny(prefix: str, page: int) -> None:
        refusal = JobFailed("access_denied", f"ListObjectsV2 of {prefix}", "")
        source.refuse = lambda asked, number: refusal if asked == prefix and number >= page else None

    return Listed(memory.put, source, deny)


def over_http(server: FaultyS3) -> Listed:
    ends = Ends(server)

    def put(key: str, body: bytes = b"body", *, last_modified: float = NOW, storage_class: str = "STANDARD") -> None:
        when = datetime.fromtimestamp(last_modified, UTC)
        server.put(SOURCE, key, body, last_modified=when, storage_class=storage_class)

    def deny(prefix: str, page: int) -> None:
        asked: Counter[str] = Counter()

        def is_refused(request: Request) -> bool:
            if request.operation != "ListObjectsV2" or request.query.get("prefix") != prefix:
                return False
            asked[prefix] += 1
            return asked[prefix] > page

        server.faults.add(is_refused, Status(403, "AccessDenied"))

    return Listed(put, ends.lister(now=lambda: NOW), deny)


def pages(bucket: Listed, *ranges: Range) -> list[Page]:
    return [page for page in bucket.lister.pages(ranges) if page is not None]


def keys(found: Iterable[Page]) -> list[str]:
    return [item.key for page in found for item in page.objects]


def names(count: int, prefix: str = "logs/") -> list[str]:
    return [f"{prefix}{number:05}" for number in range(count)]


def put_all(bucket: Listed, found: Sequence[str]) -> None:
    for key in found:
        bucket.put(key)


def test_a_range_is_listed_in_key_order_with_nothing_of_other_prefixes(bucket: Listed) -> None:
    put_all(bucket, ["logs/b", "log", "logs/a", "logs0", "logs/c/d"])

    (page,) = pages(bucket, Range(LOGS, ""))

    assert keys([page]) == ["logs/a", "logs/b", "logs/c/d"]
    assert (page.is_last, page.reached_end) == (True, True)


def test_an_object_is_told_with_etag_size_time_and_storage_class(bucket: Listed) -> None:
    bucket.put("logs/a", b"body", last_modified=NOW, storage_class="GLACIER")

    (page,) = pages(bucket, Range(LOGS, ""))

    assert list(page.objects) == [("logs/a", "841a2d689ad86bd1611447453c22c6fc", 4, NOW, "GLACIER")]


def test_an_empty_range_is_one_last_page_without_objects(bucket: Listed) -> None:
    (page,) = pages(bucket, Range(LOGS, ""))

    assert (list(page.objects), page.is_last, page.reached_end) == ([], True, True)


def test_a_page_has_a_thousand_objects(bucket: Listed) -> None:
    put_all(bucket, names(2001))

    found = pages(bucket, Range(LOGS, ""))

    assert [len(page.objects) for page in found] == [1000, 1000, 1]
    assert [page.is_last for page in found] == [False, False, True]
    assert keys(found) == names(2001)


def test_a_range_of_exactly_one_page_ends_with_it(bucket: Listed) -> None:
    put_all(bucket, names(1000))

    (page,) = pages(bucket, Range(LOGS, ""))

    assert (len(page.objects), page.is_last, page.reached_end) == (1000, True, True)


def test_a_listing_begins_after_its_start(bucket: Listed) -> None:
    put_all(bucket, names(4))

    assert keys(pages(bucket, Range(LOGS, "logs/00001"))) == ["logs/00002", "logs/00003"]


def test_a_start_that_is_no_key_is_as_good(bucket: Listed) -> None:
    put_all(bucket, names(4))

    assert keys(pages(bucket, Range(LOGS, "logs/00001~"))) == ["logs/00002", "logs/00003"]


def test_a_range_is_cut_after_its_last_key(bucket: Listed) -> None:
    put_all(bucket, names(4))

    (page,) = pages(bucket, Range(LOGS, "", "logs/00001"))

    assert keys([page]) == ["logs/00000", "logs/00001"]
    assert page.is_last


def test_no_page_is_asked_for_beyond_the_end_of_a_range(bucket: Listed) -> None:
    put_all(bucket, names(2500))

    found = pages(bucket, Range(LOGS, "", "logs/00999~"))

    assert [len(page.objects) for page in found] == [1000, 0]
    assert [(page.is_last, page.reached_end) for page in found] == [(False, False), (True, False)]


def test_a_whole_page_is_given_where_it_was_asked_for(bucket: Listed) -> None:
    put_all(bucket, names(1500))

    (page,) = pages(bucket, Range(LOGS, "", "logs/00001", whole_pages=True))

    assert (len(page.objects), page.is_last, page.reached_end) == (1000, True, False)


def test_a_range_that_holds_nothing_before_its_end_is_last_and_empty(bucket: Listed) -> None:
    put_all(bucket, names(4))

    (page,) = pages(bucket, Range(LOGS, "", "logs/"))

    assert (list(page.objects), page.is_last) == ([], True)


def test_several_ranges_are_each_listed_in_order(bucket: Listed) -> None:
    put_all(bucket, [*names(1500), *names(1500, "more/")])
    ranges = [Range(LOGS, ""), Range(MORE, ""), Range(LOGS, "logs/00003", "logs/00005")]

    found = pages(bucket, *ranges)

    by_range = {wanted: [page for page in found if page.range == wanted] for wanted in ranges}
    assert [keys(by_range[wanted]) for wanted in ranges] == [
        names(1500),
        names(1500, "more/"),
        ["logs/00004", "logs/00005"],
    ]
    assert all([page.is_last for page in its][-1] for its in by_range.values())


def test_ranges_are_taken_from_the_iterable_as_there_is_room(bucket: Listed) -> None:
    ranges = [Range(Shard(f"{number:03}/"), "") for number in range(40)]
    put_all(bucket, [f"{number:03}/key" for number in range(40)])

    found = pages(bucket, *ranges)

    assert sorted(keys(found)) == [f"{number:03}/key" for number in range(40)]


def test_each_page_tells_when_the_listing_of_its_range_began(bucket: Listed) -> None:
    put_all(bucket, names(1001))

    assert [page.requested_at for page in pages(bucket, Range(LOGS, ""))] == [NOW, NOW]


@pytest.mark.parametrize(
    "key",
    ["logs/a b+c%2B", "logs/ü日本😀", "logs//x", "logs/&<>'\"", "logs/\x7f\x01", "logs/a\nb", "logs/%", "logs/ "],
)
def test_an_odd_key_is_listed_as_it_is(bucket: Listed, key: str) -> None:
    bucket.put(key)

    assert keys(pages(bucket, Range(LOGS, ""))) == [key]


def test_a_refused_page_fails_the_job_after_the_pages_before_it(bucket: Listed) -> None:
    put_all(bucket, names(1500))
    bucket.deny("logs/", 1)
    found: list[Page] = []

    with pytest.raises(JobFailed) as caught:
        found.extend(page for page in bucket.lister.pages([Range(LOGS, "")]) if page is not None)

    assert caught.value.reason == "access_denied"
    assert [(len(page.objects), page.is_last) for page in found] in ([], [(1000, False)])


def test_folders_are_what_is_directly_below_a_prefix(bucket: Listed) -> None:
    put_all(bucket, ["logs/a/1", "logs/a/2/3", "logs/b/1", "logs/loose", "more/c/1"])

    found = list(bucket.lister.folders(["logs/"]))

    assert [folder.prefix for folder in found] == ["logs/"]
    assert [name for folder in found for name in folder.prefixes] == ["logs/a/", "logs/b/"]
    assert [item.key for folder in found for item in folder.objects] == ["logs/loose"]


def test_a_prefix_with_nothing_below_it_is_an_empty_folder(bucket: Listed) -> None:
    assert [(f.prefix, list(f.prefixes), list(f.objects)) for f in bucket.lister.folders(["no/"])] == [("no/", [], [])]


def test_more_folders_than_a_page_holds_are_all_found(bucket: Listed) -> None:
    put_all(bucket, [f"logs/{number:05}/x" for number in range(1100)])

    found = [name for folder in bucket.lister.folders(["logs/"]) for name in folder.prefixes]

    assert found == [f"logs/{number:05}/" for number in range(1100)]


def test_the_folders_of_several_prefixes_are_told_apart(bucket: Listed) -> None:
    put_all(bucket, ["logs/a/1", "more/b/1"])

    found = {folder.prefix: list(folder.prefixes) for folder in bucket.lister.folders(["logs/", "more/", "no/"])}

    assert found == {"logs/": ["logs/a/"], "more/": ["more/b/"], "no/": []}


def test_a_refused_folder_fails_the_job(bucket: Listed) -> None:
    bucket.deny("logs/", 0)

    with pytest.raises(JobFailed) as caught:
        list(bucket.lister.folders(["logs/"]))

    assert caught.value.reason == "access_denied"


def test_a_listing_after_one_that_failed_is_not_disturbed_by_it(bucket: Listed) -> None:
    put_all(bucket, [*names(1500), *names(3, "more/")])
    bucket.deny("logs/", 0)
    others = [Range(Shard(f"other-{number}/"), "") for number in range(6)]

    with pytest.raises(JobFailed):
        pages(bucket, Range(LOGS, ""), Range(MORE, ""), *others)

    for _ in range(3):
        assert keys(pages(bucket, Range(MORE, ""))) == names(3, "more/")


def test_a_listing_after_one_that_was_given_up_is_not_disturbed_by_it(bucket: Listed) -> None:
    put_all(bucket, [*names(1500), *names(3, "more/")])
    given_up = bucket.lister.pages([Range(LOGS, ""), Range(MORE, "")])
    next(page for page in given_up if page is not None)

    del given_up

    for _ in range(3):
        assert keys(pages(bucket, Range(MORE, ""))) == names(3, "more/")
