"""The gate of listings: what passes, what fails the job that lists, and what fails alone."""

import itertools
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.aws.pages.checks import ListingChecks, Passed
from syncd.aws.pages.page import ListingPage
from syncd.aws.s3 import MalformedAnswer
from syncd.model.objects import LogObject

NOW = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
DAY = 86_400.0


def gate(
    prefix: str = "logs/", *, start_after: str = "", delimiter: str = "", takes_trees: bool = True
) -> ListingChecks:
    return ListingChecks(prefix, start_after=start_after, delimiter=delimiter, takes_trees=takes_trees)


def row(key: str, *, size: int = 1, modified: float = NOW, etag: str = "00ff", storage: str = "STANDARD") -> LogObject:
    return LogObject(key, etag, size, modified, storage)


def listing(*rows: LogObject, prefixes: tuple[str, ...] = (), token: str = "") -> ListingPage:
    return ListingPage(rows, prefixes, token)


def keys(passed: Passed) -> list[str]:
    return [item.key for item in passed.objects]


def test_pages_in_order_pass_as_they_are() -> None:
    pages = gate()

    assert keys(pages.check(listing(row("logs/a"), row("logs/b"), token="t"))) == ["logs/a", "logs/b"]
    assert keys(pages.check(listing(row("logs/c")))) == ["logs/c"]


def test_the_bounds_themselves_pass() -> None:
    longest = "logs/" + "é" * 509 + "x"
    rows = [
        row("logs/a", size=0, modified=946_684_800.0, etag=""),
        row("logs/b", size=50 * 1024**4, modified=NOW + 2 * DAY, etag='W/"x"'),
        row(longest, storage="EXPRESS_ONEZONE"),
    ]

    assert len(longest.encode()) == 1024
    assert keys(gate().check(listing(*rows))) == ["logs/a", "logs/b", longest]


def test_the_object_that_stands_for_the_folder_itself_passes() -> None:
    assert keys(gate().check(listing(row("logs/")))) == ["logs/"]


BAD_ROWS = {
    "outside of the prefix": row("other/a"),
    "longer than 1024 bytes": row("logs/" + "é" * 510),
    "-1 bytes": row("logs/a", size=-1),
    "56294995342131201 bytes": row("logs/a", size=56294995342131201),
    "after the year 2199": row("logs/a", modified=datetime(9999, 12, 31, tzinfo=UTC).timestamp()),
    "before the year 2000": row("logs/a", modified=datetime(1999, 12, 31, tzinfo=UTC).timestamp()),
    "ETag": row("logs/a", etag='a"\r\nx-amz-acl: public'),
    "the ETag": row("logs/a", etag="a" * 257),
    "storage class": row("logs/a", storage="GLACIER\n"),
}


@pytest.mark.parametrize("wrong", BAD_ROWS)
def test_a_row_that_cannot_be_true_is_refused_and_named(wrong: str) -> None:
    bad = BAD_ROWS[wrong]

    with pytest.raises(MalformedAnswer, match=wrong) as caught:
        gate().check(listing(bad))

    assert ascii(bad.key[:100]).strip("'") in str(caught.value)


@pytest.mark.parametrize(
    "names", [("logs/b", "logs/a"), ("logs/a", "logs/a"), ("logs/a", ""), ("logs/\U0001f600", "logs/\uffee")]
)
def test_keys_that_do_not_ascend_are_refused_within_a_page_and_across_pages(names: tuple[str, str]) -> None:
    first, second = (row(name) for name in names)
    pages = gate()
    pages.check(listing(first, token="t"))

    with pytest.raises(MalformedAnswer, match="does not come after"):
        pages.check(listing(second))
    with pytest.raises(MalformedAnswer, match="does not come after"):
        gate().check(listing(first, second))


def test_a_store_that_keeps_a_tree_lists_folder_by_folder_and_in_no_other_order_from_then_on() -> None:
    pages, folders = gate(), gate(delimiter="/")

    first = pages.check(listing(row("logs/a/1"), row("logs/a/2"), row("logs/a!"), token="t"))
    passed = folders.check(listing(prefixes=("logs/a/", "logs/a-b/")))

    assert (keys(first), passed.prefixes) == (["logs/a/1", "logs/a/2", "logs/a!"], ("logs/a/", "logs/a-b/"))
    assert keys(pages.check(listing(row("logs/a-"), row("logs/b/1"), token="t"))) == ["logs/a-", "logs/b/1"]
    for name in ("logs/a.b", "logs/b/1", "logs/b/"):
        with pytest.raises(MalformedAnswer, match="does not come after 'logs/b/1'"):
            pages.check(listing(row(name)))


