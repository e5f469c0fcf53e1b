"""Sample CloudTrail objects: gzipped logs, and hourly digests that are chained and signed.

Pure: the same TrailSpec gives the same objects on every run. Keys follow "Getting and viewing your CloudTrail log
files", digests follow "CloudTrail digest file structure", both in the CloudTrail user guide.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from syncd.cli.demo.events import record
from syncd.cli.demo.keys import SigningKey, signing_key

SIGNATURE_ALGORITHM = "SHA256withRSA"
HASH_ALGORITHM = "SHA-256"
_HOUR = timedelta(hours=1)
_MARK = timedelta(minutes=5)
"""Log files are stamped on five-minute marks, often several on the same one."""
_UNIQUE_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class SampleObject:
    """An object with the properties that S3 stores."""

    key: str
    body: bytes
    content_type: str = "application/json"
    content_encoding: str = "gzip"
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata, without `x-amz-meta-`: a digest's signature and its algorithm."""


@dataclass(frozen=True)
class TrailSpec:
    """A trail: the accounts and regions it records, and its destination."""

    bucket: str
    accounts: Sequence[str]
    regions: Sequence[str]
    begins: datetime
    """Begin of logging, UTC. The first digest of each account and region starts its chain."""
    seed: int = 7
    name: str = "management-events"
    home_region: str = "us-east-1"
    prefix: str = ""
    """The trail's own key prefix, without slashes at its ends."""
    organization_id: str | None = None
    logs_per_hour: int = 2
    """Logs of each account and region in each hour."""
    has_digests: bool = True


@dataclass(frozen=True)
class _Place:
    """An account and region of a trail."""

    spec: TrailSpec
    account_id: str
    region: str

    def source(self, *about: object) -> random.Random:
        words = (self.spec.seed, self.account_id, self.region, *about)
        return random.Random("/".join(map(str, words)))  # noqa: S311 samples must be the same each time

    def key(self, kind: str, at: datetime, file: str) -> str:
        parts = (self.spec.prefix, "AWSLogs", self.spec.organization_id, self.account_id, kind, self.region)
        return "/".join(part for part in parts if part) + f"/{at:%Y/%m/%d}/{file}.json.gz"


@dataclass(frozen=True)
class _Log:
    sample: SampleObject
    stamp: datetime
    sha256: str
    """Of the uncompressed content, hexadecimal."""
    oldest: str
    newest: str


def trail(spec: TrailSpec, until: datetime, *, since: datetime | None = None) -> Iterator[SampleObject]:
    """Yield objects stamped in [`since`, `until`), by account, then region, then time.

    `since` is `spec.begins` unless given. A later call with the same spec continues an earlier one: the same objects,
    the same chain.
    """
    first = spec.begins if since is None else since
    for account_id in spec.accounts:
        for region in spec.regions:
            for stamp, sample in _deliveries(_Place(spec, account_id, region), until):
                if first <= stamp < until:
                    yield sample


def late_log(
    spec: TrailSpec, account_id: str, region: str, stamp: datetime, delivered: datetime
) -> tuple[SampleObject, SampleObject]:
    """Return a log with that stamp that `trail` never yields, and the backfill digest that names it."""
    place = _Place(spec, account_id, region)
    log = _log(place, place.source("late", stamp), stamp)
    end = stamp.replace(minute=0, second=0, microsecond=0) + _HOUR
    digest, _ = _digest(place, end - _HOUR, end, [log], dict.fromkeys(_PREVIOUS), suffix="_backfill")
    return log.sample, replace(digest, metadata={**digest.metadata, "backfill-generation-timestamp": _iso(delivered)})


def named_log(spec: TrailSpec, account_id: str, region: str, stamp: datetime, letters: str) -> SampleObject:
    """Return a log with that stamp whose random suffix begins with these letters."""
    place = _Place(spec, account_id, region)
    return _log(place, place.source("named", stamp, letters), stamp, letters).sample


def public_keys(spec: TrailSpec) -> Mapping[str, SigningKey]:
    """Return the key pair that signs each region's digests."""
    return {region: _region_key(spec, region) for region in spec.regions}


def signed_text(digest: Mapping[str, object], content: bytes) -> bytes:
    """Return the text that CloudTrail signs: `content` is the JSON, `digest` the same parsed.

    In the first digest of a chain, the word `null` replaces the previous signature, as in AWS's own command line.
    """
    previous = digest["previousDigestSignature"] or "null"
    place = f"{digest['digestS3Bucket']}/{digest['digestS3Object']}"
    return f"{digest['digestEndTime']}\n{place}\n{hashlib.sha256(content).hexdigest()}\n{previous}".encode()


