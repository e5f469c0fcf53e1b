"""The types of configuration keys: pydantic's own, with bounds, and with the words for messages and the reference."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, GetJsonSchemaHandler, Strict, Tag
from pydantic_core import CoreSchema

from syncd.config import addresses, cron, names
from syncd.config.words import did_you_mean, shown
from syncd.model import units
from syncd.model.units import format_duration, format_size

# Shapes for editors. What they let pass, such as a unit twice, is found when the file is read.
_DURATION = "([0-9]+[dhms])+"
_SIZE = "[0-9]{1,15}(B|KB|KiB|MB|MiB|GB|GiB)"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

T = TypeVar("T")


class StartPoint(StrEnum):
    """The two named beginnings of a job. A span is a `timedelta`, a day a `date`."""

    NOW = "now"
    BEGINNING = "beginning"


StartValue = StartPoint | timedelta | date


@dataclass(frozen=True, eq=False)
class Words:
    """The words for a type, in messages, in the reference and in JSON Schema."""

    type: str
    """A phrase that can follow "is no"."""
    show: Callable[[Any], str] = shown
    """Returns a default as TOML writes it."""
    remedy: str = ""
    """The end of a message about a value of another type."""
    is_shown: bool = True
    """Messages may repeat a wrong value."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema: beside what pydantic derives, or in its place if it has a type."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON Schema of the type. Called by pydantic."""
        whole = {"type", "anyOf"} & self.schema.keys()
        return dict(self.schema) if whole else {**handler(core), **self.schema}


def _shape(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^({pattern})$"}


def _checked(check: Callable[[str], str], words: str, pattern: str = "", *, is_shown: bool = True) -> tuple[Any, ...]:
    schema = {"pattern": f"^({pattern})$"} if pattern else {}
    return Strict(), AfterValidator(check), Words(words, is_shown=is_shown, schema=schema)


def _between(least: int, most: int) -> tuple[Any, ...]:
    return Strict(), Field(ge=least, le=most), Words(f"whole number from {least} to {most}")


def _quoted_span(span: timedelta) -> str:
    return f'"{format_duration(span)}"'


def _quoted_size(size_bytes: int) -> str:
    return f'"{format_size(size_bytes)}"'


def _span(value: object) -> object:
    """Parse the text of a duration. Raises ValueError with what would be right."""
    match value:
        case timedelta():
            return value
        case str():
            try:
                return units.parse_duration(value)
            except ValueError as error:
                raise ValueError(f"{shown(value)} is no duration: {error}") from None
        case int() | float() if not isinstance(value, bool):
            raise ValueError(f'{shown(value)} has no unit; write "{value}s" for seconds, or m, h, d')
    raise ValueError(f'{shown(value)} is no duration; write it in quotes, such as "5m"')


def duration(least: str, most: str = "", *, words: str) -> tuple[Any, ...]:
    """Return the parts of a type of durations within bounds."""
    bounds = Field(ge=units.parse_duration(least), le=units.parse_duration(most) if most else None)
    return BeforeValidator(_span), bounds, Words(words, show=_quoted_span, schema=_shape(_DURATION))


def _bytes(value: object) -> object:
    """Parse the text of a size, or take a number. Raises ValueError with what would be right."""
    match value:
        case int() if not isinstance(value, bool):
            return value
        case str():
            try:
                return units.parse_size(value)
            except ValueError as error:
                raise ValueError(f"{shown(value)} is no size: {error}") from None
    raise ValueError(f'{shown(value)} is no size; write it in quotes, such as "128MiB"')


def _bytes_with_unit(value: object) -> object:
    match value:
        case int() if not isinstance(value, bool):
            raise ValueError(f'{shown(value)} has no unit; write "{value}B" for bytes, or KiB, MiB, GiB')
    return _bytes(value)


def _size(least: str, most: str) -> tuple[Any, ...]:
    bounds = Field(ge=units.parse_size(least), le=units.parse_size(most))
    words = f"size from {least} to {most}"
    return BeforeValidator(_bytes_with_unit), bounds, Words(words, show=_quoted_size, schema=_shape(_SIZE))


def _once(items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def _in_brackets(items: Iterable[str]) -> str:
    return shown(items) if isinstance(items, str) else f"[{', '.join(shown(item) for item in items)}]"


def _none(_: object) -> str:
    return "none"


def _list(words: str, show: Callable[[Any], str] = _in_brackets) -> tuple[Any, ...]:
    return AfterValidator(_once), Words(words, show=show, remedy="write it in [ ]")


def _star_alone(value: object) -> object:
    if isinstance(value, list | tuple) and "*" in value:
        raise ValueError('"*" stands alone, not in a list; write "*" without [ ]')
    return value


def _which(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "one"


def _all_or(words: str, remedy: str) -> tuple[Any, ...]:
    return Discriminator(_which), BeforeValidator(_star_alone), Words(words, show=_in_brackets, remedy=remedy)


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _check_name(value: str) -> str:
    if not value.strip():
        raise ValueError("this is empty; give a name, or leave the key out")
    return value


def _check_path(value: object) -> object:
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError(f"{shown(value)} is no path")
    return value


def _start(value: object) -> object:
    """Parse how far back a job begins. Raises ValueError with what would be right."""
    if isinstance(value, StartPoint | timedelta) or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    known = list(StartPoint)
    with_words = value if isinstance(value, str) else ""
    try:
        if with_words in known:
            return StartPoint(with_words)
        if re.fullmatch(_DAY, with_words):
            return date.fromisoformat(with_words)
        if (span := units.parse_duration(with_words)) >= timedelta(seconds=1):
            return span
    except ValueError:
        pass
    shape = '"now", a span such as "31d", a day such as "2026-11-01", or "beginning"'
    raise ValueError(f"{shown(value)} is no start: {shape}{did_you_mean(with_words, known)}")


def _requester(value: object) -> object:
    return "requester" if value is True else value


_All = Annotated[Literal["*"], Tag("one")]
_Some = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_once), Tag("list")]

Name = Annotated[str, *_checked(_check_name, "name", r".*\S.*")]
JobName = Annotated[str, *_checked(names.check_job_name, "job name", names.JOB_NAME)]
Flag = Annotated[bool, Strict(), Words("true or false")]
Rate = Annotated[float, Strict(), Field(gt=0, le=1_000_000), Words("number above 0, up to 1000000, per second")]
Price = Annotated[float, Strict(), Field(ge=0, lt=1e6), Words("number of US dollars, such as 0.005")]
FilePath = Annotated[
    Path, BeforeValidator(_check_path), Words("path", show=lambda path: shown(str(path)), remedy="write it in quotes")
]
Globs = Annotated[tuple[str, ...], *_list("list of file patterns")]
Url = Annotated[str, *_checked(addresses.check_heartbeat, "URL", "https?://.+", is_shown=False)]
EndpointUrl = Annotated[str, *_checked(addresses.check_endpoint, "URL", "https?://[^?#]+", is_shown=False)]
Listen = Annotated[str, *_checked(addresses.check_listen, '"HOST:PORT" or ""', "|.+:[0-9]{1,5}")]
Host = Annotated[str, *_checked(addresses.check_host, "host name")]
Hosts = Annotated[tuple[Host, ...], *_list("list of host names")]

AccountId = Annotated[str, *_checked(names.check_account_id, "12 digits, in quotes", names.ACCOUNT_ID)]
Bucket = Annotated[str, *_checked(names.check_bucket, "bucket name or access point", names.BUCKET)]
Buckets = Annotated[tuple[Bucket, ...], AfterValidator(_once), *_list("list of bucket names", _none)]
BucketOwner = Annotated[str, *_checked(names.check_owner, '"check", "off" or an owner\'s ID', names.OWNER)]
RequestPayer = Annotated[Literal["requester"], BeforeValidator(_requester), Words('"requester"')]
Region = Annotated[str, *_checked(names.check_region, "region", names.REGION)]
Prefix = Annotated[str, *_checked(names.check_prefix, "key prefix", "|[^/].*")]
RoleArn = Annotated[str, *_checked(names.check_role_arn, "role ARN", names.ROLE_ARN)]
SessionName = Annotated[str, *_checked(names.check_session_name, "2 to 64 characters", names.SESSION_NAME)]
SourceIdentity = Annotated[str, *_checked(names.check_source_identity, "2 to 256 characters", names.SOURCE_IDENTITY)]
ExternalId = Annotated[
    str, *_checked(names.check_external_id, "2 to 1224 characters", names.EXTERNAL_ID, is_shown=False)
]
KmsKey = Annotated[str, *_checked(names.check_kms_key, "key ID, ARN or alias/NAME", names.KMS_KEY)]
StorageClass = names.StorageClass
Tags = Annotated[
    dict[str, str],
    AfterValidator(names.check_tags),
    Words("table of tags", show=_none, remedy='write { key = "value" }', schema={"maxProperties": 10}),
]
SessionTags = Annotated[
    dict[str, str],
    AfterValidator(names.check_session_tags),
    Words("table of tags", show=_none, remedy='write { key = "value" }', schema={"maxProperties": 50}),
]
OrganizationId = Annotated[str, *_checked(names.check_organization_id, "organization ID", names.ORGANIZATION_ID)]
_ORGANIZATION_ID = _shape(names.ORGANIZATION_ID)
OrganizationIds = Annotated[
    tuple[OrganizationId, ...],
    BeforeValidator(_as_list),
    Field(min_length=1),
    AfterValidator(_once),
    Words(
        "organization ID, or a list",
        show=_none,
        schema={"anyOf": [_ORGANIZATION_ID, {"type": "array", "items": _ORGANIZATION_ID, "minItems": 1}]},
    ),
]
Accounts = Annotated[_All | _Some[AccountId], *_all_or('"*" or a list of account IDs', '"*" is every account')]
Regions = Annotated[_All | _Some[Region], *_all_or('"*" or a list of regions', '"*" is every region')]
Kinds = Annotated[_All | _Some[names.Kind], *_all_or('"*" or a list of kinds', '"*" is every kind')]
Ignored = Annotated[
    tuple[Annotated[str, *_checked(names.check_ignored, "key prefix or pattern", "[^/].*")], ...],
    *_list("list of key prefixes or patterns", _none),
]
_LAYOUT = "cloudtrail|flat|.*%Y.*%m.*%d.*"
_LAYOUTS = [_shape(_LAYOUT), {"type": "object", "properties": {"pattern": _shape(_LAYOUT)}, "required": ["pattern"]}]
Layout = Annotated[
    str,
    BeforeValidator(names.check_layout),
    Words('"cloudtrail", "flat" or a date pattern', schema={"anyOf": _LAYOUTS}),
]
Cron = Annotated[str, *_checked(cron.check_cron, "five cron fields, UTC", r"\s*\S+(\s+\S+){4}\s*")]
Start = Annotated[
    StartValue,
    BeforeValidator(_start),
    Words(
        '"now", a duration, a day or "beginning"',
        show=_quoted_span,
        schema=_shape(f"now|beginning|{_DURATION}|{_DAY}"),
    ),
]
Duration = Annotated[timedelta, *duration("1s", words="duration of at least 1s")]
DurationOrZero = Annotated[timedelta, *duration("0s", words="duration")]
SessionDuration = Annotated[timedelta, *duration("15m", "12h", words="duration from 15m to 12h")]
InFlight = Annotated[int, *_between(1, 192)]
Workers = Annotated[int, *_between(1, 64)]
Days = Annotated[int, *_between(1, 366)]
ObjectCount = Annotated[int, *_between(1, 1_000_000_000)]
# Below one smallest part of a multipart upload nothing could be copied.
Memory = Annotated[int, *_size("5MiB", "64GiB")]
# S3's own bounds of a part, and of one PutObject or CopyObject.
PartSize = Annotated[int, *_size("5MiB", "5GiB")]
# S3's largest object.
ObjectSize = Annotated[int, *_size("1B", "51200GiB")]
ByteRate = Annotated[
    int,
    BeforeValidator(_bytes),
    Field(ge=1, le=units.parse_size("1000GiB")),
    Words(
        "size from 1B to 1000GiB, or number of bytes, per second",
        show=_quoted_size,
        schema={"anyOf": [_shape(_SIZE), {"type": "integer", "minimum": 1, "maximum": units.parse_size("1000GiB")}]},
    ),
]
