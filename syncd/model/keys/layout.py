"""Layouts: the position in key order at which a look-back begins, and the stamp of a key.

Three layouts: CloudTrail's own, any prefix partitioned by date (patterns.py), and flat. Key order within a CloudTrail shard
is day folder, then minute stamp, then a random suffix (`docs/design.md`, "Listing without gaps").
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from syncd.model.keys.day_forms import branch_spans, branches_of, told_day, utc_date
from syncd.model.keys.stamps import DAY_SECONDS, bare_stamp, day_end_instant, day_folder, stamp_of
from syncd.model.keys.trail import has_no_grammar
from syncd.model.objects import Branch, FoundBy, LogObject, Range, Shard

# Only these kinds put the stamp right after the stem, so that a listing can begin inside a day. Digests name the trail first.
_STAMP_FIRST_KINDS = frozenset({"CloudTrail"})


CLOUDTRAIL = "cloudtrail"
FLAT = "flat"


class Layout(Protocol):
    """A bucket's key grammar, as far as listings depend on it."""

    @property
    def name(self) -> str:
        """The grammar's name: cursors are valid only with the layout that made them."""
        ...

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return the StartAfter that lists every key stamped at or after `instant`, or an empty text for all."""
        ...

    def day_end(self, shard: Shard, day: str) -> str:
        """Return a key between those of this UTC day and the next, or an empty text without days."""
        ...

    def dates_end(self, shard: Shard) -> str:
        """Return a key after all keys that begin with a date, or an empty text without days."""
        ...

    def whole(self, shard: Shard) -> Range:
        """Return the range of the shard's own keys: folders beside its dates may be other shards."""
        ...

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return the object's stamp, never later than the position at which it is searched."""
        ...

    def day(self, shard: Shard, key: str) -> str:
        """Return the UTC day of the folder right after the shard's prefix, or an empty text."""
        ...

    def day_anyhow(self, shard: Shard, key: str) -> str:
        """Return the day that the key contains in any form, or an empty text."""
        ...

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the listing that certainly finds keys like this one."""
        ...

    def branches_of(self, shard: Shard, keys: Iterable[str], before: Iterable[Branch] = ()) -> list[Branch]:
        """Return the folders with days in these keys, newest first, then those of earlier keys."""
        ...

    def branch_ranges(self, shard: Shard, branch: Branch, since: float, now: float) -> list[Range]:
        """Return the ranges that cover a branch's days between two instants."""
        ...


class DatedKeys:
    """Keys that may contain days in forms other than the layout's own."""

    def day(self, shard: Shard, key: str) -> str:
        """Return an empty text."""
        del shard, key
        return ""

    def whole(self, shard: Shard) -> Range:
        """Return all of the shard."""
        return Range(shard, "")

    def day_anyhow(self, shard: Shard, key: str) -> str:
        """Return the layout's own day, else that of the key's folders, else that of its name."""
        own = self.day(shard, key)
        if own:
            return own
        told = told_day(key[len(shard.prefix) :])
        return told.day.isoformat() if told else ""

    def branches_of(self, shard: Shard, keys: Iterable[str], before: Iterable[Branch] = ()) -> list[Branch]:
        """Return each folder and form once, at most `day_forms.BRANCHES`."""
        return branches_of((key[len(shard.prefix) :] for key in keys), before)

    def branch_ranges(self, shard: Shard, branch: Branch, since: float, now: float) -> list[Range]:
        """Return one range, or one per day if key order is not the order of time."""
        spans = branch_spans(shard.prefix + branch.prefix, branch.date_format, since, now)
        return [Range(shard, start, end) for start, end in spans]


class CloudTrailLayout(DatedKeys):
    """`…/<region>/<YYYY>/<MM>/<DD>/<account>_<kind>_<region>_<stamp>_<random>.json.gz`."""

    name = CLOUDTRAIL

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return a key inside the day if file names begin with the stamp, else the day's beginning."""
        if instant <= 0:
            return ""
        day = utc_date(instant)
        if whole_day or not _is_searched_inside_days(shard):
            return self.day_end(shard, (day - timedelta(days=1)).isoformat())
        minute = int(instant % DAY_SECONDS // 60)
        stamp = f"{day:%Y%m%d}T{minute // 60:02}{minute % 60:02}"
        return f"{shard.prefix}{day:%Y/%m/%d}/{_stem(shard)}{stamp}"

    def day_end(self, shard: Shard, day: str) -> str:
        """Return a key between this day's folder and the next: `0` follows the slash in key order."""
        return f"{shard.prefix}{day.replace('-', '/')}0"

    def dates_end(self, shard: Shard) -> str:
        """Return the colon, which follows the digits."""
        return f"{shard.prefix}:"

    def whole(self, shard: Shard) -> Range:
        """Return the keys that begin with a digit: other folders are shards of their own."""
        if has_no_grammar(shard):
            return Range(shard, "")
        return Range(shard, f"{shard.prefix}/\U0010ffff", self.dates_end(shard))

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return the stamp in the file name, else LastModified, at most the end of the folder's day."""
        day = self.day(shard, item.key)
        found = _leading_stamp(shard, item.key) if day and _is_searched_inside_days(shard) else None
        if found is None:
            found = stamp_of(item.key)
        if found is None:
            found = item.last_modified
        return min(found, day_end_instant(day)) if day else found

    def day(self, shard: Shard, key: str) -> str:
        """Return the day folder."""
        return day_folder(key[len(shard.prefix) : len(shard.prefix) + _FOLDER_LENGTH])

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the tail for names that begin with their stamp in a day folder, else a slower listing."""
        if not self.day(shard, key):
            return FoundBy.WHOLE
        if _is_searched_inside_days(shard) and _leading_stamp(shard, key) is not None:
            return FoundBy.TAIL
        if stamp_of(key) is None:
            return FoundBy.DEEP
        return FoundBy.RECENT if _is_searched_inside_days(shard) else FoundBy.TAIL


_FOLDER_LENGTH = len("2026/11/24/")
_TO_THE_MINUTE, _TO_THE_SECOND = len("20261124T0005Z"), len("20261124T000530Z")


def _is_searched_inside_days(shard: Shard) -> bool:
    return shard.kind in _STAMP_FIRST_KINDS and bool(shard.region)


def _stem(shard: Shard) -> str:
    return f"{shard.account}_{shard.kind}_{shard.region}_"


def _leading_stamp(shard: Shard, key: str) -> float | None:
    """Return the stamp right after the shard's stem, by which the key sorts. The name may contain others."""
    stem = _stem(shard)
    begin = len(shard.prefix) + _FOLDER_LENGTH
    if not key.startswith(stem, begin):
        return None
    begin += len(stem)
    end = begin + (
        _TO_THE_MINUTE if key[begin + _TO_THE_MINUTE - 1 : begin + _TO_THE_MINUTE] == "Z" else _TO_THE_SECOND
    )
    return bare_stamp(key[begin:end])


class FlatLayout(DatedKeys):
    """Keys without days: the whole prefix is listed, and LastModified is the stamp."""

    name = FLAT

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return the beginning."""
        del shard, instant, whole_day
        return ""

    def day_end(self, shard: Shard, day: str) -> str:
        """Return the end."""
        del shard, day
        return ""

    def dates_end(self, shard: Shard) -> str:
        """Return the end."""
        del shard
        return ""

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return LastModified."""
        del shard
        return item.last_modified

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the tail, which lists everything."""
        del shard, key
        return FoundBy.TAIL
