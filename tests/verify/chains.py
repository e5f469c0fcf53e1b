"""Digest chains as CloudTrail makes them, and ways to tamper with them, each signed as well as the forger could."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from syncd.cli.demo.keys import SigningKey, signing_key
from syncd.cli.demo.samples import SampleObject, TrailSpec, public_keys, signed_text, trail
from syncd.verify.audit import Audit
from syncd.verify.rules.chain import Found
from syncd.verify.rules.digest import Refused, content_sha256
from syncd.verify.rules.keys import Keys, PublicKey
from syncd.verify.rules.place import Place, Stored
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Finding, Flaw

BUCKET, ACCOUNT, REGION = "trail-bucket", "111111111111", "us-east-1"
BEGINS = datetime(2026, 11, 24, 6, tzinfo=UTC)
SPEC = TrailSpec(BUCKET, [ACCOUNT], [REGION], BEGINS, logs_per_hour=3)
DAY = timedelta(days=1)


def known_keys(spec: TrailSpec = SPEC) -> Keys:
    """The public keys of a trail, valid for 30 days."""
    first = (spec.begins - 15 * DAY).timestamp()
    return Keys(
        PublicKey(region, key.fingerprint, key.public_der, first, first + 30 * 86400)
        for region, key in public_keys(spec).items()
    )


def objects(hours: int = 8, spec: TrailSpec = SPEC) -> dict[str, SampleObject]:
    """What the trail delivered, by key."""
    return {item.key: item for item in trail(spec, spec.begins + timedelta(hours=hours))}


def digests(delivered: dict[str, SampleObject]) -> list[Found]:
    """The digests among them, the oldest first."""
    return [found(item) for key, item in sorted(delivered.items()) if "/CloudTrail-Digest/" in key]


def found(item: SampleObject) -> Found:
    """A digest as a replica has it."""
    return Found(item.key, item.body, item.metadata["signature"], item.metadata["signature-algorithm"])


def content(item: Found) -> dict[str, Any]:
    """What a digest says."""
    document: dict[str, Any] = json.loads(gzip.decompress(item.body))
    return document


def forged(item: Found, change: Callable[[dict[str, Any]], None], *, key: SigningKey | None = None) -> Found:
    """A digest whose content is changed, signed anew by the region's own key or by another."""
    document = content(item)
    change(document)
    body = json.dumps(document, separators=(",", ":")).encode()
    signer = key or public_keys(SPEC)[REGION]
    return item._replace(body=gzip.compress(body, mtime=0), signature=signer.sign(signed_text(document, body)).hex())


def chained(items: Sequence[Found]) -> list[Found]:
    """The same digests linked anew, each to the one before, and signed by the region's own key."""
    linked: list[Found] = []
    for item in items:
        before = linked[-1] if linked else None

        def link(document: dict[str, Any], before: Found | None = before) -> None:
            raw = gzip.decompress(before.body) if before else b""
            document["previousDigestS3Bucket"] = content(before)["digestS3Bucket"] if before else None
            document["previousDigestS3Object"] = before.key if before else None
            document["previousDigestHashValue"] = sha256(raw).hexdigest() if before else None
            document["previousDigestHashAlgorithm"] = "SHA-256" if before else None
            document["previousDigestSignature"] = before.signature if before else None

        linked.append(forged(item, link))
    return linked


def moved(
    items: Sequence[Found], bucket: str, count: int, *, since: int = 0, rename: Callable[[str], str] = str
) -> list[Found]:
    """The same chain, some of whose digests and their logs were delivered to another bucket or under other keys."""

    def deliver(document: dict[str, Any]) -> None:
        document["digestS3Bucket"] = bucket
        document["digestS3Object"] = rename(document["digestS3Object"])
        for log in document["logFiles"]:
            log["s3Bucket"] = bucket
            log["s3Object"] = rename(log["s3Object"])

    return chained(
        [
            forged(item, deliver)._replace(key=rename(item.key)) if since <= number < count else item
            for number, item in enumerate(items)
        ]
    )


def another_key() -> SigningKey:
    """A key that CloudTrail never had."""
    return signing_key("another")


def with_spec(**changes: Any) -> TrailSpec:
    """The trail with something changed."""
    return replace(SPEC, **changes)


class MemoryReplica:
    """A replica that is a dictionary."""

    def __init__(self, delivered: dict[str, SampleObject], modified: Mapping[str, float] | None = None) -> None:
        """`modified` is when an object was copied, by key."""
        self._delivered, self._modified = delivered, modified or {}
        self.read: list[str] = []

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        del first, last
        for key, item in sorted(self._delivered.items()):
            if key.startswith(prefix):
                yield Stored(key, len(item.body), modified=self._modified.get(key, 0.0))

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        for item in items:
            yield found(self._delivered[item.key])

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        for item in items:
            self.read.append(item.key)
            stored = self._delivered.get(item.key)
            if stored is None:
                yield item, Finding(Flaw.LOG_MISSING, "the replica has no such object")
                continue
            try:
                yield item, content_sha256(stored.body, most=10**8)
            except Refused as refused:
                yield item, refused.finding


def audited(
    delivered: dict[str, SampleObject], spec: TrailSpec = SPEC, *, replica: MemoryReplica | None = None, **asked: Any
) -> PlaceResult:
    """The audit of the one account and region of a trail."""
    above = f"AWSLogs/{ACCOUNT}"
    place = Place(
        ACCOUNT, REGION, f"{above}/CloudTrail-Digest/{REGION}/", {"CloudTrail": f"{above}/CloudTrail/{REGION}/"}
    )
    told: dict[str, Any] = {"buckets": [BUCKET], "keys": known_keys(spec), "first": 0.0, "last": 4e9}
    return Audit(replica or MemoryReplica(delivered), place, **told | asked).run()


def flaws(result: PlaceResult) -> set[str]:
    """What is wrong, in one word each."""
    named = {finding.flaw.value for spans in result.chains.values() for span in spans for finding in span.problems}
    return named | ({"extra_log"} if result.extra else set()) | ({"newest_missing"} if result.unnamed_after else set())
