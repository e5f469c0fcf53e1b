"""How keys tell time: where a listing that looks back to an instant begins, and which stamp a key bears.

Three layouts: CloudTrail's own, any prefix partitioned by date, and flat. Key order within a CloudTrail shard is
day folder, then minute stamp, then a random suffix (`docs/design.md`, "Listing without gaps").
"""

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from syncd.model import LogObject, Shard

DAY_SECONDS = 86400

# The last of its kind each time: a trail's own name and prefix may look like a stamp and like a day.
_STAMP = re.compile(r"(?s:.*)_(\d{8})T(\d{2})(\d{2})(\d{2})?Z[^/]*$")
_DAY_FOLDER = re.compile(r"(?s:.*)/(\d{4})/(\d{2})/(\d{2})/")
# Only these put the stamp right after the stem, so that a listing can begin inside a day (digests name the trail first).
_STAMP_FIRST_KINDS = frozenset({"CloudTrail"})


class Layout(Protocol):
    """What the listing needs to know of a bucket's key grammar."""

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """The StartAfter from which every key with a stamp at or after `instant` is listed; empty for the beginning."""
        ...

    def day_end(self, shard: Shard, day: str) -> str:
        """A key after all keys of this UTC day (`YYYY-MM-DD`) and before those of the next; empty where days are not told."""
        ...

    def stamp(self, item: LogObject) -> float:
        """The time that the object belongs to, in seconds since the epoch: its key's stamp, else its LastModified."""
        ...

    def is_parsed(self, key: str) -> bool:
        """Whether the key is of the layout's grammar."""
        ...

    def day(self, key: str) -> str:
        """The UTC day folder of the key, `YYYY-MM-DD`; empty where it names none."""
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


class CloudTrailLayout:
    """`…/<region>/<YYYY>/<MM>/<DD>/<account>_<kind>_<region>_<stamp>_<random>.json.gz`."""

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Inside the day where the kind's file names begin with the stamp, else the beginning of the day."""
        if instant <= 0:
            return ""
        moment = datetime.fromtimestamp(instant, UTC)
        if whole_day or shard.kind not in _STAMP_FIRST_KINDS or not shard.region:
            return _before_day(shard, moment.date(), "%Y/%m/%d")
        folder = f"{moment:%Y/%m/%d}"
        return f"{shard.prefix}{folder}/{shard.account}_{shard.kind}_{shard.region}_{moment:%Y%m%dT%H%M}"

    def day_end(self, shard: Shard, day: str) -> str:
        """`0` follows the slash in key order, so this is after all of the folder and before the next."""
        return f"{shard.prefix}{day.replace('-', '/')}0"

    def stamp(self, item: LogObject) -> float:
        """The stamp in the file name, else LastModified."""
        found = stamp_of(item.key)
        return item.last_modified if found is None else found

    def is_parsed(self, key: str) -> bool:
        """Whether the file name bears a stamp."""
        return stamp_of(key) is not None

    def day(self, key: str) -> str:
        """The day folder."""
        found = _DAY_FOLDER.match(key)
        return "-".join(found.groups()) if found else ""


class PatternLayout:
    """A prefix partitioned by date, such as `{prefix}/%Y/%m/%d/` (Config, VPC flow logs, ELB)."""

    def __init__(self, date_format: str) -> None:
        """`date_format` is what follows the shard's prefix, from `%Y` on; `%m` and `%d` come after it, in this order."""
        self._format = date_format
        probe = re.escape(date_format.rstrip("/"))
        for directive, group in (
            ("%Y", r"(?P<y>\d{4})"),
            ("%m", r"(?P<m>\d{2})"),
            ("%d", r"(?P<d>\d{2})"),
            ("%H", r"\d{2}"),
        ):
            probe = probe.replace(re.escape(directive), group, 1)
        self._pattern = re.compile(probe)
        # Keys are taken apart down to the day, since an hour's folder is never the unit of a listing.
        self._day_format = date_format[: date_format.index("%d") + 2]

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """The beginning of the instant's day."""
        del whole_day
        return "" if instant <= 0 else _before_day(shard, datetime.fromtimestamp(instant, UTC).date(), self._day_format)

    def day_end(self, shard: Shard, day: str) -> str:
        """After everything that begins with the day."""
        return f"{shard.prefix}{date.fromisoformat(day):{self._day_format}}\U0010ffff"

    def stamp(self, item: LogObject) -> float:
        """LastModified: the key tells the day at most."""
        return item.last_modified

    def is_parsed(self, key: str) -> bool:
        """Whether the pattern is found in the key."""
        return self._pattern.search(key) is not None

    def day(self, key: str) -> str:
        """The day that the key names."""
        found = self._pattern.search(key)
        parts = found.groupdict() if found else {}
        return f"{parts['y']}-{parts['m']}-{parts['d']}" if parts else ""


class FlatLayout:
    """Keys that tell nothing: the whole prefix is listed, LastModified is the stamp."""

    def position(self, shard: Shard, instant: float, *, whole_day: bool = False) -> str:
        """Always the beginning."""
        del shard, instant, whole_day
        return ""

    def day_end(self, shard: Shard, day: str) -> str:
        """Always the end."""
        del shard, day
        return ""

    def stamp(self, item: LogObject) -> float:
        """LastModified."""
        return item.last_modified

    def is_parsed(self, key: str) -> bool:
        """Every key is as good as another."""
        del key
        return True

    def day(self, key: str) -> str:
        """None."""
        del key
        return ""


def _before_day(shard: Shard, day: date, day_format: str) -> str:
    # The end of the day before, not the folder's bare name: some S3-compatible servers list a folder's keys only after
    # a key that sorts like a path, and skip `a/1` for StartAfter `a` (SeaweedFS does).
    before = day - timedelta(days=1)
    return (
        f"{shard.prefix}{before:{day_format}}/~" if day_format.count("/") else f"{shard.prefix}{before:{day_format}}~"
    )
