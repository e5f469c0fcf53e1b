"""Days that are remembered as one row: how many objects, their bytes and their hash. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

DIGEST_MODULUS = 2**63


@dataclass(frozen=True, slots=True)
class SealedDay:
    """What is remembered of one UTC day of one shard once its keys are not remembered one by one any more."""

    count: int
    size_bytes: int
    """Of its objects together, modulo 2**63."""
    digest: int
    """The sum of `object_digest` over its objects, modulo 2**63: whatever the order, the same."""
    exact: bool
    """Every object's source ETag was known; where one was not, the digest cannot be compared."""
    replica_digest: int = 0
    """The sum of `object_digest` over the keys, sizes and ETags of its replicas, modulo 2**63."""
    replica_exact: bool = False
    """Every replica's ETag was known."""


def object_digest(key: str, etag: str | None) -> int:
    """64 bits of BLAKE2b over one object's key and source ETag; without the ETag where that is not known."""
    text = f"{len(key)}:{key}" if etag is None else f"{len(key)}:{key}={etag}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def replica_digest(key: str, size_bytes: int, etag: str) -> int:
    """Return 64 bits of BLAKE2b over a replica's key, size and ETag."""
    return object_digest(f"{key}={size_bytes}", etag)


class SealedObject(NamedTuple):
    """What of an object goes into its day's row."""

    key: str
    etag: str | None
    size_bytes: int
    replica_etag: str


def fold_day(objects: Iterable[SealedObject], onto: SealedDay | None = None) -> SealedDay:
    """Return objects folded into one day, added to what it held before."""
    before = onto or EMPTY_DAY
    count, size_bytes, digest, exact = before.count, before.size_bytes, before.digest, before.exact
    there, is_there_exact = before.replica_digest, before.replica_exact
    for key, etag, size, replica_etag in objects:
        count += 1
        size_bytes = (size_bytes + size) % DIGEST_MODULUS
        digest = (digest + object_digest(key, etag)) % DIGEST_MODULUS
        exact = exact and etag is not None
        there = (there + replica_digest(key, size, replica_etag)) % DIGEST_MODULUS
        is_there_exact = is_there_exact and bool(replica_etag)
    return SealedDay(count, size_bytes, digest, exact, there, is_there_exact)


EMPTY_DAY = SealedDay(0, 0, 0, exact=True, replica_digest=0, replica_exact=True)
