"""Sample logs and digests hold to AWS's documents; signatures are checked by a library that had no part in them."""

import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from syncd.cli.demo.samples import SampleObject, TrailSpec, late_log, public_keys, trail

BEGINS = datetime(2026, 11, 22, 21, tzinfo=UTC)
UNTIL = BEGINS + timedelta(hours=6)
SPEC = TrailSpec(
    bucket="example-trail",
    accounts=("111111111111", "222222222222"),
    regions=("us-east-1", "eu-west-1"),
    begins=BEGINS,
    logs_per_hour=3,
)
LOG_KEY = re.compile(
    r"AWSLogs/(?P<account>\d{12})/CloudTrail/(?P<region>[a-z0-9-]+)/(?P<day>\d{4}/\d\d/\d\d)/"
    r"(?P=account)_CloudTrail_(?P=region)_(?P<stamp>\d{8}T\d{4})Z_[0-9A-Za-z]{16}\.json\.gz"
)
DIGEST_KEY = re.compile(
    r"AWSLogs/(?P<account>\d{12})/CloudTrail-Digest/(?P<region>[a-z0-9-]+)/(?P<day>\d{4}/\d\d/\d\d)/"
    r"(?P=account)_CloudTrail-Digest_(?P=region)_management-events_us-east-1_(?P<stamp>\d{8}T\d{6})Z\.json\.gz"
)


@cache
def delivered(spec: TrailSpec = SPEC, until: datetime = UNTIL) -> Sequence[SampleObject]:
    return tuple(trail(spec, until))


def logs() -> Sequence[SampleObject]:
    return [sample for sample in delivered() if "/CloudTrail/" in sample.key]


def digests() -> Sequence[SampleObject]:
    return [sample for sample in delivered() if "/CloudTrail-Digest/" in sample.key]


def chains() -> Sequence[Sequence[SampleObject]]:
    """The digests of each account and region, in order of time."""
    places = [f"AWSLogs/{account}/CloudTrail-Digest/{region}/" for account in SPEC.accounts for region in SPEC.regions]
    return [sorted((d for d in digests() if d.key.startswith(place)), key=lambda d: d.key) for place in places]


def content(sample: SampleObject) -> Any:
    return json.loads(gzip.decompress(sample.body))


def sha256(sample: SampleObject) -> str:
    return hashlib.sha256(gzip.decompress(sample.body)).hexdigest()


def verify(sample: SampleObject, fields: Mapping[str, Any], public_der: bytes) -> None:
    """As AWS's page on custom validation has it."""
    previous = fields["previousDigestSignature"] or "null"
    place = f"{fields['digestS3Bucket']}/{fields['digestS3Object']}"
    text = f"{fields['digestEndTime']}\n{place}\n{sha256(sample)}\n{previous}"
    key = load_der_public_key(public_der)
    assert isinstance(key, RSAPublicKey)
    key.verify(bytes.fromhex(sample.metadata["signature"]), text.encode(), PKCS1v15(), SHA256())


def test_log_keys_hold_to_the_documented_form() -> None:
    found = [LOG_KEY.fullmatch(sample.key) for sample in logs()]

    assert len(found) > 50
    assert all(match and match["day"].replace("/", "") == match["stamp"][:8] for match in found)


def test_digest_keys_hold_to_the_documented_form() -> None:
    assert len(digests()) > 20
    assert all(DIGEST_KEY.fullmatch(sample.key) for sample in digests())


def test_a_prefix_and_an_organization_stand_in_every_key() -> None:
    spec = replace(SPEC, prefix="team/audit", organization_id="o-exampleorgid")

    beginnings = {"/".join(sample.key.split("/")[:4]) for sample in delivered(spec)}

    assert beginnings == {"team/audit/AWSLogs/o-exampleorgid"}


def test_objects_are_gzipped_json() -> None:
    assert {(sample.content_type, sample.content_encoding) for sample in delivered()} == {("application/json", "gzip")}


def test_a_log_holds_records_of_its_account_and_region_from_before_its_stamp() -> None:
    sample = logs()[-1]
    match = LOG_KEY.fullmatch(sample.key)
    assert match is not None
    stamp = datetime.strptime(match["stamp"] + "+0000", "%Y%m%dT%H%M%z")

    records = content(sample)["Records"]

    assert records
    assert {(r["recipientAccountId"], r["awsRegion"]) for r in records} == {(match["account"], match["region"])}
    assert all(datetime.fromisoformat(r["eventTime"]) <= stamp for r in records)


def test_records_come_from_several_services_and_kinds_of_callers() -> None:
    records = [record for sample in logs() for record in content(sample)["Records"]]

    assert len({record["eventSource"] for record in records}) > 4
    assert {record["userIdentity"]["type"] for record in records} == {"IAMUser", "AssumedRole", "AWSService", "Root"}
    assert len({record["eventID"] for record in records}) == len(records)


def test_the_same_trail_delivers_the_same_objects() -> None:
    assert tuple(trail(SPEC, UNTIL)) == delivered()


def test_another_seed_delivers_other_objects() -> None:
    others = delivered(replace(SPEC, seed=8))

    assert not {sample.key for sample in others if "/CloudTrail/" in sample.key} & {sample.key for sample in logs()}


