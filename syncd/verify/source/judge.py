"""The judgement of each key by listings and ledger, and what S3 has to be asked for. Pure.

source  replica  ledger's row         verdict
------  -------  -------------------  ------------------------------------------------------------------
yes     yes      any                  other sizes: altered; the same MD5 as ETag: proved
yes     yes      both ETags as then   proved by the ledger
yes     yes      none: a sealed day   proved by the day's hash, if it is that of both listings; else S3 is asked
yes     yes      any other            S3 is asked
yes     no       any                  left out, or not copied yet, or S3 is asked whether it is really missing
no      yes      the replica's ETag   gone at the source
no      yes      another ETag         altered
no      yes      none                 extra, unless a sealed day vouches for it, or a repair wrote it beside
no      no       any                  S3 is asked whether it is really missing
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import utc_day
from syncd.model.keys.vouched import replaced_by
from syncd.model.objects import Known, LogObject, Shard
from syncd.tick.listing.plan import is_another
from syncd.verify.rules.verdict import Finding, Flaw
from syncd.verify.source.days import LARGEST_DAY_HELD, Day, SealedRun
from syncd.verify.source.probing import Evidence, Judged, Reads, other_size
from syncd.verify.source.results import Compared
from syncd.verify.source.sides import Trio

_MD5 = re.compile(r"[0-9a-f]{32}")


class Question(NamedTuple):
    """An object of which S3 is asked."""

    shard: Shard
    day: str
    trio: Trio
    written_etag: str
    """The replica's ETag, if the ledger vouches that it was written from this very object."""

    @property
    def item(self) -> LogObject:
        """The object, as the source lists it or as the ledger remembers it."""
        known = self.trio.known or Known(None, 0)
        return self.trio.source or LogObject(self.trio.key, known.etag or "", known.size_bytes, 0.0)


