"""The layout of prefixes partitioned by date, such as those of AWS Config and VPC flow logs."""

import re
from datetime import date, timedelta
from functools import lru_cache

from syncd.model.keys.day_forms import end_of, to_the_day, utc_date, written
from syncd.model.keys.layout import DatedKeys
from syncd.model.keys.stamps import day_end_instant, iso_day
from syncd.model.objects import FoundBy, LogObject, Shard


class PatternLayout(DatedKeys):
    """A prefix partitioned by date, such as `{prefix}/%Y/%m/%d/` (Config, VPC flow logs, ELB)."""

    def __init__(self, date_format: str) -> None:
        """Take the format that follows the shard's prefix, from `%Y` on, then `%m` and `%d` in this order."""
        self.name = date_format
        # Keys are parsed down to the day, since no listing covers a single hour.
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
        """Return a key after all keys that begin with the day."""
        return end_of(shard.prefix + written(date.fromisoformat(day), self._day_format), self._separator)

    def dates_end(self, shard: Shard) -> str:
        """Return a key after the last year."""
        return f"{shard.prefix}{self._day_format[: self._day_format.index('%Y')]}:"

    def is_date_folder(self, name: str) -> bool:
        """Return True for a folder right below the shard's prefix that may begin a date."""
        return self._first_folder.fullmatch(name) is not None

    def stamp(self, shard: Shard, item: LogObject) -> float:
        """Return LastModified, at most the end of the key's day."""
        day = self.day(shard, item.key)
        return min(item.last_modified, day_end_instant(day)) if day else item.last_modified

    def day(self, shard: Shard, key: str) -> str:
        """Return the day that the key begins with."""
        return self._read(key[len(shard.prefix) : len(shard.prefix) + self._day_length])

    def _read_day(self, text: str) -> str:
        found = self._pattern.fullmatch(text)
        return iso_day(found["Y"], found["m"], found["d"]) if found else ""

    def found_by(self, shard: Shard, key: str) -> FoundBy:
        """Return deep for keys with a day, since writers may use the event's day or a local one."""
        return FoundBy.DEEP if self.day(shard, key) else FoundBy.WHOLE


def _matching(date_format: str) -> str:
    """Return the regular expression of a format: four digits for the year, two for anything else."""
    pieces = re.split(r"%([YmdH])", date_format)
    texts, directives = pieces[::2], pieces[1::2]
    digits = [f"(?P<{letter}>[0-9]{{{4 if letter == 'Y' else 2}}})" for letter in directives]
    return "".join(re.escape(text) + group for text, group in zip(texts, [*digits, ""], strict=True))
