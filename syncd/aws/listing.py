"""Listings of a bucket: pages of ranges, several at a time, and folders by delimiter.

A listing fails if its server answers and brings nothing: pages without rows, or answers that take too long. Every page
is checked first (`pages.checks`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic
from typing import NamedTuple, TypeAlias

from syncd.aws import answers, s3
from syncd.aws.endpoint import RENEWALS_A_REQUEST, Endpoint, is_expired
from syncd.aws.pages.checks import ListingChecks, Passed
from syncd.aws.pages.page import parse_listing
from syncd.aws.s3 import Answer, Request, Side
from syncd.aws.wire.signing import Credentials
from syncd.config.partitions import is_aws
from syncd.model.errors import Interrupted, JobFailed, ListingBudgetSpent
from syncd.model.objects import Folder, Page, Range
from syncd.model.reasons import Reason

_Answers: TypeAlias = "SimpleQueue[tuple[_Cursor, Answer, Credentials]]"

LISTINGS_AT_A_TIME = 8
# S3 may skip many deleted objects between two rows, and then sends a page without rows.
EMPTY_PAGES_IN_A_ROW = 5
STALLED_SECONDS = 60.0
_WAIT_SECONDS = 0.1


@dataclass(slots=True)
class _Cursor:
    """One listing in progress."""

    prefix: str
    delimiter: str = ""
    range: Range | None = None
    requested_at: float = 0.0
    request: Request | None = None
    token: str = ""
    is_encoded: bool = True
    renewals: int = 0
    checks: ListingChecks | None = None
    empty_pages: int = 0
    brought_at: float = 0.0
    """The monotonic time of its last row, or of its begin."""


class BucketLister:
    """Lister of one bucket, of either side, with at most `LISTINGS_AT_A_TIME` requests in flight."""

    def __init__(
        self,
        end: Endpoint,
        side: Side,
        *,
        now: Callable[[], float],
        stop: Event | None = None,
        budget_seconds: float | None = None,
        stalled_seconds: float = STALLED_SECONDS,
        clock: Callable[[], float] = monotonic,
        takes_trees: bool = False,
    ) -> None:
        """Once `stop` is set, send no request and wait for none, but raise Interrupted.

        `budget_seconds` bounds the time spent waiting for all listings together; None is no bound. `stalled_seconds` is
        the longest time in which one listing may bring no row. `clock` is the monotonic one.
        `takes_trees` allows pages in the order of a store that keeps a tree. Without it only folders and the regions of a
        trail, in which keys sort alike, may come in that order.
        """
        self._end = end
        self._side = side
        self._now = now
        self._stop = stop or Event()
        self._budget_seconds = budget_seconds
        self._stalled_seconds = stalled_seconds
        self._clock = clock
        self._takes_trees = takes_trees
        self._waited_seconds = 0.0
        # What a plus means in encoded keys: for S3 a space. Of other servers it is found out if need be.
        self._plus = " " if is_aws(end.address.host) else ""

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """Yield the pages of the ranges. Those of one range come in the order in which the store lists.

        Yields None while nothing has come, so that the caller can do something else. The next page of a range is
        requested before the last one is yielded.

        Raises:
            JobFailed: a listing was refused or failed. The ranges that are not at their last page are unlisted.
            ListingBudgetSpent: listing took too long. The pages that were yielded are good.
            Interrupted: `stop` was set before all had been listed.
        """
        cursors = (_Cursor(item.shard.prefix, range=item) for item in ranges)
        for found in self._listings(cursors):
            if found is None:
                yield None
                continue
            cursor, listing = found
            assert cursor.range is not None
            yield self._page(cursor, cursor.range, listing)

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """Yield what is directly below each prefix. A prefix with more than 1,000 entries comes as several Folders.

        Raises:
            JobFailed: a listing was refused or failed.
            ListingBudgetSpent: listing took too long.
            Interrupted: `stop` was set before all had been listed.
        """
        for found in self._listings(_Cursor(prefix, "/") for prefix in prefixes):
            if found is not None:
                cursor, listing = found
                unreadable = (*(item.key for item in listing.rows.unreadable), *listing.rows.unreadable_prefixes)
                yield Folder(cursor.prefix, listing.rows.prefixes, listing.rows.objects, unreadable)

    def _page(self, cursor: _Cursor, wanted: Range, listing: "_Listed") -> Page:
        objects, unreadable = listing.rows.objects, listing.rows.unreadable
        assert cursor.checks is not None
        is_past = _is_past(cursor, listing)
        if not wanted.whole_pages and cursor.checks.may_be_past([item.key for item in objects], wanted.until):
            objects = [item for item in objects if item.key <= wanted.until]
            unreadable = [item for item in unreadable if item.key <= wanted.until]
        return Page(
            wanted,
            objects,
            is_last=is_past or not listing.next_token,
            reached_end=not listing.next_token,
            requested_at=cursor.requested_at,
            unreadable=unreadable,
        )

    def _listings(self, cursors: Iterator[_Cursor]) -> "Iterator[tuple[_Cursor, _Listed] | None]":
        # A queue for this call alone: one that failed or was abandoned leaves answers behind.
        answers: _Answers = SimpleQueue()
        under_way: dict[int, _Cursor] = {}
        is_exhausted = False
        while True:
            while not is_exhausted and len(under_way) < LISTINGS_AT_A_TIME:
                cursor = next(cursors, None)
                if cursor is None:
                    is_exhausted = True
                    break
                cursor.requested_at = self._now()
                cursor.checks = ListingChecks(
                    cursor.prefix,
                    start_after="" if cursor.range is None else cursor.range.start_after,
                    delimiter=cursor.delimiter,
                    takes_trees=self._takes_trees or cursor.range is None or bool(cursor.range.shard.region),
                )
                cursor.brought_at = self._clock()
                under_way[id(cursor)] = cursor
                self._request(cursor, "", answers)
            if not under_way:
                return
            answered = self._answered(answers, under_way)
            if answered is None:
                yield None
                continue
            cursor, listing = answered
            if listing is None:
                continue
            if listing.next_token and not _is_past(cursor, listing):
                self._request(cursor, listing.next_token, answers)
            else:
                del under_way[id(cursor)]
            yield cursor, listing

    def _request(self, cursor: _Cursor, token: str, answers: _Answers, *, is_encoded: bool = True) -> None:
        if self._stop.is_set():
            raise Interrupted
        cursor.is_encoded = is_encoded
        cursor.request = s3.list_objects(
            self._side,
            cursor.prefix,
            start_after="" if cursor.range is None or token else cursor.range.start_after,
            token=token,
            delimiter=cursor.delimiter,
            is_encoded=is_encoded,
        )
        cursor.token = token
        cursor.renewals = 0
        self._end.principal.refresh()
        self._send(cursor, answers)

    def _send(self, cursor: _Cursor, answers: _Answers) -> None:
        assert cursor.request is not None
        self._end.send(cursor.request, lambda answer, credentials: answers.put((cursor, answer, credentials)))

    def _answered(self, answers: _Answers, under_way: Mapping[int, _Cursor]) -> "tuple[_Cursor, _Listed | None] | None":
        began = self._clock()
        try:
            cursor, answer, credentials = answers.get(timeout=_WAIT_SECONDS)
        except Empty:
            if self._stop.is_set():
                raise Interrupted from None
            self._spend(began, under_way)
            return None
        if self._stop.is_set():
            # A second signal cancels requests, which then have answers that look like failures.
            raise Interrupted
        assert cursor.request is not None
        if is_expired(answer, cursor.request) and cursor.renewals < RENEWALS_A_REQUEST:
            cursor.renewals += 1
            if self._end.principal.refresh(rejected=credentials) == credentials:
                raise self._refused(cursor, answer)
            self._spend(began, under_way)
            self._send(cursor, answers)
            return cursor, None
        if not answer.is_ok:
            raise self._refused(cursor, answer)
        listing = self._parsed(cursor, answer)
        if listing is None:
            self._request(cursor, cursor.token, answers, is_encoded=False)
            return cursor, None
        if listing.rows.rows:
            cursor.brought_at = self._clock()
        self._spend(began, under_way)
        return cursor, listing

    def _spend(self, began: float, under_way: Mapping[int, _Cursor]) -> None:
        """Add the time spent waiting.

        Raises:
            ListingBudgetSpent: it is more than a tick may wait.
            JobFailed: one of the listings has brought nothing for too long.
        """
        now = self._clock()
        self._waited_seconds += now - began
        for cursor in under_way.values():
            if now - cursor.brought_at > self._stalled_seconds:
                why = f"{self._named(cursor)}: no object in {self._stalled_seconds:.0f} s"
                raise JobFailed(Reason.TIMEOUT, why)
        if self._budget_seconds is not None and self._waited_seconds > self._budget_seconds:
            some = next(iter(under_way.values()), None)
            what = self._named(some) if some is not None else f"ListObjectsV2 of s3://{self._end.bucket}"
            raise ListingBudgetSpent(
                Reason.LISTING_BUDGET,
                f"{what}: not at its end after {self._budget_seconds:.0f} s of waiting (listing.budget)",
            )

    def _parsed(self, cursor: _Cursor, answer: Answer) -> "_Listed | None":
        """Return a page, or None if its keys have a plus that may be a space, and are to be asked for as they are."""
        assert cursor.checks is not None
        try:
            listing = parse_listing(answer.body, plus=self._plus)
            if listing.is_unsure and cursor.is_encoded:
                return None
            if listing.is_unsure:
                raise self._unexpected(cursor, "a plus in a key may be a space, and no key is given as it is")
            if not cursor.is_encoded:
                names = (*(item.key for item in listing.objects), *listing.prefixes)
                found = {char for char in "+ " if any(char in name for name in names)}
                if len(found) == 1:
                    # The encoded page had no `%2B` and no `%20`, so this one was left as it is, or written as a plus.
                    (self._plus,) = found
            rows = cursor.checks.check(listing)
        except s3.MalformedAnswer as error:
            raise self._unexpected(cursor, str(error)) from error
        if listing.next_token and listing.next_token == cursor.token:
            raise self._unexpected(cursor, "the continuation token leads back to where it was given")
        cursor.empty_pages = 0 if rows.rows else cursor.empty_pages + 1
        if listing.next_token and cursor.empty_pages >= EMPTY_PAGES_IN_A_ROW:
            raise self._unexpected(cursor, f"{cursor.empty_pages} pages in a row without an object, and no end")
        return _Listed(rows, listing.next_token)

    def _unexpected(self, cursor: _Cursor, why: str) -> JobFailed:
        return JobFailed(Reason.UNEXPECTED, f"{self._named(cursor)}: {why}")

    def _refused(self, cursor: _Cursor, answer: Answer) -> JobFailed:
        reason = answers.reason_of(answer.status, answer.code, answer.message)
        if answer.status == 404:
            reason = Reason.NO_BUCKET
        return JobFailed(reason, f"{self._named(cursor)}: {answers.said('ListObjectsV2', answer.code, answer.message)}")

    def _named(self, cursor: _Cursor) -> str:
        return f"ListObjectsV2 by {self._end.principal.name} of s3://{self._end.bucket}/{cursor.prefix}"


class _Listed(NamedTuple):
    """A page that passed the checks."""

    rows: Passed
    next_token: str
    """Empty at the end."""


def _is_past(cursor: _Cursor, listing: _Listed) -> bool:
    until = cursor.range.until if cursor.range is not None else ""
    assert cursor.checks is not None
    return bool(until) and cursor.checks.is_past([item.key for item in listing.rows.objects], until)
