"""Reading one value of TOML: each function gives what the key means, or refuses in a sentence of its own."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, TypeGuard
from urllib.parse import urlsplit

from syncd.config import names
from syncd.config.words import did_you_mean, shown
from syncd.model import units


class StartPoint(StrEnum):
    """The two named beginnings of a job; a span is a `timedelta`, a day a `date`."""

    NOW = "now"
    BEGINNING = "beginning"


_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)

StartValue = StartPoint | timedelta | date


class RefusedError(ValueError):
    """A value is not what its key takes; says what would be right.

    Of every kind, since pydantic gathers ValueErrors, and a TypeError would end the reading at the first one.
    """


def text(value: object) -> str:
    """The value, which must be a string."""
    if not isinstance(value, str):
        quoted = f', such as "{value}"' if isinstance(value, int) and not isinstance(value, bool) else ""
        raise RefusedError(f"{shown(value)} is no text; write it in quotes{quoted}")
    return value


def name(value: object) -> str:
    """A text that is not empty."""
    if not text(value).strip():
        raise RefusedError("this is empty; give a name, or leave the key out")
    return text(value)


def checked(check: Callable[[str], str]) -> Callable[[object], str]:
    """Reads a text that `check` accepts."""
    return lambda value: check(text(value))


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise RefusedError(f"{shown(value)} is neither true nor false (without quotes)")
    return value


def whole_number(least: int, most: int) -> Callable[[object], int]:
    """Reads a whole number within bounds, both included."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise RefusedError(f"{shown(value)} is no whole number from {least} to {most} (without quotes)")
        return value

    return read


def one_of(*words: str) -> Callable[[object], str]:
    """Reads one of a few words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            hint = did_you_mean(value, words) if isinstance(value, str) else ""
            raise RefusedError(f"{shown(value)} is none of {', '.join(shown(word) for word in words)}{hint}")
        return value

    return read


def duration(least: str, most: str | None = None) -> Callable[[object], timedelta]:
    """Reads a duration within bounds, both included."""

    def read(value: object) -> timedelta:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise RefusedError(f'{shown(value)} has no unit; write "{value}s" for seconds, or m, h, d')
        try:
            span = value if isinstance(value, timedelta) else units.parse_duration(text(value))
        except ValueError as error:
            raise RefusedError(f"{shown(value)} is no duration: {error}") from None
        if span < units.parse_duration(least):
            raise RefusedError(f"{shown(value)} is too short: at least {least}")
        if most and span > units.parse_duration(most):
            raise RefusedError(f"{shown(value)} is too long: at most {most}")
        return span

    return read


def size(least: str, most: str, *, bare: bool = False) -> Callable[[object], int]:
    """Reads a size in bytes within bounds, both included; `bare` takes a number without a unit too."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            if not bare:
                raise RefusedError(f'{shown(value)} has no unit; write "{value}B" for bytes, or KiB, MiB, GiB')
            size_bytes = value
        else:
            try:
                size_bytes = units.parse_size(text(value))
            except ValueError as error:
                raise RefusedError(f"{shown(value)} is no size: {error}") from None
        if not units.parse_size(least) <= size_bytes <= units.parse_size(most):
            raise RefusedError(f"{shown(value)} is out of bounds: from {least} to {most}")
        return size_bytes

    return read


def rate(value: object) -> float:
    """A number per second, above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1_000_000:
        raise RefusedError(f"{shown(value)} is no rate: a number above 0, up to 1000000, without quotes")
    return float(value)


def texts(check: Callable[[str], str], word: str) -> Callable[[object], tuple[str, ...]]:
    """Reads a list, not empty, of texts that `check` accepts; what is there twice counts once."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise RefusedError(f"{shown(value)} is no list of {word}; write {word} in [ ]")
        if not value:
            raise RefusedError(f"the list is empty; name {word}, or leave the key out")
        return tuple(dict.fromkeys(check(text(item)) for item in value))

    return read


def all_or_texts(check: Callable[[str], str], word: str) -> Callable[[object], Literal["*"] | tuple[str, ...]]:
    """Reads "*", or a list as `texts` does."""
    read_list = texts(check, word)

    def read(value: object) -> Literal["*"] | tuple[str, ...]:
        if value == "*":
            return "*"
        if isinstance(value, str):
            raise RefusedError(f'{shown(value)} is neither "*" nor a list; write [{shown(value)}]')
        if isinstance(value, list | tuple) and "*" in value:
            raise RefusedError('"*" stands alone, not in a list; write "*" without [ ]')
        return read_list(value)

    return read


def one_or_texts(check: Callable[[str], str], word: str) -> Callable[[object], tuple[str, ...]]:
    """Reads one text, or a list as `texts` does."""
    read_list = texts(check, word)
    return lambda value: (check(value),) if isinstance(value, str) else read_list(value)


def globs(value: object) -> tuple[str, ...]:
    """A list of file patterns, which may be empty."""
    return () if value in ([], ()) else texts(lambda pattern: pattern, "file patterns")(value)


def ignored(value: object) -> tuple[str, ...]:
    """Read a list of key prefixes or patterns, which may be empty."""
    return () if value in ([], ()) else texts(_ignored, "key prefixes or patterns")(value)


def _ignored(entry: str) -> str:
    if not entry.strip("*/"):
        raise RefusedError(f"{shown(entry)} would leave out everything; name a folder, such as AWSLogs/old/")
    if entry.startswith("/"):
        raise RefusedError(f"{shown(entry)} begins with a slash, and no key does; write {shown(entry.lstrip('/'))}")
    return entry


