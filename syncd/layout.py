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

from syncd.model import Branch, FoundBy, LogObject, Range, Shard

DAY_SECONDS = 86400

# The last of its kind each time: a trail's own name and prefix may look like a stamp and like a day.
_STAMP = re.compile(r"(?s:.*)_(\d{8})T(\d{2})(\d{2})(\d{2})?Z[^/]*$")
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

    def branches_of(self, shard: Shard, keys: Iterable[str]) -> list[Branch]:
        """Return the folders below which these keys tell days, the newest first, at most `BRANCHES`."""
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


BRANCHES = 16
_FORMS = (
    (re.compile(r"year=(\d{4})/month=(\d{2})/day=(\d{2})(?=/|$)"), "year=%Y/month=%m/day=%d"),
    (re.compile(r"(?<!\d)(\d{4})/(\d{2})/(\d{2})(?=/|$)"), "%Y/%m/%d"),
    (re.compile(r"(?<!\d)(\d{4})/(\d{1,2})/(\d{1,2})(?=/|$)"), "%Y/%-m/%-d"),
    (re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)"), "%Y-%m-%d"),
)
_LATEST_DAYS = 2


class _Anyhow:
    """Days in forms that are not the layout's own."""

    def whole(self, shard: Shard) -> Range:
        """Return all of the shard."""
        return Range(shard, "")

    def day_anyhow(self, shard: Shard, key: str) -> str:
        """Return the day of the first form that fits."""
        found = _told_day(key[len(shard.prefix) :])
        return found[0] if found else ""

    def branches_of(self, shard: Shard, keys: Iterable[str]) -> list[Branch]:
        """Return each folder and form once."""
        newest: dict[Branch, str] = {}
        for key in keys:
            found = _told_day(key[len(shard.prefix) :])
            if found:
                day, branch = found
                newest[branch] = max(newest.get(branch, ""), day)
        return sorted(newest, key=newest.__getitem__, reverse=True)[:BRANCHES]

    def branch_ranges(self, shard: Shard, branch: Branch, since: float, now: float) -> list[Range]:
        """Return a range a day: they may be in no order that is that of time."""
        folder = shard.prefix + branch.prefix
        first, last = _date(since), _date(now + DAY_SECONDS)
        if "%-" not in branch.date_format:
            end = _padded(folder, last, branch.date_format)
            return [Range(shard, _padded(folder, first - timedelta(days=1), branch.date_format), end)]
        days = [last - timedelta(days=back) for back in range(min(_LATEST_DAYS + 1, (last - first).days + 1))]
        return [Range(shard, f"{folder}{_unpadded(day)}/", f"{folder}{_unpadded(day)}0") for day in sorted(days)]


def _told_day(rest: str) -> tuple[str, Branch] | None:
    for pattern, form in _FORMS:
        found = pattern.search(rest)
        if found:
            try:
                day = date(int(found[1]), int(found[2]), int(found[3])).isoformat()
            except ValueError:
                continue
            return day, Branch(rest[: found.start()], form)
    return None


def _date(instant: float) -> date:
    return datetime.fromtimestamp(max(0.0, instant), UTC).date()


def _unpadded(day: date) -> str:
    return f"{day.year}/{day.month}/{day.day}"


def _padded(folder: str, day: date, date_format: str) -> str:
    """Return the end of everything that begins with the day: the next code point after what follows a whole day."""
    return f"{folder}{day:{date_format}}0" if "/" in date_format else f"{folder}{day:{date_format}}\U0010ffff"


