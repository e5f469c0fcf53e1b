"""Days in keys: their forms, the ends of their ranges, and their detection in keys of unknown grammar.

The forms are those of log producers: `2026/11/24/`, `2026/2/5/` (AWS Config), `2026-11-24` (also as `dt=2026-11-24`)
and `year=2026/month=11/day=24/`.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from syncd.model.objects import Branch

BRANCHES = 16
# File names may sort after `~` and after any letter, but none begins with sixteen of the last code point.
_AFTER_ANY_NAME = "\U0010ffff" * 16
_LATEST_INSTANT = 253_402_300_799.0  # the last second of the year 9999
# More day folders than this are listed as one range of years.
_MOST_DAYS = 40
_DAY = timedelta(days=1)

_FORM = (
    r"(?<![^/])(?:"
    r"(?P<y1>[0-9]{4})/(?P<m1>[0-9]{1,2})/(?P<d1>[0-9]{1,2})/"
    r"|(?P<hive>(?:[A-Za-z_]+=)?)(?P<y2>[0-9]{4})/(?P<mn>[A-Za-z_]+=)(?P<m2>[0-9]{1,2})/(?P<dn>[A-Za-z_]+=)(?P<d2>[0-9]{1,2})/"
    r"|(?P<name>(?:[A-Za-z_]+=)?)(?P<y3>[0-9]{4})-(?P<m3>[0-9]{2})-(?P<d3>[0-9]{2})(?P<after>[/_.-]|(?![0-9]))"
    r")"
)


class Told(NamedTuple):
    """A day found in a key."""

    before: str
    """The part of the key before it, empty or ending in a slash."""
    day: date
    template: str
    """Its form, with `{m}` and `{d}` for month and day."""
    month: str
    """The format of the month: `%m`, `%-m`, or empty if it may be either."""
    day_of_month: str


def utc_date(instant: float) -> date:
    """Return the UTC day of an instant, limited to the calendar's range."""
    return datetime.fromtimestamp(min(max(0.0, instant), _LATEST_INSTANT), UTC).date()


def written(day: date, date_format: str) -> str:
    """Return a day in a format of `%Y`, `%m`, `%d`, `%-m` and `%-d`, which not every strftime supports."""
    text = date_format.replace("%Y", f"{day.year:04}").replace("%-m", str(day.month)).replace("%-d", str(day.day))
    return text.replace("%m", f"{day.month:02}").replace("%d", f"{day.day:02}")


def to_the_day(date_format: str) -> tuple[str, str]:
    """Return a format up to its day, and the next character, which is empty if it may be any."""
    directive = "%-d" if "%-d" in date_format else "%d"
    end = date_format.index(directive) + len(directive)
    after = date_format[end : end + 1]
    return date_format[:end], "" if after == "%" else after


def end_of(beginning: str, separator: str) -> str:
    """Return a key after every key with this beginning and separator, and before all later ones."""
    is_plain = "" < separator < "\ud7ff"  # the code points after it are not characters
    return beginning + (chr(ord(separator) + 1) if is_plain else _AFTER_ANY_NAME)


def told_day(rest: str) -> Told | None:
    """Return the day in a key without its shard's prefix: that of the last folder, else of the name."""
    name_at = rest.rfind("/") + 1
    last: Told | None = None
    for found in re.finditer(_FORM, rest):
        if last is not None and found.end() > name_at:
            break
        last = _read(rest, found) or last
    return last


def _read(rest: str, found: re.Match[str]) -> Told | None:
    which = "1" if found["y1"] else "2" if found["y2"] else "3"
    year, month, day = found[f"y{which}"], found[f"m{which}"], found[f"d{which}"]
    try:
        told = date(int(year), int(month), int(day))
    except ValueError:
        return None
    if which == "3":
        template = f"{found['name']}%Y-{{m}}-{{d}}{found['after']}"
        return Told(rest[: found.start()], told, template, "%m", "%d")
    template = "%Y/{m}/{d}/"
    if which == "2":
        template = f"{found['hive']}%Y/{found['mn']}{{m}}/{found['dn']}{{d}}/"
    return Told(rest[: found.start()], told, template, _width(month, "m"), _width(day, "d"))