def price(value: object) -> float:
    """A price: a number that is not below zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise RefusedError(f"{shown(value)} is no price; write a number of US dollars, such as 0.005")
    return float(value)


def start(value: object) -> StartValue:
    """How far back a job begins."""
    shape = '"now", a span such as "31d", a day such as "2026-11-01", or "beginning"'
    if isinstance(value, StartPoint | timedelta) or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if not isinstance(value, str):
        raise RefusedError(f"{shown(value)} is no start: {shape}")
    if value in list(StartPoint):
        return StartPoint(value)
    try:
        return (
            date.fromisoformat(value) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else duration("1s")(value)
        )
    except ValueError:
        raise RefusedError(f"{shown(value)} is no start: {shape}{did_you_mean(value, list(StartPoint))}") from None


def layout(value: object) -> str:
    """The word or the date pattern, which may stand in a table of its own."""
    pattern = value["pattern"] if isinstance(value, Mapping) and set(value) == {"pattern"} else value
    shape = '"cloudtrail", "flat", or a date pattern such as "{prefix}/%Y/%m/%d/"'
    if not isinstance(pattern, str):
        raise RefusedError(f"{shown(pattern)} is no layout: {shape}")
    if pattern in ("cloudtrail", "flat"):
        return pattern
    if "%" not in pattern:
        raise RefusedError(f"{shown(pattern)} is no layout: {shape}{did_you_mean(pattern, ['cloudtrail', 'flat'])}")
    # Key order is time order only where the larger unit comes first, and a listing's range ends with a day.
    if re.findall(r"%(.?)", pattern) not in (["Y", "m", "d"], ["Y", "m", "d", "H"]):
        raise RefusedError(f"{shown(pattern)}: a date pattern holds %Y, %m, %d in this order, then %H or nothing")
    if {"{", "}"} & set(pattern.removeprefix("{prefix}")):
        raise RefusedError(f"{shown(pattern)}: a date pattern may begin with {{prefix}}, and holds no other braces")
    return pattern


def tags(value: object) -> Mapping[str, str]:
    """The tags of an object."""
    if not isinstance(value, Mapping):
        raise RefusedError(f'{shown(value)} is no table of tags; write {{ key = "value" }}')
    return names.check_tags({text(key): text(item) for key, item in value.items()})


def is_job_name(value: object) -> TypeGuard[str]:
    """Whether the value can name a job."""
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value))


def job_name(value: object) -> str:
    """A job's name, which becomes a file name and the label of a metric."""
    if not is_job_name(value):
        rule = "1 to 64 letters, digits, dots, hyphens or underscores, the first a letter or a digit"
        raise RefusedError(f"{shown(value)} is no job name: {rule}")
    return value


class ExpandedPath(type(Path())):  # type: ignore[misc]  # Path itself cannot be derived from before Python 3.12
    """A path in which variables were expanded, and which is shown as it was written."""

    written: str = ""


def expanded_path(text: str, *, written: str) -> Path:
    """The path, which messages show as `written`."""
    found = ExpandedPath(text)
    found.written = written
    return found


def as_written(path: Path) -> str:
    """The path as the file has it, if that names variables: their values are not for everybody who reads messages."""
    return getattr(path, "written", "") or str(path)


def path(value: object) -> Path:
    """A path; whether anything is there is not asked."""
    if isinstance(value, Path):
        return value
    if not text(value) or "\0" in text(value):
        raise RefusedError(f"{shown(value)} is no path")
    return Path(text(value))


def url(value: object) -> str:
    """An http(s) URL. Its text is not repeated in a message: a URL is where passwords and tokens hide."""
    address = text(value)
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", address):
        raise RefusedError('this is no http:// or https:// URL with a host, such as "http://127.0.0.1:5000"')
    if parts.username is not None or parts.password is not None:
        raise RefusedError("a URL may not hold a user name or a password; remove what stands before the @")
    return address


def endpoint(value: object) -> str:
    """The URL of a server, without a slash at its end."""
    address = url(value)
    if urlsplit(address).query or urlsplit(address).fragment:
        raise RefusedError("an endpoint is a URL without ? and #")
    return address.rstrip("/")


def listen(value: object) -> str:
    """An address to listen on, or nothing."""
    address = text(value)
    if address:
        split_address(address)
    return address


def hosts(value: object) -> tuple[str, ...]:
    """A list of host names, which may be empty, as clients write them in `Host`: in lower case."""
    return () if value in ([], ()) else texts(_host, "host names")(value)


def _host(value: str) -> str:
    host = value.lower().removesuffix(".")
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise RefusedError(f'{shown(value)} is no host name: without scheme and port, such as "syncd.example.com"')
    return host


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT", where an IPv6 address stands in [ ].

    Raises:
        ValueError: with what would be right.
    """
    host, colon, port = address.rpartition(":")
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else -1
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not 0 <= number <= 65_535 or (":" in host and not bracketed):
        raise RefusedError(f'{shown(address)} is no address to listen on: "HOST:PORT" such as "127.0.0.1:9464", or ""')
    return host.strip("[]"), number


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def raw_table(value: object) -> Mapping[str, Any]:
    """A table, as it is."""
    if not isinstance(value, Mapping):
        raise RefusedError(f"{shown(value)} is no table")
    return value