class Judge:
    """Judges the keys of one job as they come by."""

    def __init__(
        self,
        found: Compared,
        layout: Layout,
        *,
        accepted: Mapping[str, tuple[str, str]],
        start: float,
        on_proved: Callable[[Shard, str, LogObject], None] = lambda *_: None,
    ) -> None:
        """Judge into `found`.

        `accepted` are ETag and storage class of what an operator has let go of, `start` is the job's. `on_proved` is told
        each object of the source whose replica is proved, with its shard and day.
        """
        self._found, self._layout = found, layout
        self._accepted, self._start = accepted, start
        self._on_proved = on_proved
        self._trusts_ledger = found.asked.trusts_ledger
        self._reads_all = found.asked.reads is Reads.ALWAYS
        self._before: Trio | None = None

    def day_of(self, shard: Shard, trio: Trio) -> str:
        """Return the UTC day that a key belongs to."""
        item = trio.source or trio.replica or LogObject(trio.key, "", 0, self._found.asked.now)
        return self._layout.day(shard, trio.key) or utc_day(max(0.0, self._layout.stamp(shard, item)))

    def take(self, shard: Shard, trio: Trio, run: SealedRun | None) -> Iterator[Question]:
        """Judge one key. `run` is the sealed day that it belongs to."""
        item, replica, day = trio.source, trio.replica, self.day_of(shard, trio)
        if is_replacement(trio, self._before):
            self._found.vouched_beside += 1
            return
        self._before = trio
        if run is not None:
            run.take(trio)
        if item is not None and replica is not None:
            yield from self._on_both(shard, day, trio, run)
        elif item is not None:
            yield from self._at_source_only(shard, day, trio)
        elif replica is not None:
            self._at_replica_only(shard, day, trio, run)
        elif trio.key not in self._accepted:
            yield self._question(shard, day, trio)

    def _on_both(self, shard: Shard, day: str, trio: Trio, run: SealedRun | None) -> Iterator[Question]:
        item, replica = trio.source, trio.replica
        assert item is not None
        assert replica is not None
        question = self._question(shard, day, trio)
        if item.size_bytes != replica.size_bytes:
            finding = other_size(item.key, item.size_bytes, replica.size_bytes)
            self._day(shard, day).find(finding, size_bytes=item.size_bytes)
        elif self._reads_all:
            yield question
        elif item.etag == replica.etag and _MD5.fullmatch(item.etag):
            self._prove(shard, day, item, Evidence.ETAG)
        elif question.written_etag and question.written_etag == replica.etag:
            self._prove(shard, day, item, Evidence.LEDGER)
        elif run is not None and self._trusts_ledger(shard) and len(run.waiting) < LARGEST_DAY_HELD:
            run.waiting.append(trio)
        else:
            yield question

    def _at_source_only(self, shard: Shard, day: str, trio: Trio) -> Iterator[Question]:
        item, found = trio.source, self._found
        assert item is not None
        is_accepted = self._accepted.get(item.key) == (item.etag, item.storage_class)
        if trio.known is None and (is_accepted or item.last_modified < self._start):
            found.left_out += 1
            found.open_days.add((shard, day))
        elif trio.known is None and self._layout.stamp(shard, item) > found.complete_until:
            found.not_copied_yet += 1
            found.open_days.add((shard, day))
        else:
            # A tick may have copied it after the destination was listed.
            yield self._question(shard, day, trio)

    def _at_replica_only(self, shard: Shard, day: str, trio: Trio, run: SealedRun | None) -> None:
        assert trio.replica is not None
        if trio.known is not None and is_another(trio.known, trio.replica):
            detail = "it is another than was written, and the source has it no more"
            self._day(shard, day).find(Finding(Flaw.LOG_ALTERED, detail, trio.key))
        elif trio.known is not None:
            self._found.gone_at_source += 1
        elif run is not None and len(run.waiting) < LARGEST_DAY_HELD:
            run.waiting.append(trio)
        else:
            self._found.take_extra(trio.key)

    def ended(self, shard: Shard, run: SealedRun) -> Iterator[Question]:
        """Judge what waited for the end of a sealed day."""
        for trio in run.waiting:
            if trio.source is None:
                if run.vouches_for_replicas:
                    self._found.gone_at_source += 1
                else:
                    self._found.take_extra(trio.key)
            elif run.vouches_for_source and run.vouches_for_replicas:
                self._prove(shard, run.day, trio.source, Evidence.SEALED_DAY)
            else:
                yield self._question(shard, run.day, trio)
        folder = f"{shard.prefix}{run.day.replace('-', '/')}/"
        if run.lost and folder not in self._accepted:
            detail = f"{run.lost} of the {run.was.count} objects that were replicated are on neither side"
            self._day(shard, run.day).find(Finding(Flaw.LOG_MISSING, detail, folder), objects=run.lost)

    def unreadable(self, shard: Shard, item: LogObject) -> None:
        """Note an object whose key is not UTF-8, which no request can name."""
        day = self.day_of(shard, Trio(item.key, item, None, None))
        self._day(shard, day).find(Finding(Flaw.UNREADABLE, "its key is not UTF-8", item.key))

    def answered(self, question: Question, judged: Judged) -> None:
        """Take what S3 told of an object."""
        item = question.trio.source
        if judged.finding is not None:
            size_bytes = item.size_bytes if item is not None else 0
            self._day(question.shard, question.day).find(judged.finding, size_bytes=size_bytes)
        elif item is not None and judged.evidence is not None:
            self._prove(question.shard, question.day, item, judged.evidence)
        else:
            self._found.gone_at_source += 1

    def _question(self, shard: Shard, day: str, trio: Trio) -> Question:
        etag = _written_etag(trio) if self._trusts_ledger(shard) or trio.source is None else ""
        return Question(shard, day, trio, etag)

    def _prove(self, shard: Shard, day: str, item: LogObject, evidence: Evidence) -> None:
        self._day(shard, day).prove(item, evidence)
        self._on_proved(shard, day, item)

    def _day(self, shard: Shard, day: str) -> Day:
        return self._found.days.setdefault((shard, day), Day())


def is_replacement(trio: Trio, before: Trio | None) -> bool:
    """Return True if `verify --repair` wrote this beside the replica before: it is as the source's object was listed.

    ETags that are no MD5 cannot be compared. The digests tell what it holds.
    """
    if trio.replica is None or trio.source is not None or trio.known is not None or before is None:
        return False
    if replaced_by(trio.key) != before.key or before.replica is None:
        return False
    if before.source is not None:
        size_bytes, etag = before.source.size_bytes, before.source.etag
    elif before.known is not None:
        size_bytes, etag = before.known.size_bytes, before.known.etag or ""
    else:
        return False
    are_md5 = _MD5.fullmatch(etag) and _MD5.fullmatch(trio.replica.etag)
    return trio.replica.size_bytes == size_bytes and (not are_md5 or etag == trio.replica.etag)


def _written_etag(trio: Trio) -> str:
    """Return the ETag of the replica that was written from this very object. It is empty if the ledger does not tell."""
    if trio.known is None or (trio.source is not None and trio.known.etag != trio.source.etag):
        return ""
    return trio.known.replica_etag
