"""How keys tell time: where a listing that looks back to an instant begins, and which stamp a key bears.

Three layouts: CloudTrail's own, any prefix partitioned by date, and flat. Key order within a CloudTrail shard is
day folder, then minute stamp, then a random suffix (`docs/design.md`, "Listing without gaps").
"""

import calendar
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from syncd.model.day_forms import branch_spans, branches_of, end_of, to_the_day, told_day, utc_date, written
from syncd.model.objects import Branch, FoundBy, LogObject, Range, Shard
from syncd.model.trail import has_no_grammar

DAY_SECONDS = 86400

# The last of its kind each time: a trail's own name and prefix may look like a stamp and like a day.
_STAMP = re.compile(r"(?s:.*)_([0-9]{8})T([0-9]{2})([0-9]{2})([0-9]{2})?Z[^/]*$")
# Only these put the stamp right after the stem, so that a listing can begin inside a day (digests name the trail first).
_STAMP_FIRST_KINDS = frozenset({"CloudTrail"})


CLOUDTRAIL = "cloudtrail"
FLAT = "flat"


class Layout(Protocol):
    """What the listing needs to know of a bucket's key grammar."""

    @property
    def name(self) -> str:
        """What tells one grammar from another: cursors mean something only with the layout they were made for."""
        ...

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return the StartAfter from which every key with a stamp at or after `instant` is listed; empty for the beginning."""
        ...

    def day_end(self, shard: Shard, day: str) -> str:
        """Return a key after all keys of this UTC day and before those of the next; empty if keys tell no days."""
        ...

    def dates_end(self, shard: Shard) -> str:
        """Return a key after all keys that begin with a date; empty if keys tell no days."""
        ...

    def whole(self, shard: Shard) -> Range:
        """Return the range of everything that is the shard's own: what lies in folders beside its dates may be another's."""
        ...

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return the time that the object belongs to, never later than the position by which it is searched."""
        ...

    def day(self, shard: Shard, key: str) -> str:
        """Return the UTC day of the key's folder right after the shard's prefix, `YYYY-MM-DD`; empty if it has none."""
        ...

    def day_anyhow(self, shard: Shard, key: str) -> str:
        """Return the day that the key tells in any form after the shard's prefix; empty if it tells none."""
        ...

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return which listing is sure to find keys like this one."""
        ...

    def branches_of(self, shard: Shard, keys: Iterable[str], before: Iterable[Branch] = ()) -> list[Branch]:
        """Return the folders below which these keys tell days, the newest first, then those of earlier keys."""
        ...

    def branch_ranges(self, shard: Shard, branch: Branch, since: float, now: float) -> list[Range]:
        """Return what to list to see a branch's days from one instant to another."""
        ...


def utc_day(instant: float) -> str:
    """The UTC day of an instant, `YYYY-MM-DD`."""
    return datetime.fromtimestamp(instant, UTC).date().isoformat()


def day_start(day: str) -> float:
    """The first second of a UTC day, as seconds since the epoch.

    Raises:
        ValueError: `day` is not a day of the calendar.
    """
    return float(calendar.timegm(date.fromisoformat(day).timetuple()))


@lru_cache(maxsize=4096)
def _compact_day_start(day: str) -> float | None:
    try:
        return float(calendar.timegm(date(int(day[:4]), int(day[4:6]), int(day[6:])).timetuple()))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _day_end_instant(day: str) -> float:
    return day_start(day) + DAY_SECONDS - 1


@lru_cache(maxsize=8192)
def stamp_of(key: str) -> float | None:
    """The stamp in a CloudTrail file name (`…_20261124T0005Z_…`), in seconds since the epoch; None where there is none."""
    found = _STAMP.match(key)
    if found is None:
        return None
    day, hours, minutes, seconds = found.groups()
    start = _compact_day_start(day)
    if start is None or int(hours) > 23 or int(minutes) > 59:
        return None
    return start + int(hours) * 3600 + int(minutes) * 60 + (int(seconds) if seconds else 0)


