"""What black-box tests are made of: CloudTrail objects of any number, and configuration files as operators write them."""

import gzip
import hashlib
import json
import random
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from faulty import FaultyS3, StoredObject

from syncd.cli.demo.world import Consumer, World

ACCOUNTS = ("222222222222", "333333333333", "444444444444", "555555555555", "666666666666", "012345678901")
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1", "us-gov-west-1")
LOG, DIGEST = "CloudTrail", "CloudTrail-Digest"
_MARK = timedelta(minutes=5)
_SUFFIX = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Delivery:
    """One object that CloudTrail delivers; `arrives` is its LastModified."""

    key: str
    body: bytes
    arrives: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    content_encoding: str = "gzip"


@dataclass(frozen=True)
class Trail:
    """Where a trail puts its objects; `prefix` and `organization_id` may be empty."""

    prefix: str = ""
    organization_id: str = ""
    seed: int = 7

    def folder(self, account: str, region: str, day: date, *, kind: str = LOG) -> str:
        """A day folder, ending in a slash."""
        parts = (self.prefix, "AWSLogs", self.organization_id, account, kind, region, f"{day:%Y/%m/%d}")
        return "/".join(part for part in parts if part) + "/"

    def log(self, account: str, region: str, stamp: datetime, number: int = 0, *, late: timedelta = _MARK) -> Delivery:
        """A log file of that stamp; `number` tells those of one stamp apart."""
        source = random.Random(f"{self.seed}/{account}/{region}/{stamp:%Y%m%dT%H%M}/{number}")
        suffix = "".join(source.choices(_SUFFIX, k=16))
        name = f"{account}_CloudTrail_{region}_{stamp:%Y%m%dT%H%MZ}_{suffix}.json.gz"
        events = {"Records": [{"eventID": suffix, "awsRegion": region, "recipientAccountId": account}]}
        body = gzip.compress(json.dumps(events).encode(), compresslevel=1, mtime=0)
        return Delivery(self.folder(account, region, stamp.date()) + name, body, stamp + late)

    def digest(self, account: str, region: str, stamp: datetime) -> Delivery:
        """A digest file, its signature in the user metadata."""
        name = f"{account}_CloudTrail-Digest_{region}_management-events_us-east-1_{stamp:%Y%m%dT%H%M%SZ}.json.gz"
        key = self.folder(account, region, stamp.date(), kind=DIGEST) + name
        body = gzip.compress(json.dumps({"digestEndTime": stamp.isoformat()}).encode(), compresslevel=1, mtime=0)
        metadata = {"signature": hashlib.sha256(key.encode()).hexdigest(), "signature-algorithm": "SHA256withRSA"}
        return Delivery(key, body, stamp + _MARK, metadata)

    def span(
        self, accounts: Sequence[str], regions: Sequence[str], days: Sequence[date], *, logs: int, digests: int = 0
    ) -> Iterator[Delivery]:
        """So many logs and digests of each account and region on each day, at even distances."""
        for account in accounts:
            for region in regions:
                for day in days:
                    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
                    for number in range(logs):
                        yield self.log(account, region, midnight + number * 288 // logs * _MARK, number)
                    for number in range(digests):
                        yield self.digest(
                            account, region, midnight + timedelta(hours=number * 24 // digests, minutes=1)
                        )


def days_before(now: datetime, count: int) -> list[date]:
    """The whole UTC days before today, the oldest first."""
    return [now.date() - timedelta(days=back) for back in range(count, 0, -1)]


def deliver(
    server: FaultyS3, bucket: str, deliveries: Iterable[Delivery], *, checksum_algorithm: str | None = None
) -> list[str]:
    """Puts them into the bucket, without a request; their keys."""
    keys = []
    for delivery in deliveries:
        server.put(
            bucket,
            delivery.key,
            delivery.body,
            last_modified=delivery.arrives.replace(microsecond=0),
            metadata=delivery.metadata,
            content_type=delivery.content_type,
            content_encoding=delivery.content_encoding,
            checksum_algorithm=checksum_algorithm,
        )
        keys.append(delivery.key)
    return keys


def content(objects: Mapping[str, StoredObject], *, strip: str = "") -> dict[str, tuple[object, ...]]:
    """What makes a replica equal to its source, by key without the prefix `strip`."""
    return {
        key.removeprefix(strip): (item.body, dict(item.metadata), item.content_type, item.content_encoding)
        for key, item in objects.items()
    }


def profiles(world: World) -> str:
    """A credentials file with a profile for each consumer."""
    return "".join(
        f"[{consumer.name}]\n"
        f"aws_access_key_id = {consumer.access_key_id}\n"
        f"aws_secret_access_key = {consumer.secret_access_key}\n"
        for consumer in world.consumers
    )


def job_table(world: World, consumer: Consumer, credentials: Path, url: str) -> dict[str, Any]:
    """The shortest job of a consumer of the world, which an S3 and STS at `url` serves."""
    role: dict[str, Any] = {"arn": consumer.role_arn}
    if consumer.external_id is not None:
        role |= {"third_party": True, "external_id": consumer.external_id}
    return {
        "name": consumer.name,
        "consumer": {
            "account_id": consumer.account_id,
            "profile": consumer.name,
            "credentials_file": str(credentials),
        },
        "source": {
            "account_id": world.account_id,
            "bucket": world.bucket,
            "region": world.region,
            "accounts": list(consumer.accounts) or "*",
            "role": role,
        },
        "destination": {"bucket": consumer.bucket, "region": world.region},
        "endpoints": {"s3": url, "sts": url},
    }


def changed(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The nested table with dotted keys set, or removed where the value is None."""
    result: dict[str, Any] = {key: dict(item) if isinstance(item, Mapping) else item for key, item in table.items()}
    for dotted, value in changes.items():
        first, _, rest = dotted.partition(".")
        if rest:
            result[first] = changed(result.get(first) or {}, {rest: value})
        elif value is None:
            result.pop(first, None)
        else:
            result[first] = value
    return result


def toml(table: Mapping[str, Any], path: str = "") -> str:
    """TOML of nested tables; JSON's texts, numbers, flags and lists are TOML's too."""
    lines = [f"[{path}]"] if path else []
    lines += [f"{key} = {_value(item)}" for key, item in table.items() if not isinstance(item, Mapping)]
    below = [(f"{path}.{key}" if path else key, item) for key, item in table.items() if isinstance(item, Mapping)]
    return "\n".join(lines) + "\n" + "".join(toml(item, name) for name, item in below)


def _value(item: Any) -> str:
    return json.dumps(str(item) if isinstance(item, Path | date) else item, ensure_ascii=False)
