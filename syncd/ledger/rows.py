"""Encoding of keys, ETags, days and reports in the ledger: pure, and exact both ways.

A key is stored as a *tail*: its part that the shard and the usual file name do not determine. In the shard of account 111111111111, CloudTrail, us-east-1:

    2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0815Z_x.json.gz   20261124T0815Z_x    the usual name
    2026/11/24/111111111111_CloudTrail_us-east-1_trail_20261124….json.gz    20261124:trail_20…  another after the stem
    2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0815Z_x.json      20261124;20261124…  without the suffix
    2026/11/24/something else                                               20261124<something  without the stem
    anything else                                                           =anything else      has no day

Tails of one form sort as their keys do (S3 lists in UTF-8 order, which is SQLite's order of text), and those with a day
sort first, so a page of a listing is one range of the table. Every tail decodes to exactly one key.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any, TypeGuard
from zlib import crc32

from syncd.model.objects import Shard
from syncd.model.reports import FailedObject, JobError, TickReport

SUFFIX = ".json.gz"
NO_DAY = "="
"""The first character of tails without a day. All tails with a day sort before it."""

_FOLDER_LENGTH = len("2026/11/24/")
_DATE_LENGTH = len("20261124")
_DIGITS = frozenset("0123456789")
_AFTER_DIGITS = ":"
_MARKS = frozenset(":;<")
_NOT_AFTER_A_DATE = _MARKS | {""}
_FOLDER = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/")
_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5_BYTES = 16
_TEXT, _SAME, _OTHER = b"=", b"!", b"?"

LONGEST_KEY_BYTES = 1024
LONGEST_TEXT = 2 * 1024 * 1024
LONGEST_DETAIL = 2000
# Each job keeps hundreds of reports, and its status is read from dozens.
MOST_COUNTED, MOST_LISTED = 100, 20


def encode_key(shard: Shard, key: str) -> str:
    """Return the tail of a key. Raises ValueError if the key is outside the shard."""
    return next(iter(encode_keys(shard, (key,))))


def encode_keys(shard: Shard, keys: Iterable[str]) -> dict[str, str]:
    """Return keys by their tails. Raises ValueError if a key is outside the shard."""
    prefix = shard.prefix
    stem = _stem(shard)
    folder_end = len(prefix) + _FOLDER_LENGTH
    # The beginning of a key with the usual name in the previous key's folder, and the end of its stamp's date.
    usual, dated = "", 0
    tails = {}
    for key in keys:
        if dated and key.startswith(usual) and key.endswith(SUFFIX, dated + 1) and key[dated] not in _MARKS:
            tails[key[dated - _DATE_LENGTH : -len(SUFFIX)]] = key
            continue
        if not key.startswith(prefix):
            raise ValueError(f"{key!r} is not under {prefix!r}")
        day = _compact_day(key[len(prefix) : folder_end])
        tails[_dated_tail(day, key[folder_end:], stem) if day else NO_DAY + key[len(prefix) :]] = key
        if day and stem:
            usual = f"{key[:folder_end]}{stem}{day}"
            dated = len(usual)
    return tails


def _dated_tail(day: str, name: str, stem: str) -> str:
    if not stem or not name.startswith(stem):
        return f"{day}<{name}"
    if not name.endswith(SUFFIX, len(stem)):
        return f"{day};{name[len(stem) :]}"
    rest = name[len(stem) : -len(SUFFIX)]
    if rest.startswith(day) and rest[_DATE_LENGTH : _DATE_LENGTH + 1] not in _NOT_AFTER_A_DATE:
        return rest
    return f"{day}:{rest}"


def decode_key(shard: Shard, tail: str) -> str:
    """Return the key of a tail that `encode_key` returned."""
    if tail.startswith(NO_DAY):
        return shard.prefix + tail[len(NO_DAY) :]
    start = f"{shard.prefix}{tail[:4]}/{tail[4:6]}/{tail[6:8]}/"
    match tail_form(tail):
        case "<":
            return start + tail[_DATE_LENGTH + 1 :]
        case ";":
            return start + _stem(shard) + tail[_DATE_LENGTH + 1 :]
        case ":":
            return start + _stem(shard) + tail[_DATE_LENGTH + 1 :] + SUFFIX
        case _:
            return start + _stem(shard) + tail + SUFFIX


def tail_form(tail: str) -> str:
    """Return the mark of a tail's form, or an empty text for the usual name."""
    if tail.startswith(NO_DAY):
        return NO_DAY
    mark = tail[_DATE_LENGTH : _DATE_LENGTH + 1]
    return mark if mark in _MARKS else ""


