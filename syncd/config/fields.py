"""The types of configuration keys: how each is read, and how the reference describes it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import PlainValidator

from syncd.config import cron, names, readers
from syncd.config.readers import StartValue
from syncd.config.words import shown
from syncd.model.units import format_duration, format_size


@dataclass(frozen=True)
class Words:
    """How the reference describes a type, and how it writes a default of it."""

    type: str
    show: Callable[[Any], str] = shown


def words(*words: str) -> tuple[PlainValidator, Words]:
    """What makes a `Literal` of these words a key of the configuration."""
    return PlainValidator(readers.one_of(*words)), Words(" or ".join(shown(word) for word in words))


def _listed(items: Iterable[str]) -> str:
    return shown(items) if isinstance(items, str) else f"[{', '.join(shown(item) for item in items)}]"


Name = Annotated[str, PlainValidator(readers.name), Words("name")]
JobName = Annotated[str, PlainValidator(readers.job_name), Words("name")]
Flag = Annotated[bool, PlainValidator(readers.flag), Words("true or false")]
Rate = Annotated[float, PlainValidator(readers.rate), Words("number, per second")]
Price = Annotated[float, PlainValidator(readers.price), Words("number, US dollars")]
FilePath = Annotated[Path, PlainValidator(readers.path), Words("path", lambda path: shown(str(path)))]
Globs = Annotated[tuple[str, ...], PlainValidator(readers.globs), Words("list of file patterns", _listed)]
Url = Annotated[str, PlainValidator(readers.url), Words("URL")]
EndpointUrl = Annotated[str, PlainValidator(readers.endpoint), Words("URL")]
Listen = Annotated[str, PlainValidator(readers.listen), Words('"HOST:PORT" or ""')]
AccountId = Annotated[str, PlainValidator(readers.checked(names.check_account_id)), Words("12 digits, in quotes")]
Bucket = Annotated[str, PlainValidator(readers.checked(names.check_bucket)), Words("bucket name")]
Region = Annotated[str, PlainValidator(readers.checked(names.check_region)), Words("region")]
Prefix = Annotated[str, PlainValidator(readers.checked(names.check_prefix)), Words("key prefix")]
RoleArn = Annotated[str, PlainValidator(readers.checked(names.check_role_arn)), Words("role ARN")]
SessionName = Annotated[str, PlainValidator(readers.checked(names.check_session_name)), Words("2 to 64 characters")]
ExternalId = Annotated[str, PlainValidator(readers.checked(names.check_external_id)), Words("2 to 1224 characters")]
KmsKey = Annotated[str, PlainValidator(readers.checked(names.check_kms_key)), Words("key ID, ARN or alias/NAME")]
Cron = Annotated[str, PlainValidator(readers.checked(cron.check_cron)), Words("five cron fields, UTC")]
Hosts = Annotated[tuple[str, ...], PlainValidator(readers.hosts), Words("list of host names", _listed)]
Layout = Annotated[str, PlainValidator(readers.layout), Words('"cloudtrail", "flat" or a date pattern')]
Start = Annotated[StartValue, PlainValidator(readers.start), Words('"now", a duration, a day or "beginning"')]
Tags = Annotated[Mapping[str, str], PlainValidator(readers.tags), Words("table of texts", lambda _: "none")]
OrganizationIds = Annotated[
    tuple[str, ...],
    PlainValidator(readers.one_or_texts(names.check_organization_id, "organization IDs")),
    Words("organization ID, or a list", lambda _: "none"),
]
_All = Literal["*"] | tuple[str, ...]
Accounts = Annotated[
    _All,
    PlainValidator(readers.all_or_texts(names.check_account_id, "account IDs")),
    Words('"*" or a list of account IDs', _listed),
]
Regions = Annotated[
    _All,
    PlainValidator(readers.all_or_texts(names.check_region, "regions")),
    Words('"*" or a list of regions', _listed),
]
Kinds = Annotated[
    _All, PlainValidator(readers.all_or_texts(names.check_kind, "kinds")), Words('"*" or a list of kinds', _listed)
]
Ignored = Annotated[
    tuple[str, ...],
    PlainValidator(readers.ignored),
    Words("list of key prefixes or patterns", lambda _: "none"),
]
RawTable = Annotated[Mapping[str, Any], PlainValidator(readers.raw_table), Words("any keys of a job", lambda _: "none")]
Duration = Annotated[timedelta, PlainValidator(readers.duration("1s")), Words("duration, at least 1s", format_duration)]
DurationOrZero = Annotated[timedelta, PlainValidator(readers.duration("0s")), Words("duration", format_duration)]
SessionDuration = Annotated[
    timedelta, PlainValidator(readers.duration("15m", "12h")), Words("duration, 15m to 12h", format_duration)
]
InFlight = Annotated[int, PlainValidator(readers.whole_number(1, 192)), Words("whole number, 1 to 192")]
Workers = Annotated[int, PlainValidator(readers.whole_number(1, 64)), Words("whole number, 1 to 64")]
Days = Annotated[int, PlainValidator(readers.whole_number(1, 366)), Words("whole number, 1 to 366")]
# Below one smallest part of a multipart upload nothing could be copied.
Memory = Annotated[int, PlainValidator(readers.size("5MiB", "64GiB")), Words("size, 5MiB to 64GiB", format_size)]
# S3's own bounds of a part, and of one PutObject or CopyObject.
PartSize = Annotated[int, PlainValidator(readers.size("5MiB", "5GiB")), Words("size, 5MiB to 5GiB", format_size)]
ByteRate = Annotated[
    int,
    PlainValidator(readers.size("1B", "1000GiB", bare=True)),
    Words("size or number of bytes, per second", format_size),
]
# S3's largest object.
ObjectSize = Annotated[int, PlainValidator(readers.size("1B", "51200GiB")), Words("size, up to 51200GiB", format_size)]
ObjectCount = Annotated[
    int, PlainValidator(readers.whole_number(1, 1_000_000_000)), Words("whole number, 1 to 1000000000")
]
StorageClass = Annotated[str, *words(*names.STORAGE_CLASSES)]