def test_a_later_call_goes_on_where_an_earlier_one_ended() -> None:
    middle = BEGINS + timedelta(hours=2, minutes=40)

    parts = [*trail(SPEC, middle), *trail(SPEC, UNTIL, since=middle)]

    assert sorted(parts, key=lambda sample: sample.key) == sorted(delivered(), key=lambda sample: sample.key)


def test_keys_are_unique() -> None:
    assert len({sample.key for sample in delivered()}) == len(delivered())


def test_digests_come_hourly() -> None:
    ends = [[datetime.fromisoformat(content(digest)["digestEndTime"]) for digest in chain] for chain in chains()]

    assert {later - earlier for chain in ends for earlier, later in pairwise(chain)} == {timedelta(hours=1)}


def test_a_digest_names_itself_and_its_time_as_its_key_does() -> None:
    for digest in digests():
        fields = content(digest)
        match = DIGEST_KEY.fullmatch(digest.key)
        assert match is not None
        assert (fields["digestS3Bucket"], fields["digestS3Object"]) == ("example-trail", digest.key)
        assert match["stamp"] + "Z" == re.sub("[-:]", "", fields["digestEndTime"])
        assert fields["awsAccountId"] == match["account"]


def test_the_first_digest_of_a_chain_has_nothing_before_it() -> None:
    first = [content(chain[0]) for chain in chains()]

    assert {value for fields in first for name, value in fields.items() if name.startswith("previous")} == {None}


def test_every_digest_names_the_one_before_it_with_its_hash_and_signature() -> None:
    linked = [(content(later), earlier) for chain in chains() for earlier, later in pairwise(chain)]

    assert len(linked) > 15
    for fields, earlier in linked:
        assert fields["previousDigestS3Bucket"] == "example-trail"
        assert fields["previousDigestS3Object"] == earlier.key
        assert fields["previousDigestHashValue"] == sha256(earlier)
        assert fields["previousDigestHashAlgorithm"] == "SHA-256"
        assert fields["previousDigestSignature"] == earlier.metadata["signature"]


def test_every_digest_is_signed_by_the_key_of_its_region() -> None:
    keys = public_keys(SPEC)

    for digest in digests():
        fields = content(digest)
        key = keys[digest.key.split("/")[3]]
        verify(digest, fields, key.public_der)
        assert fields["digestPublicKeyFingerprint"] == key.fingerprint
        assert fields["digestSignatureAlgorithm"] == digest.metadata["signature-algorithm"] == "SHA256withRSA"


def test_the_key_of_another_region_does_not_verify() -> None:
    digest = chains()[0][0]

    with pytest.raises(InvalidSignature):
        verify(digest, content(digest), public_keys(SPEC)["eu-west-1"].public_der)


def test_a_key_is_rsa_2048_and_its_fingerprint_is_the_md5_of_its_der() -> None:
    key = public_keys(SPEC)["us-east-1"]

    public = load_der_public_key(key.public_der)

    assert isinstance(public, RSAPublicKey)
    assert (public.key_size, public.public_numbers().e) == (2048, 65537)
    assert key.fingerprint == hashlib.md5(key.public_der, usedforsecurity=False).hexdigest()


def test_digests_name_every_log_of_their_time_once_with_its_hash() -> None:
    named = {file["s3Object"]: file for digest in digests() for file in content(digest)["logFiles"]}
    last = min(content(chain[-1])["digestEndTime"] for chain in chains())
    covered = [log for log in logs() if LOG_KEY.fullmatch(log.key)["stamp"] < re.sub("[-:Z]", "", last)]  # type: ignore[index]

    assert sum(len(content(digest)["logFiles"]) for digest in digests()) == len(named)
    assert len(covered) > 40
    assert {log.key: sha256(log) for log in covered}.items() <= {k: f["hashValue"] for k, f in named.items()}.items()


def test_a_digest_tells_the_oldest_and_the_newest_event_of_its_logs() -> None:
    fields = next(content(digest) for digest in digests() if len(content(digest)["logFiles"]) > 1)

    assert fields["oldestEventTime"] == min(file["oldestEventTime"] for file in fields["logFiles"])
    assert fields["newestEventTime"] == max(file["newestEventTime"] for file in fields["logFiles"])


def test_an_idle_hour_has_a_digest_that_names_no_log() -> None:
    idle = delivered(replace(SPEC, logs_per_hour=0))

    assert [content(sample)["logFiles"] for sample in idle] == [[]] * len(digests())
    assert {content(sample)["newestEventTime"] for sample in idle} == {None}


def test_a_trail_without_validation_delivers_logs_only() -> None:
    assert list(delivered(replace(SPEC, has_digests=False))) == logs()


def test_a_late_log_is_in_a_backfill_digest_only_and_none_of_the_ordinary_ones() -> None:
    late, digest = late_log(SPEC, "222222222222", "eu-west-1", BEGINS + timedelta(hours=1), BEGINS)

    assert digest.key.endswith("_backfill.json.gz")
    assert [log["s3Object"] for log in content(digest)["logFiles"]] == [late.key]

    match = LOG_KEY.fullmatch(late.key)
    assert match is not None
    assert match["stamp"] == "20261122T2200"
    assert late.key not in {sample.key for sample in delivered()}
