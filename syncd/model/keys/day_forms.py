"""Days in keys: how a day is written, where its keys end, and which forms are recognised in keys of no known grammar.

The forms are those that log producers use: `2026/11/24/`, `2026/2/5/` (AWS Config), `2026-11-24` (also as `dt=2026-11-24`)
and `year=2026/month=11/day=24/`.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from syncd.model.objects import Branch

BRANCHES = 16
# Names of files may sort after `~` and after any letter. Nobody begins one with sixteen of the last code point.
_AFTER_ANY_NAME = "\U0010ffff" * 16
_LATEST_INSTANT = 253_402_300_799.0  # the last second of the year 9999
# More day folders than this are listed as one range of years.
_MOST_DAYS = 40
_DAY = timedelta(days=1)

_FORM = re.compile(
    r"(?<![^/])(?:"
    r"(?P<y1>[0-9]{4})/(?P<m1>[0-9]{1,2})/(?P<d1>[0-9]{1,2})/"
    r"|(?P<hive>(?:[A-Za-z_]+=)?)(?P<y2>[0-9]{4})/(?P<mn>[A-Za-z_]+=)(?P<m2>[0-9]{1,2})/(?P<dn>[A-Za-z_]+=)(?P<d2>[0-9]{1,2})/"
    r"|(?P<name>(?:[A-Za-z_]+=)?)(?P<y3>[0-9]{4})-(?P<m3>[0-9]{2})-(?P<d3>[0-9]{2})(?P<after>[/_.-]|(?![0-9]))"
    r")"
)


class Told(NamedTuple):
    """A day that stands in a key."""

    before: str
    """The part of the key in front of it, empty or ending in a slash."""
    day: date
    template: str
    """How it is written, with `{m}` and `{d}` for month and day."""
    month: str
    """The format of the month: `%m`, `%-m`, or nothing if it may be either."""
    day_of_month: str


def utc_date(instant: float) -> date:
    """Return the UTC day of an instant, the nearest that a calendar has."""
    return datetime.fromtimestamp(min(max(0.0, instant), _LATEST_INSTANT), UTC).date()


def written(day: date, date_format: str) -> str:
    """Return a day in a format of `%Y`, `%m`, `%d`, `%-m` and `%-d`; other platforms' strftime knows no `%-m`."""
    text = date_format.replace("%Y", f"{day.year:04}").replace("%-m", str(day.month)).replace("%-d", str(day.day))
    return text.replace("%m", f"{day.month:02}").replace("%d", f"{day.day:02}")


def to_the_day(date_format: str) -> tuple[str, str]:
    """Return a format up to its day, and the character that follows there; empty if that may be any."""
    directive = "%-d" if "%-d" in date_format else "%d"
    end = date_format.index(directive) + len(directive)
    after = date_format[end : end + 1]
    return date_format[:end], "" if after == "%" else after


def end_of(beginning: str, separator: str) -> str:
    """Return a key after every key with this beginning and separator, and before whatever sorts after these."""
    is_plain = "" < separator < "\ud7ff"  # the code points that follow are no characters
    return beginning + (chr(ord(separator) + 1) if is_plain else _AFTER_ANY_NAME)


def told_day(rest: str) -> Told | None:
    """Return the day that a key tells, given without its shard's prefix: the last of its folders', else its name's."""
    name_at = rest.rfind("/") + 1
    last: Told | None = None
    for found in _FORM.finditer(rest):
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
    """Return the folders below which these keys tell days, and how, the newest first, at most `BRANCHES`.

    Days from the 10th of the months from October on are written alike with and without leading zeros. If neither another
    key tells which it is nor the branches of earlier keys do, both are returned.
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
                earlier.pop(branch, None)  # both were remembered only until some key would tell
        sure = [_branch(folder, template, month, day) for month, day in formats]
        found.update(dict.fromkeys(sure or known or either))
    return list(found | earlier)[:BRANCHES]


_EITHER = [("%m", "%d"), ("%-m", "%-d")]


def _branch(folder: str, template: str, month: str, day: str) -> Branch:
    return Branch(folder, template.replace("{m}", month).replace("{d}", day))


def _formats(widths: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the formats of month and day that these are written in; none if they may be in either."""
    filled = set()
    for month, day in widths:
        if month or day:
            # Whoever writes the one with a zero writes the other so too.
            bare = "-" if "-" in month + day else ""
            filled.add((month or f"%{bare}m", day or f"%{bare}d"))
    return sorted(filled)


def branch_spans(beginning: str, date_format: str, since: float, now: float) -> list[tuple[str, str]]:
    """Return what to list, as start and end, to see the days from that of `since` to the one after `now`.

    One span covers days in the order of time. Days without leading zeros are in another order, and get one each.

    Args:
        beginning: what stands before the days in the keys.
        date_format: how the days are written, as in `Branch`.
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
