"""Ledger values with defaults for all but what a test is about."""

from syncd.model.objects import Conflict, Copied, Failed, Known, LogObject, Outcome, Replica, Shard, Transfer
from syncd.model.sealed import SealedDay, SealedObject, fold_day

NOW = 1_795_507_200.0
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHARD = Shard("AWSLogs/111111111111/CloudTrail/us-east-1/", "111111111111", "CloudTrail", "us-east-1")


def replica(destination_bucket: str = "example-b-logs") -> Replica:
    return Replica(
        source_bucket="example-trail",
        source_prefix="",
        destination_endpoint="",
        destination_bucket=destination_bucket,
        destination_prefix="",
    )


def shard(region: str) -> Shard:
    return Shard(f"AWSLogs/111111111111/CloudTrail/{region}/", "111111111111", "CloudTrail", region)


def key(day: str, name: str = "x", of: Shard = SHARD) -> str:
    stem = f"{of.account}_{of.kind}_{of.region}_"
    return f"{of.prefix}{day.replace('-', '/')}/{stem}{day.replace('-', '')}T0815Z_{name}.json.gz"


def log_object(name: str, *, etag: str = MD5, size: int = 100) -> LogObject:
    return LogObject(name, etag, size, NOW - 60)


def transfer(item: LogObject, of: Shard = SHARD) -> Transfer:
    return Transfer(of, item, item.key)


def copied(name: str, of: Shard = SHARD, *, etag: str = MD5, size: int = 100, replica_etag: str = MD5) -> Outcome:
    return Copied(transfer(log_object(name, etag=etag, size=size), of), replica_etag)


def known(*, etag: str | None = MD5, size: int = 100, replica_etag: str = MD5) -> Known:
    return Known(etag, size, replica_etag)


def sealed(*names: str) -> SealedDay:
    """A day of objects as `copied` writes them."""
    return fold_day(SealedObject(name, *known()) for name in names)


def failed(name: str, *, reason: str = "access_denied") -> Outcome:
    return Failed(transfer(log_object(name)), reason, "GetObject was refused")


def conflict(name: str, *, etag: str = MD5) -> Outcome:
    return Conflict(transfer(log_object(name, etag=etag)), "other content")