class CloudTrailLayout(_Anyhow):
    """`…/<region>/<YYYY>/<MM>/<DD>/<account>_<kind>_<region>_<stamp>_<random>.json.gz`."""

    name = CLOUDTRAIL

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return a place inside the day if the kind's file names begin with the stamp, else the beginning of the day."""
        if instant <= 0:
            return ""
        moment = datetime.fromtimestamp(instant, UTC)
        if whole_day or shard.kind not in _STAMP_FIRST_KINDS or not shard.region:
            # `0` follows the slash in key order: the end of the day before, whatever its names.
            return f"{shard.prefix}{moment.date() - timedelta(days=1):%Y/%m/%d}0"
        return f"{shard.prefix}{moment:%Y/%m/%d}/{_stem(shard)}{moment:%Y%m%dT%H%M}"

    def day_end(self, shard: Shard, day: str) -> str:
        """Return what is after all of the folder and before the next: `0` follows the slash in key order."""
        return f"{shard.prefix}{day.replace('-', '/')}0"

    def dates_end(self, shard: Shard) -> str:
        """Return the colon, which follows the digits."""
        return f"{shard.prefix}:"

    def whole(self, shard: Shard) -> Range:
        """Return everything that begins with a digit; other folders are shards of their own."""
        if not shard.account:
            return Range(shard, "")
        return Range(shard, f"{shard.prefix}/\U0010ffff", self.dates_end(shard))

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return the stamp in the file name, else LastModified, but nothing after the end of the key's folder."""
        found = stamp_of(item.key)
        if found is None:
            return item.last_modified
        day = self.day(shard, item.key)
        if not day:
            return found
        begin = day_start(day)
        if not begin <= found < begin + DAY_SECONDS:
            return min(found, begin + DAY_SECONDS - 1)
        return found

    def day(self, shard: Shard, key: str) -> str:
        """Return the day folder."""
        return _day_folder(key[len(shard.prefix) : len(shard.prefix) + _FOLDER_LENGTH])

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the tail for a name that begins with its stamp in a day folder, something slower for any other."""
        if not self.day(shard, key):
            return FoundBy.WHOLE
        if stamp_of(key) is None:
            return FoundBy.DEEP
        if shard.kind in _STAMP_FIRST_KINDS and not key.startswith(_stem(shard), len(shard.prefix) + _FOLDER_LENGTH):
            return FoundBy.RECENT
        return FoundBy.TAIL


_FOLDER_LENGTH = len("2026/11/24/")
_FOLDER = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/")


@lru_cache(maxsize=4096)
def _day_folder(folder: str) -> str:
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return ""
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return ""


def _stem(shard: Shard) -> str:
    return f"{shard.account}_{shard.kind}_{shard.region}_"


class PatternLayout(_Anyhow):
    """A prefix partitioned by date, such as `{prefix}/%Y/%m/%d/` (Config, VPC flow logs, ELB)."""

    def __init__(self, date_format: str) -> None:
        """`date_format` is what follows the shard's prefix, from `%Y` on; `%m` and `%d` come after it, in this order."""
        self.name = date_format
        # Keys are taken apart down to the day, since an hour's folder is never the unit of a listing.
        end = date_format.index("%d") + 2
        self._day_format = date_format[:end]
        self._ends_in_slash = date_format[end : end + 1] == "/"
        probe = re.escape(date_format[: end + self._ends_in_slash])
        for directive, group in (("%Y", r"(?P<y>\d{4})"), ("%m", r"(?P<m>\d{2})"), ("%d", r"(?P<d>\d{2})")):
            probe = probe.replace(re.escape(directive), group, 1)
        self._pattern = re.compile(probe)
        component = self._day_format.partition("/")[0]
        for directive, group in (("%Y", r"\d{4}"), ("%m", r"\d{2}"), ("%d", r"\d{2}")):
            component = component.replace(directive, group)
        self.first_component = re.compile(component + ".*" if "/" not in self._day_format else component)

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Return the beginning of the instant's day."""
        del whole_day
        if instant <= 0:
            return ""
        return self.day_end(shard, (_date(instant) - timedelta(days=1)).isoformat())

    def day_end(self, shard: Shard, day: str) -> str:
        """Return what is after everything that begins with the day."""
        after = "0" if self._ends_in_slash else "\U0010ffff"
        return f"{shard.prefix}{date.fromisoformat(day):{self._day_format}}{after}"

    def dates_end(self, shard: Shard) -> str:
        """Return what is after the last year."""
        return f"{shard.prefix}{self._day_format[: self._day_format.index('%Y')]}:"

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return LastModified, but nothing after the end of the key's day."""
        day = self.day(shard, item.key)
        return min(item.last_modified, day_start(day) + DAY_SECONDS - 1) if day else item.last_modified

    def day(self, shard: Shard, key: str) -> str:
        """Return the day that the key begins with."""
        found = self._pattern.match(key, len(shard.prefix))
        if found is None:
            return ""
        try:
            return date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat()
        except ValueError:
            return ""

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return deep: whoever writes the keys may put them into the event's day, or a local one."""
        return FoundBy.DEEP if self.day(shard, key) else FoundBy.WHOLE


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

    def day(self, shard: Shard, key: str) -> str:
        """Return none."""
        del shard, key
        return ""

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return the tail, which is a listing of everything."""
        del shard, key
        return FoundBy.TAIL