class _Anyhow:
    """Days in forms that are not the layout's own."""

    def day(self, shard: Shard, key: str) -> str:
        """Return none."""
        del shard, key
        return ""

    def whole(self, shard: Shard) -> Range:
        """Return all of the shard."""
        return Range(shard, "")

    def day_anyhow(self, shard: Shard, key: str) -> str:
        """Return the layout's own day if it has one, else that of its folders, else that of its name."""
        own = self.day(shard, key)
        if own:
            return own
        told = told_day(key[len(shard.prefix) :])
        return told.day.isoformat() if told else ""

    def branches_of(self, shard: Shard, keys: Iterable[str], before: Iterable[Branch] = ()) -> list[Branch]:
        """Return each folder and form once, at most `day_forms.BRANCHES`."""
        return branches_of((key[len(shard.prefix) :] for key in keys), before)

    def branch_ranges(self, shard: Shard, branch: Branch, since: float, now: float) -> list[Range]:
        """Return one range, or one a day if the days are not in the order of time."""
        spans = branch_spans(shard.prefix + branch.prefix, branch.date_format, since, now)
        return [Range(shard, start, end) for start, end in spans]


class CloudTrailLayout(_Anyhow):
    """`…/<region>/<YYYY>/<MM>/<DD>/<account>_<kind>_<region>_<stamp>_<random>.json.gz`."""

    name = CLOUDTRAIL

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return a place inside the day if the kind's file names begin with the stamp, else the beginning of the day."""
        if instant <= 0:
            return ""
        day = utc_date(instant)
        if whole_day or not _is_searched_inside_days(shard):
            return self.day_end(shard, (day - timedelta(days=1)).isoformat())
        minute = int(instant % DAY_SECONDS // 60)
        stamp = f"{day:%Y%m%d}T{minute // 60:02}{minute % 60:02}"
        return f"{shard.prefix}{day:%Y/%m/%d}/{_stem(shard)}{stamp}"

    def day_end(self, shard: Shard, day: str) -> str:
        """Return what is after all of the folder and before the next: `0` follows the slash in key order."""
        return f"{shard.prefix}{day.replace('-', '/')}0"

    def dates_end(self, shard: Shard) -> str:
        """Return the colon, which follows the digits."""
        return f"{shard.prefix}:"

    def whole(self, shard: Shard) -> Range:
        """Return everything that begins with a digit; other folders are shards of their own."""
        if has_no_grammar(shard):
            return Range(shard, "")
        return Range(shard, f"{shard.prefix}/\U0010ffff", self.dates_end(shard))

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return the stamp in the file name, else LastModified, but nothing after the end of the key's folder."""
        day = self.day(shard, item.key)
        found = _leading_stamp(shard, item.key) if day and _is_searched_inside_days(shard) else None
        if found is None:
            found = stamp_of(item.key)
        if found is None:
            found = item.last_modified
        return min(found, _day_end_instant(day)) if day else found

    def day(self, shard: Shard, key: str) -> str:
        """Return the day folder."""
        return _day_folder(key[len(shard.prefix) : len(shard.prefix) + _FOLDER_LENGTH])

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the tail for a name that begins with its stamp in a day folder, something slower for any other."""
        if not self.day(shard, key):
            return FoundBy.WHOLE
        if _is_searched_inside_days(shard) and _leading_stamp(shard, key) is not None:
            return FoundBy.TAIL
        if stamp_of(key) is None:
            return FoundBy.DEEP
        return FoundBy.RECENT if _is_searched_inside_days(shard) else FoundBy.TAIL


_FOLDER_LENGTH = len("2026/11/24/")
_FOLDER = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/")
_BARE_STAMP = re.compile(r"[0-9]{8}T[0-9]{4}(?:[0-9]{2})?Z")
_TO_THE_MINUTE, _TO_THE_SECOND = len("20261124T0005Z"), len("20261124T000530Z")


@lru_cache(maxsize=4096)
def _day_folder(folder: str) -> str:
    found = _FOLDER.fullmatch(folder)
    return _iso_day(*found.groups()) if found else ""


def _iso_day(year: str, month: str, day: str) -> str:
    """Return a day of the calendar; empty for what is none."""
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""


def _is_searched_inside_days(shard: Shard) -> bool:
    return shard.kind in _STAMP_FIRST_KINDS and bool(shard.region)


def _stem(shard: Shard) -> str:
    return f"{shard.account}_{shard.kind}_{shard.region}_"


def _leading_stamp(shard: Shard, key: str) -> float | None:
    """Return the stamp right after the shard's stem, by which the key is sorted; the name may hold others."""
    stem = _stem(shard)
    begin = len(shard.prefix) + _FOLDER_LENGTH
    if not key.startswith(stem, begin):
        return None
    begin += len(stem)
    end = begin + (
        _TO_THE_MINUTE if key[begin + _TO_THE_MINUTE - 1 : begin + _TO_THE_MINUTE] == "Z" else _TO_THE_SECOND
    )
    return _bare_stamp(key[begin:end])


@lru_cache(maxsize=8192)
def _bare_stamp(text: str) -> float | None:
    return stamp_of(f"_{text}") if _BARE_STAMP.fullmatch(text) else None


class PatternLayout(_Anyhow):
    """A prefix partitioned by date, such as `{prefix}/%Y/%m/%d/` (Config, VPC flow logs, ELB)."""

    def __init__(self, date_format: str) -> None:
        """`date_format` is what follows the shard's prefix, from `%Y` on; `%m` and `%d` come after it, in this order."""
        self.name = date_format
        # Keys are taken apart down to the day, since an hour's folder is never the unit of a listing.
        self._day_format, self._separator = to_the_day(date_format)
        self._pattern = re.compile(_matching(self._day_format + self._separator))
        self.has_folders = "/" in date_format
        """False if the files themselves may begin with the day."""
        self._first_folder = re.compile(
            _matching(date_format.partition("/")[0]) + ("" if self.has_folders else "(?s:.*)")
        )
        self._read = lru_cache(maxsize=4096)(self._read_day)
        self._day_length = len(written(date(2026, 11, 24), self._day_format + self._separator))

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return the beginning of the instant's day."""
        del whole_day
        return self.day_end(shard, (utc_date(instant) - timedelta(days=1)).isoformat()) if instant > 0 else ""

    def day_end(self, shard: Shard, day: str) -> str:
        """Return what is after everything that begins with the day."""
        return end_of(shard.prefix + written(date.fromisoformat(day), self._day_format), self._separator)

    def dates_end(self, shard: Shard) -> str:
        """Return what is after the last year."""
        return f"{shard.prefix}{self._day_format[: self._day_format.index('%Y')]}:"

    def is_date_folder(self, name: str) -> bool:
        """Return True for a folder right below the shard's prefix in which the pattern may go on."""
        return self._first_folder.fullmatch(name) is not None

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return LastModified, but nothing after the end of the key's day."""
        day = self.day(shard, item.key)
        return min(item.last_modified, _day_end_instant(day)) if day else item.last_modified

    def day(self, shard: Shard, key: str) -> str:
        """Return the day that the key begins with."""
        return self._read(key[len(shard.prefix) : len(shard.prefix) + self._day_length])

    def _read_day(self, text: str) -> str:
        found = self._pattern.fullmatch(text)
        return _iso_day(found["Y"], found["m"], found["d"]) if found else ""

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return deep: whoever writes the keys may put them into the event's day, or a local one."""
        return FoundBy.DEEP if self.day(shard, key) else FoundBy.WHOLE


def _matching(date_format: str) -> str:
    """Return the regular expression of a format: four digits for the year, two for anything else."""
    pieces = re.split(r"%([YmdH])", date_format)
    texts, directives = pieces[::2], pieces[1::2]
    digits = [f"(?P<{letter}>[0-9]{{{4 if letter == 'Y' else 2}}})" for letter in directives]
    return "".join(re.escape(text) + group for text, group in zip(texts, [*digits, ""], strict=True))


class FlatLayout(_Anyhow):
    """Keys that tell nothing: the whole prefix is listed, LastModified is the stamp."""

    name = FLAT

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return the beginning, always."""
        del shard, instant, whole_day
        return ""

    def day_end(self, shard: Shard, day: str) -> str:
        """Return the end, always."""
        del shard, day
        return ""

    def dates_end(self, shard: Shard) -> str:
        """Return the end, always."""
        del shard
        return ""

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return LastModified."""
        del shard
        return item.last_modified

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the tail, which is a listing of everything."""
        del shard, key
        return FoundBy.TAIL