def test_without_leave_a_listing_by_folders_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="'logs/a!' does not come after 'logs/a/2'"):
        gate(takes_trees=False).check(listing(row("logs/a/2"), row("logs/a!")))


def test_a_listing_by_bytes_turns_to_no_other_order_within_a_page() -> None:
    with pytest.raises(MalformedAnswer, match="'logs/a/2' does not come after 'logs/b/1'"):
        gate().check(listing(row("logs/a-"), row("logs/a/1"), row("logs/b-"), row("logs/b/1"), row("logs/a/2")))


@pytest.mark.parametrize(
    ("names", "until", "is_past"),
    [
        (("a", "b"), "b", False),
        (("a", "c"), "b", True),
        (("a/1", "a/2"), "a-5", False),  # in a tree `a-5` may follow
        (("a-1", "a/2"), "a-5", True),  # by bytes, as the page shows
        (("a/1", "a-1"), "a-5", False),
        (("a/1", "a-6"), "a-5", True),
        (("a/1", "a-6"), "a/5", False),  # by bytes it has not come to it
        ((), "b", False),
    ],
)
def test_a_range_ends_once_its_last_key_is_passed_in_the_order_of_the_store(
    names: tuple[str, ...], until: str, *, is_past: bool
) -> None:
    pages = gate()
    pages.check(listing(*(row(f"logs/{name}") for name in names)))

    assert pages.is_past([f"logs/{name}" for name in names], f"logs/{until}") == is_past
    assert not pages.is_past([f"logs/{name}" for name in names], "")


def test_a_key_from_before_the_beginning_of_the_range_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="does not come after 'logs/b'"):
        gate(start_after="logs/b").check(listing(row("logs/b")))


def test_more_rows_than_were_asked_for_are_refused() -> None:
    rows = [row(f"logs/{number:05}") for number in range(1001)]

    with pytest.raises(MalformedAnswer, match="1001 rows"):
        gate().check(listing(*rows))
    assert len(gate().check(listing(*rows[:1000])).objects) == 1000


def test_an_endless_token_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="continuation token"):
        gate().check(listing(token="t" * 20_000))


@pytest.mark.parametrize("name", ["other/", "logs/", "logs/a", "logs/a/b/", "logs/a//"])
def test_a_common_prefix_is_one_folder_directly_below(name: str) -> None:
    with pytest.raises(MalformedAnswer, match="common prefix"):
        gate(delimiter="/").check(listing(prefixes=(name,)))


def test_a_common_prefix_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="no delimiter"):
        gate().check(listing(prefixes=("logs/a/",)))


def test_common_prefixes_ascend_across_pages_too_and_beside_keys() -> None:
    pages = gate(delimiter="/")
    pages.check(listing(row("logs/a"), row("logs/m"), prefixes=("logs/b/", "logs/c/"), token="t"))

    with pytest.raises(MalformedAnswer, match="'logs/d/' does not come after 'logs/m'"):
        pages.check(listing(prefixes=("logs/d/",)))


def test_a_key_that_is_not_utf8_is_set_aside_under_a_name_and_the_others_pass() -> None:
    page = listing(row("logs/a"), row("logs/b%\udcff"), row("logs/c"), prefixes=("logs/b\udc80/",))

    passed = gate(delimiter="/").check(page)

    assert keys(passed) == ["logs/a", "logs/c"]
    assert [item.key for item in passed.unreadable] == ["logs/b%25%FF"]
    assert (passed.prefixes, passed.unreadable_prefixes, passed.rows) == ([], ["logs/b%80/"], 4)


def test_a_page_may_follow_one_that_ended_with_such_a_key() -> None:
    pages = gate()
    pages.check(listing(row("logs/\udc80"), token="t"))

    assert keys(pages.check(listing(row("logs/\udc81"), row("logs/\udcff")))) == []
    with pytest.raises(MalformedAnswer, match="does not come after"):
        pages.check(listing(row("logs/\uffee")))


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_whatever_bytes_there_are_keys_in_their_order_pass_and_others_do_not(names: list[bytes]) -> None:
    rows = [row("logs/" + name.decode("utf-8", "surrogateescape")) for name in names]

    if all(before < after for before, after in itertools.pairwise(names)):
        passed = gate().check(listing(*rows))
        read = [item.key.encode() for item in passed.objects]
        read += [unquote_to_bytes(item.key) for item in passed.unreadable]
        assert sorted(read) == [b"logs/" + name for name in names]
    else:
        with pytest.raises(MalformedAnswer):
            gate().check(listing(*rows))
