"""Days and stamps: UTC days of instants and folders, and the stamps in CloudTrail's file names."""

import re
from datetime import UTC, date, datetime
from functools import lru_cache

DAY_SECONDS = 86400
_EPOCH = date(1970, 1, 1).toordinal()

# The last match counts, since a trail's own name and prefix may look like a stamp or a day.
_STAMP = re.compile(r"(?s:.*)_([0-9]{8})T([0-9]{2})([0-9]{2})([0-9]{2})?Z[^/]*$")
_BARE_STAMP = re.compile(r"[0-9]{8}T[0-9]{4}(?:[0-9]{2})?Z")
_FOLDER = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/")


def utc_day(instant: float) -> str:
    """Return the UTC day of an instant, `YYYY-MM-DD`."""
    return datetime.fromtimestamp(instant, UTC).date().isoformat()


def date_start(day: date) -> float:
    """Return the first second of a date in UTC, in seconds since the epoch."""
    return float((day.toordinal() - _EPOCH) * DAY_SECONDS)


def day_start(day: str) -> float:
    """Return the first second of a UTC day, in seconds since the epoch.

    Raises:
        ValueError: `day` is not a day of the calendar.
    """
    return date_start(date.fromisoformat(day))


@lru_cache(maxsize=4096)
def _compact_day_start(day: str) -> float | None:
    try:
        return date_start(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def day_end_instant(day: str) -> float:
    """Return the last second of a UTC day, in seconds since the epoch."""
    return day_start(day) + DAY_SECONDS - 1


@lru_cache(maxsize=8192)
def stamp_of(key: str) -> float | None:
    """Return the stamp in a CloudTrail file name (`…_20261124T0005Z_…`), in seconds since the epoch, or None."""
    found = _STAMP.match(key)
    if found is None:
        return None
    day, hours, minutes, seconds = found.groups()
    start = _compact_day_start(day)
    if start is None or int(hours) > 23 or int(minutes) > 59:
        return None
    return start + int(hours) * 3600 + int(minutes) * 60 + (int(seconds) if seconds else 0)


@lru_cache(maxsize=8192)
def bare_stamp(text: str) -> float | None:
    """Return the instant of a stamp such as `20261124T0005Z`, or None if the text is not one."""
    return stamp_of(f"_{text}") if _BARE_STAMP.fullmatch(text) else None


@lru_cache(maxsize=4096)
def day_folder(folder: str) -> str:
    """Return the day of a folder `2026/11/24/` as `YYYY-MM-DD`, or an empty text."""
    found = _FOLDER.fullmatch(folder)
    return iso_day(*found.groups()) if found else ""


def iso_day(year: str, month: str, day: str) -> str:
    """Return a calendar day as `YYYY-MM-DD`, or an empty text if there is no such day."""
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""
