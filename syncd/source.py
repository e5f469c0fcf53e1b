"""Listing a bucket: pages of ranges, several at a time, and folders by delimiter."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from typing import TypeAlias

from syncd import failures, s3
from syncd.ends import RENEWALS_A_REQUEST, End, is_expired
from syncd.errors import Interrupted, JobFailed
from syncd.model import Folder, Page, Range
from syncd.s3 import Answer, Listing, Request, Side
from syncd.transport import Credentials

_Answers: TypeAlias = "SimpleQueue[tuple[_Cursor, Answer, Credentials]]"

LISTINGS_AT_A_TIME = 8
_WAIT_SECONDS = 0.1


@dataclass(slots=True)
class _Cursor:
    """One listing under way."""

    prefix: str
    delimiter: str = ""
    range: Range | None = None
    requested_at: float = 0.0
    request: Request | None = None
    token: str = ""
    renewals: int = 0


class BucketLister:
    """Lists one bucket, of either side, with at most `LISTINGS_AT_A_TIME` requests in flight."""

    def __init__(self, end: End, side: Side, *, now: Callable[[], float], stop: Event | None = None) -> None:
        """Once `stop` is set no request is begun, and none is waited for: whoever looks for more gets Interrupted."""
        self._end = end
        self._side = side
        self._now = now
        self._stop = stop or Event()

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """The pages of the ranges, each range's in key order, those of different ranges as they come.

        None is yielded while nothing has come, so that the caller can do something else. The next page of a range
        is on its way while the last is looked at.

        Raises:
            JobFailed: a listing was refused or cannot be had; the ranges that are not at their last page are unlisted.
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
        """What is directly below each prefix; a prefix with more than 1,000 entries comes as several Folders.

        Raises:
            JobFailed: a listing was refused or cannot be had.
            Interrupted: `stop` was set before all had been listed.
        """
        for found in self._listings(_Cursor(prefix, "/") for prefix in prefixes):
            if found is not None:
                cursor, listing = found
                yield Folder(cursor.prefix, listing.prefixes, listing.objects)

    def _page(self, cursor: _Cursor, wanted: Range, listing: Listing) -> Page:
        objects = listing.objects
        is_past = bool(wanted.until and objects and objects[-1].key > wanted.until)
        if is_past and not wanted.whole_pages:
            objects = [item for item in objects if item.key <= wanted.until]
        return Page(
            wanted,
            objects,
            is_last=is_past or not listing.next_token,
            reached_end=not listing.next_token,
            requested_at=cursor.requested_at,
        )

    def _listings(self, cursors: Iterator[_Cursor]) -> Iterator[tuple[_Cursor, Listing] | None]:
        # Of this listing alone: one that failed or was given up leaves answers behind that are nobody's.
        answers: _Answers = SimpleQueue()
        active = 0
        is_exhausted = False
        while True:
            while not is_exhausted and active < LISTINGS_AT_A_TIME:
                cursor = next(cursors, None)
                if cursor is None:
                    is_exhausted = True
                    break
                active += 1
                cursor.requested_at = self._now()
                self._request(cursor, "", answers)
            if not active:
                return
            answered = self._answered(answers)
            if answered is None:
                yield None
                continue
            cursor, listing = answered
            if listing is None:
                continue
            if listing.next_token and not _is_past(cursor, listing):
                self._request(cursor, listing.next_token, answers)
            else:
                active -= 1
            yield cursor, listing

    def _request(self, cursor: _Cursor, token: str, answers: _Answers) -> None:
        if self._stop.is_set():
            raise Interrupted
        cursor.request = s3.list_objects(
            self._side,
            cursor.prefix,
            owner=self._end.owner,
            start_after="" if cursor.range is None or token else cursor.range.start_after,
            token=token,
            delimiter=cursor.delimiter,
        )
        cursor.token = token
        cursor.renewals = 0
        self._end.principal.refresh()
        self._send(cursor, answers)

    def _send(self, cursor: _Cursor, answers: _Answers) -> None:
        assert cursor.request is not None
        self._end.send(cursor.request, lambda answer, credentials: answers.put((cursor, answer, credentials)))

    def _answered(self, answers: _Answers) -> tuple[_Cursor, Listing | None] | None:
        try:
            cursor, answer, credentials = answers.get(timeout=_WAIT_SECONDS)
        except Empty:
            self._end.transport.expire()
            if self._stop.is_set():
                raise Interrupted from None
            return None
        if self._stop.is_set():
            # What is given up with a second signal is answered as if it had failed.
            raise Interrupted
        assert cursor.request is not None
        if is_expired(answer, cursor.request) and cursor.renewals < RENEWALS_A_REQUEST:
            cursor.renewals += 1
            self._end.principal.refresh(rejected=credentials)
            self._send(cursor, answers)
            return cursor, None
        if not answer.is_ok:
            raise self._refused(cursor, answer)
        return cursor, self._parsed(cursor, answer)

    def _parsed(self, cursor: _Cursor, answer: Answer) -> Listing:
        try:
            listing = s3.parse_listing(answer.body)
        except s3.MalformedAnswer as error:
            raise self._unexpected(cursor, str(error)) from error
        if listing.next_token and listing.next_token == cursor.token:
            raise self._unexpected(cursor, "the continuation token leads back to where it was given")
        return listing

    def _unexpected(self, cursor: _Cursor, why: str) -> JobFailed:
        return JobFailed(failures.UNEXPECTED, f"{self._named(cursor)}: {why}", failures.remedy_of(failures.UNEXPECTED))

    def _refused(self, cursor: _Cursor, answer: Answer) -> JobFailed:
        reason = failures.reason_of(answer.status, answer.code, answer.message)
        if answer.status == 404:
            reason = failures.NO_BUCKET
        told = failures.said(answer.code, answer.message)
        return JobFailed(reason, f"{self._named(cursor)}: {told}", failures.remedy_of(reason))

    def _named(self, cursor: _Cursor) -> str:
        return f"ListObjectsV2 by {self._end.principal.name} of s3://{self._end.bucket}/{cursor.prefix}"


def _is_past(cursor: _Cursor, listing: Listing) -> bool:
    wanted = cursor.range
    return bool(wanted and wanted.until and listing.objects and listing.objects[-1].key > wanted.until)