def tails_by_form(keys: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return keys by their tails, apart for each form."""
    # All of the usual form, without a call for each: so are most pages of a thousand.
    if keys and not any(
        tail[_DATE_LENGTH : _DATE_LENGTH + 1] in _NOT_AFTER_A_DATE or tail[0] == NO_DAY for tail in keys
    ):
        return {"": keys}
    found: dict[str, dict[str, str]] = {}
    for tail, key in keys.items():
        found.setdefault(tail_form(tail), {})[tail] = key
    return found


def day_of(tail: str) -> str | None:
    """Return the UTC day (YYYY-MM-DD) of the folder of a tail's key, or None without a day."""
    if tail.startswith(NO_DAY) or not _compact_day(f"{tail[:4]}/{tail[4:6]}/{tail[6:8]}/"):
        return None
    return f"{tail[:4]}-{tail[4:6]}-{tail[6:8]}"


def first_tail(day: str) -> str:
    """Return the smallest possible tail of a day (YYYY-MM-DD)."""
    return day.replace("-", "")


def first_tail_after(rest: str) -> str:
    """Return a lower bound of the dated tails whose keys follow `rest`, a key without its shard's prefix."""
    lowest = ""
    for form, char in zip("dddd/dd/dd/", rest, strict=False):
        is_as_in_a_folder = char in _DIGITS if form == "d" else char == form
        if not is_as_in_a_folder:
            return lowest + _AFTER_DIGITS if char > ("9" if form == "d" else form) else lowest
        lowest += char if form == "d" else ""
    return lowest


def last_tail(day: str) -> str:
    """Return a text between all tails of a day (YYYY-MM-DD) and those of the next."""
    compact = day.replace("-", "")
    return compact[:-1] + chr(ord(compact[-1]) + 1)


def encode_etag(etag: str | None) -> bytes | None:
    """Encode an ETag: an MD5 in 16 bytes, any other text after a `=`, None if it is unknown."""
    if etag is None:
        return None
    if _MD5.fullmatch(etag):
        return bytes.fromhex(etag)
    raw = _TEXT + etag.encode("utf-8", "surrogatepass")
    # 0xFF occurs in no UTF-8, so a text of 15 bytes cannot be mistaken for an MD5.
    return raw + b"\xff" if len(raw) == _MD5_BYTES else raw


def decode_etag(raw: bytes | None) -> str | None:
    """Return the ETag that `encode_etag` encoded."""
    if raw is None:
        return None
    if len(raw) == _MD5_BYTES:
        return raw.hex()
    return raw[1:].rstrip(b"\xff").decode("utf-8", "surrogatepass")


def encode_etags(etag: str | None, replica_etag: str) -> bytes | None:
    """Encode the ETags of an object and of its replica.

    E           the replica's is unknown: the source's from `encode_etag`, as in schema 1
    !E          both are equal
    ?LLE R      both, after the length of the source's in two bytes
    """
    source = encode_etag(etag)
    if source is None or not replica_etag:
        return source
    if replica_etag == etag:
        raw = _SAME + source
        return raw + b"\xff\xff" if len(raw) == _MD5_BYTES else raw
    raw = _OTHER + len(source).to_bytes(2, "big") + source + (encode_etag(replica_etag) or b"")
    return raw + b"\xff" if len(raw) == _MD5_BYTES else raw


def decode_etags(raw: bytes | None) -> tuple[str | None, str]:
    """Return the ETags that `encode_etags` encoded. The replica's is empty if unknown."""
    if raw is None:
        return None, ""
    length, mark = len(raw), raw[:1]
    # The most common form first: each listing looks up pages of a thousand.
    if length == 1 + _MD5_BYTES and mark == _SAME:
        text = raw[1:].hex()
        return text, text
    if length == _MD5_BYTES or mark == _TEXT:
        return decode_etag(raw), ""
    if mark == _SAME:
        text = decode_etag(raw[1:]) or ""
        return text, text
    end = 3 + int.from_bytes(raw[1:3], "big")
    return decode_etag(raw[3:end]), decode_etag(raw[end:]) or ""


def checksum(*values: object) -> int:
    """Return the CRC-32 of a row's values.

    It covers their ASCII representation, which distinguishes types and is the same in every version of Python.
    """
    return crc32(ascii(values).encode("ascii"))


def object_checksum(shard_id: int, tail: str, etag: bytes | None, size_bytes: int) -> int:
    """Return 24 bits of a CRC-32 over an object's row, from -2**23 to 2**23 - 1: three bytes in SQLite.

    Fast enough for pages of a thousand. A value whose type was changed by damage gives another checksum.
    """
    text = f"{shard_id}/{size_bytes}/{tail}"
    raw = text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass")
    return (crc32(raw + etag if isinstance(etag, bytes) else raw + ascii(etag).encode("ascii")) & 0xFFFFFF) - 0x800000


def with_checksum(*values: object) -> tuple[object, ...]:
    """Return a row for writing: the values and their checksum."""
    return (*values, checksum(*values))


def is_whole(row: tuple[Any, ...] | None) -> TypeGuard[tuple[Any, ...]]:
    """Return True if a row was found and its last value is the checksum of the others."""
    return row is not None and bool(row[-1] == checksum(*row[:-1]))


def shortened(text: str) -> str:
    """Return a text cut in the middle if it is too long, with invalid Unicode escaped."""
    if len(text) > LONGEST_DETAIL:
        head = (LONGEST_DETAIL - 1) // 2
        text = f"{text[:head]}…{text[head + 1 - LONGEST_DETAIL :]}"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def is_key(text: str) -> bool:
    """Return True if a text is no longer than a key in S3 may be."""
    return len(text) <= LONGEST_KEY_BYTES // 4 or len(text.encode("utf-8", "surrogatepass")) <= LONGEST_KEY_BYTES


def report_to_json(report: TickReport) -> str:
    """Encode a report, with long texts cut in the middle and long lists at their end."""
    return json.dumps(_bounded(asdict(report)), separators=(",", ":"))


def _bounded(value: Any) -> Any:
    match value:
        case str():
            return shortened(value)
        case FailedObject() | JobError():
            return _bounded(value._asdict())
        case dict():
            return {name: _bounded(item) for name, item in islice(value.items(), MOST_COUNTED)}
        case list() | tuple():
            return [_bounded(item) for item in value[:MOST_LISTED]]
        case _:
            return value


def report_from_json(text: str) -> TickReport:
    """Return the report that `report_to_json` encoded, ignoring fields that this version does not know."""
    values = json.loads(text)
    known = {field.name: values[field.name] for field in fields(TickReport) if field.name in values}
    known["conflicts"] = tuple((key, detail) for key, detail in known["conflicts"])
    known["uncovered"] = tuple(known.get("uncovered", ()))
    known["unproved"] = tuple(FailedObject(**item) for item in known.get("unproved", ()))
    known["failed"] = tuple(FailedObject(**failed) for failed in known["failed"])
    known["archived"] = tuple(FailedObject(**archived) for archived in known.get("archived", ()))
    known["error"] = JobError(**known["error"]) if known["error"] else None
    return TickReport(**known)


def _stem(shard: Shard) -> str:
    """Return the beginning of the shard's file names, or an empty text without account, kind or region."""
    if shard.account and shard.kind and shard.region:
        return f"{shard.account}_{shard.kind}_{shard.region}_"
    return ""


@lru_cache(maxsize=4096)
def _compact_day(folder: str) -> str:
    """Return `2026/11/24/` as `20261124`, or an empty text if it is not a calendar day's folder."""
    match = _FOLDER.fullmatch(folder)
    if match is None:
        return ""
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return ""
    return f"{match[1]}{match[2]}{match[3]}"