def _width(digits: str, letter: str) -> str:
    if len(digits) == 1:
        return f"%-{letter}"
    return f"%{letter}" if digits[0] == "0" else ""


def branches_of(rests: Iterable[str], before: Iterable[Branch] = ()) -> list[Branch]:
    """Return the folders with days in these keys and their formats, newest first, at most `BRANCHES`.

    From October on, days from the 10th look alike with and without leading zeros. Unless another key or an earlier branch
    decides it, both formats are returned.
    """
    newest: dict[tuple[str, str], date] = {}
    widths: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for rest in rests:
        told = told_day(rest)
        if told is not None:
            place = (told.before, told.template)
            newest[place] = max(newest.get(place, told.day), told.day)
            widths.setdefault(place, set()).add((told.month, told.day_of_month))
    earlier = dict.fromkeys(before)
    found: dict[Branch, None] = {}
    for folder, template in sorted(newest, key=newest.__getitem__, reverse=True):
        formats = _formats(widths[folder, template])
        either = [_branch(folder, template, month, day) for month, day in _EITHER]
        known = [branch for branch in either if branch in earlier]
        if formats and known == either:
            for branch in either:
                earlier.pop(branch, None)  # both were remembered only until a key decided
        sure = [_branch(folder, template, month, day) for month, day in formats]
        found.update(dict.fromkeys(sure or known or either))
    return list(found | earlier)[:BRANCHES]


_EITHER = [("%m", "%d"), ("%-m", "%-d")]


def _branch(folder: str, template: str, month: str, day: str) -> Branch:
    return Branch(folder, template.replace("{m}", month).replace("{d}", day))


def _formats(widths: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the formats of month and day of these widths, or none if they fit either format."""
    filled = set()
    for month, day in widths:
        if month or day:
            # A producer that pads one with a zero pads the other too.
            bare = "-" if "-" in month + day else ""
            filled.add((month or f"%{bare}m", day or f"%{bare}d"))
    return sorted(filled)


def branch_spans(beginning: str, date_format: str, since: float, now: float) -> list[tuple[str, str]]:
    """Return the spans of keys, as start and end, from the day of `since` to the one after `now`.

    One span covers days in the order of time. Days without leading zeros sort differently and get one span each.

    Args:
        beginning: the part of the keys before the days.
        date_format: the format of the days, as in `Branch`.
        since: an instant of the first day.
        now: an instant of the day before the last.
    """
    day_format, separator = to_the_day(date_format)
    first, last = utc_date(since), utc_date(now + _DAY.total_seconds())
    if "%-" not in day_format:
        start = end_of(beginning + written(first - _DAY, day_format), separator)
        return [(start, end_of(beginning + written(last, day_format), separator))]
    if (last - first).days > _MOST_DAYS:
        years = beginning + day_format[: day_format.index("%Y")]
        return [(f"{years}{first.year - 1:04}~", f"{years}{last.year:04}{_AFTER_ANY_NAME}")]
    days = [beginning + written(first + number * _DAY, day_format) for number in range((last - first).days + 1)]
    return [(_just_before(day), end_of(day, separator)) for day in days]


def _just_before(folder: str) -> str:
    # Not the folder's bare name: some S3-compatible servers list a folder's keys only after a key that sorts like a
    # path, and skip `a/1` for StartAfter `a` (SeaweedFS does).
    above, last = folder[:-1], folder[-1]
    # Digits come before the colon: this is after the days 1 and 10 to 19 for the 2nd, and after the 1st for the 10th.
    return f"{above}/{_AFTER_ANY_NAME}" if last == "0" else f"{above}{chr(ord(last) - 1)}:"