def _deliveries(place: _Place, until: datetime) -> Iterator[tuple[datetime, SampleObject]]:
    spec = place.spec
    chain: Mapping[str, str | None] = dict.fromkeys(_PREVIOUS)
    # Digests come hourly, at a different minute and second in each account and region.
    begin, hours = spec.begins, 0
    first_end = spec.begins + timedelta(seconds=place.source("digests").randrange(60, 3600))
    while begin < until:
        end = first_end + hours * _HOUR
        logs = _logs(place, begin, end)
        yield from ((log.stamp, log.sample) for log in logs)
        if spec.has_digests:
            sample, chain = _digest(place, begin, end, logs, chain)
            yield end, sample
        begin, hours = end, hours + 1


def _logs(place: _Place, begin: datetime, end: datetime) -> list[_Log]:
    source = place.source(begin)
    first_mark = begin + (datetime.min.replace(tzinfo=UTC) - begin) % _MARK
    marks = [first_mark + number * _MARK for number in range(-((first_mark - end) // _MARK))]
    count = round(place.spec.logs_per_hour * ((end - begin) / _HOUR)) if marks else 0
    stamps = sorted(source.choices(marks, k=count)) if count else []
    return [_log(place, source, stamp) for stamp in stamps]


def _log(place: _Place, source: random.Random, stamp: datetime, letters: str = "") -> _Log:
    times = sorted(stamp - timedelta(seconds=source.randrange(0, 600)) for _ in range(source.randrange(1, 7)))
    records = [record(source, place.account_id, place.region, at) for at in times]
    content = json.dumps({"Records": records}, separators=(",", ":")).encode()
    unique = letters + "".join(source.choices(_UNIQUE_ALPHABET, k=16 - len(letters)))
    file = f"{place.account_id}_CloudTrail_{place.region}_{stamp:%Y%m%dT%H%MZ}_{unique}"
    sample = SampleObject(place.key("CloudTrail", stamp, file), _gzip(content))
    return _Log(sample, stamp, hashlib.sha256(content).hexdigest(), _iso(times[0]), _iso(times[-1]))


_PREVIOUS = (
    "previousDigestS3Bucket",
    "previousDigestS3Object",
    "previousDigestHashValue",
    "previousDigestHashAlgorithm",
    "previousDigestSignature",
)


def _digest(
    place: _Place,
    begin: datetime,
    end: datetime,
    logs: Sequence[_Log],
    previous: Mapping[str, str | None],
    *,
    suffix: str = "",
) -> tuple[SampleObject, Mapping[str, str | None]]:
    """Return the digest of `logs`, and the next digest's fields about it."""
    spec = place.spec
    file = f"{place.account_id}_CloudTrail-Digest_{place.region}_{spec.name}_{spec.home_region}_{end:%Y%m%dT%H%M%SZ}"
    key = place.key("CloudTrail-Digest", end, file + suffix)
    signer = _region_key(spec, place.region)
    digest: dict[str, object] = {
        "awsAccountId": place.account_id,
        "digestStartTime": _iso(begin),
        "digestEndTime": _iso(end),
        "digestS3Bucket": spec.bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": signer.fingerprint,
        "digestSignatureAlgorithm": SIGNATURE_ALGORITHM,
        "newestEventTime": max((log.newest for log in logs), default=None),
        "oldestEventTime": min((log.oldest for log in logs), default=None),
        **previous,
        "logFiles": [
            {
                "s3Bucket": spec.bucket,
                "s3Object": log.sample.key,
                "hashValue": log.sha256,
                "hashAlgorithm": HASH_ALGORITHM,
                "newestEventTime": log.newest,
                "oldestEventTime": log.oldest,
            }
            for log in logs
        ],
    }
    content = json.dumps(digest, separators=(",", ":")).encode()
    signature = signer.sign(signed_text(digest, content)).hex()
    metadata = {"signature": signature, "signature-algorithm": SIGNATURE_ALGORITHM}
    values = (spec.bucket, key, hashlib.sha256(content).hexdigest(), HASH_ALGORITHM, signature)
    return SampleObject(key, _gzip(content), metadata=metadata), dict(zip(_PREVIOUS, values, strict=True))


def _region_key(spec: TrailSpec, region: str) -> SigningKey:
    return signing_key(f"{spec.seed}/{region}")


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
