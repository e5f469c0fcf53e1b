"""Durations ("1h30m") and sizes ("128MiB") as a configuration file writes them."""

import re
from datetime import timedelta

LONGEST_DURATION = timedelta(days=36_500)
LARGEST_SIZE = 50 * 1024**4
"""The largest object in S3, in bytes."""

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:[0-9]+[smhd])+", re.ASCII)
_BYTES = {"B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}
_SIZE = re.compile(r"([0-9]{1,15})(B|KB|KiB|MB|MiB|GB|GiB)", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Parse a duration: numbers with s, m, h or d, each unit once, such as "45s" or "1h30m".

    Raises:
        ValueError: it is not one. The message says what would be correct.
    """
    if text.isascii() and text.isdigit():
        raise ValueError(f'a duration needs its unit: write "{text[:12]}s" for seconds, or m, h, d')
    parts = re.findall(r"([0-9]+)([smhd])", text) if len(text) <= 60 and _DURATION.fullmatch(text) else []
    units = [unit for _, unit in parts]
    if not parts or len(set(units)) < len(units):
        raise ValueError('a duration is a number with s, m, h or d, such as "45s", "5m", "1h30m" or "31d"')
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST_DURATION.total_seconds():
        raise ValueError(f"a duration may be {LONGEST_DURATION.days}d at most")
    return timedelta(seconds=seconds)


def format_duration(span: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads as `span`, cut to whole seconds."""
    rest = int(span.total_seconds())
    text = ""
    for unit, seconds in _SECONDS.items():
        number, rest = divmod(rest, seconds)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def parse_size(text: str) -> int:
    """Parse a size in bytes: a whole number with B, KB, KiB, MB, MiB, GB or GiB.

    Raises:
        ValueError: it is not one. The message says what would be correct.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError('a size is a whole number with B, KB, KiB, MB, MiB, GB or GiB, such as "128MiB"')
    size_bytes = int(found[1]) * _BYTES[found[2]]
    if size_bytes > LARGEST_SIZE:
        raise ValueError("a size may be 51200GiB at most")
    return size_bytes


def format_size(size_bytes: int) -> str:
    """Return the text with the largest unit that `parse_size` reads as exactly `size_bytes`."""
    fits = [unit for unit, unit_bytes in _BYTES.items() if size_bytes and size_bytes % unit_bytes == 0]
    unit = max(fits, key=_BYTES.__getitem__, default="B")
    return f"{size_bytes // _BYTES[unit]}{unit}"


def rounded_size(count: float) -> str:
    """Format a number of bytes for people, such as `12.3 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
