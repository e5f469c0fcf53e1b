"""Sealed days: the count, size and digest of a day's objects. Pure."""

from collections.abc import Iterable
from hashlib import blake2b, shake_256
from typing import NamedTuple

DIGEST_MODULUS = 2**63
WITNESS_BYTES = 384
# The safe prime of Bitcoin's MuHash3072, whose multiset hash the witness is: 2**3072 - 1103717.
_BITS, _BELOW = 8 * WITNESS_BYTES, 1103717
_SAFE_PRIME, _LOW = (1 << _BITS) - _BELOW, (1 << _BITS) - 1
NO_WITNESS = 1
"""The witness of a day without objects."""


class SealedDay(NamedTuple):
    """The memory of one UTC day of a shard, in place of its keys."""

    count: int  # type: ignore[assignment]  # in place of the method of a tuple
    size_bytes: int
    """The total size of its objects, modulo 2**63."""
    digest: int
    """The sum of `object_digest` over its objects, modulo 2**63, which does not depend on their order."""
    exact: bool
    """True if every object's source ETag was known. Otherwise the digest cannot be compared."""
    replica_digest: int = 0
    """The sum of `object_digest` over the keys, sizes and ETags of its replicas, modulo 2**63."""
    replica_exact: bool = False
    """True if every replica's ETag was known."""


def object_digest(key: str, etag: str | None) -> int:
    """Return 64 bits of BLAKE2b over an object's key and its source ETag, if that is known."""
    text = f"{len(key)}:{key}" if etag is None else f"{len(key)}:{key}={etag}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def replica_digest(key: str, size_bytes: int, etag: str) -> int:
    """Return 64 bits of BLAKE2b over a replica's key, size and ETag."""
    return object_digest(f"{key}={size_bytes}", etag)


def witnessed(onto: int, key: str, size_bytes: int, etag: str, sha256: str) -> int:
    """Return the witness of a day with one replica more: its key, size and ETag, and the SHA-256 of its content.

    It does not depend on the order of the replicas, and nobody can find others with the same witness. The sums of a
    sealed day can be forged by altering several of its replicas at once.
    """
    text = f"{len(key)}:{key}={size_bytes}:{etag}={sha256}"
    factor = int.from_bytes(shake_256(text.encode("utf-8", "surrogatepass")).digest(WITNESS_BYTES), "big")
    product = onto * factor
    # Thrice as fast as the operator %: 2**3072 and _BELOW have the same remainder.
    product = (product & _LOW) + (product >> _BITS) * _BELOW
    return ((product & _LOW) + (product >> _BITS) * _BELOW) % _SAFE_PRIME


class SealedObject(NamedTuple):
    """The facts of an object that enter its day's row."""

    key: str
    etag: str | None
    size_bytes: int
    replica_etag: str


def fold_day(objects: Iterable[SealedObject], onto: SealedDay | None = None) -> SealedDay:
    """Fold objects into one day, in addition to those it has."""
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
