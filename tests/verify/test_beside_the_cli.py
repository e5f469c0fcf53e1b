"""Our verdict on a replica beside that of `aws cloudtrail validate-logs` on the source, case by case.

The server is moto's for S3, and one of our own for ListPublicKeys.
"""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chains import ACCOUNT, BEGINS, BUCKET, REGION, audited, digests, flaws, forged, known_keys, objects
from key_server import lists_keys
from servers import MakeClient, S3Server

from syncd.cli.demo.samples import SampleObject

HOURS = 8
Delivered = dict[str, SampleObject]


@pytest.fixture(scope="module")
def cloudtrail() -> Iterator[str]:
    with lists_keys(known_keys()) as url:
        yield url


def validated(moto: S3Server, make_client: MakeClient, cloudtrail: str, delivered: Delivered) -> tuple[int, str]:
    """What the AWS CLI says of them at their source."""
    client = make_client(moto.url, access_key_id=moto.access_key_id, secret_access_key=moto.secret_access_key)
    client.create_bucket(Bucket=BUCKET)
    for item in delivered.values():
        client.put_object(Bucket=BUCKET, Key=item.key, Body=item.body, Metadata=dict(item.metadata))
    last = datetime.fromtimestamp(BEGINS.timestamp(), UTC) + timedelta(hours=HOURS)
    command = [
        *(str(Path(sys.executable).with_name("aws")), "cloudtrail", "validate-logs", "--verbose"),
        *("--trail-arn", f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/management-events"),
        *("--s3-bucket", BUCKET, "--region", REGION),
        *("--start-time", BEGINS.isoformat(), "--end-time", last.isoformat()),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": moto.access_key_id,
        "AWS_SECRET_ACCESS_KEY": moto.secret_access_key,
        "AWS_ENDPOINT_URL_S3": moto.url,
        "AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def logs_of(delivered: Delivered) -> list[str]:
    return sorted(key for key in delivered if "/CloudTrail/" in key)


def digest_keys(delivered: Delivered) -> list[str]:
    return [item.key for item in digests(delivered)]


def without(*numbers: int) -> Callable[[Delivered], None]:
    def change(delivered: Delivered) -> None:
        for key in [digest_keys(delivered)[number] for number in numbers]:
            del delivered[key]

    return change


def with_body(which: Callable[[Delivered], list[str]], body: Callable[[bytes], bytes]) -> Callable[[Delivered], None]:
    def change(delivered: Delivered) -> None:
        key = which(delivered)[3]
        delivered[key] = replace(delivered[key], body=body(delivered[key].body))

    return change


def with_digest(edit: Callable[[dict[str, Any]], None]) -> Callable[[Delivered], None]:
    """The newest digest but one, changed and signed by CloudTrail's own key."""

    def change(delivered: Delivered) -> None:
        item = forged(digests(delivered)[-1], edit)
        metadata = {"signature": item.signature, "signature-algorithm": item.algorithm}
        delivered[item.key] = replace(delivered[item.key], body=item.body, metadata=metadata)

    return change


def name_a_log_twice(document: dict[str, Any]) -> None:
    document["logFiles"] = document["logFiles"] * 2


def without_a_log(delivered: Delivered) -> None:
    del delivered[logs_of(delivered)[3]]


def copied_to_another_name(delivered: Delivered) -> None:
    item = delivered[digest_keys(delivered)[2]]
    key = item.key[:-10] + "1Z" + item.key[-8:] if item.key[-10:-8] != "1Z" else item.key[:-10] + "2Z" + item.key[-8:]
    delivered[key] = replace(item, key=key)


def with_signature(delivered: Delivered) -> None:
    key = digest_keys(delivered)[3]
    delivered[key] = replace(delivered[key], metadata={**delivered[key].metadata, "signature": "00" * 256})


# What is done, what we name, and what `aws cloudtrail validate-logs` of 1.46.3 ends with.
CASES: dict[str, tuple[Callable[[Delivered], None], str, int]] = {
    "nothing": (lambda _: None, "", 0),
    "a log altered": (with_body(logs_of, lambda body: gzip.compress(gzip.decompress(body) + b" ")), "log_altered", 1),
    "a log deleted": (without_a_log, "log_missing", 1),
    "data after a log": (with_body(logs_of, lambda body: body + gzip.compress(b"x")), "trailing_data", 1),
    "a digest altered": (
        with_body(digest_keys, lambda body: gzip.compress(gzip.decompress(body) + b" ")),
        "signature_wrong",
        1,
    ),
    "a signature replaced": (with_signature, "signature_wrong", 1),
    "a digest deleted": (without(3), "digest_missing", 1),
    "two digests deleted": (without(3, 4), "digest_missing", 1),
    "the newest digests deleted": (without(-2, -1), "newest_missing", 0),
    "the hash of the predecessor wrong": (
        with_digest(lambda document: document.update(previousDigestHashValue="0" * 64)),
        "chain_broken",
        0,
    ),
    "the signature of the predecessor wrong": (
        with_digest(lambda document: document.update(previousDigestSignature="00" * 256)),
        "chain_broken",
        0,
    ),
    "the predecessor named in part": (
        with_digest(lambda document: document.update(previousDigestHashValue=None)),
        "malformed",
        0,
    ),
    "a log named twice": (with_digest(name_a_log_twice), "log_named_twice", 0),
    "a digest copied to another name": (copied_to_another_name, "digest_moved", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_we_find_what_the_aws_cli_finds_and_what_it_misses(
    moto: S3Server, make_client: MakeClient, cloudtrail: str, case: str
) -> None:
    tamper, ours, theirs = CASES[case]
    delivered = objects(HOURS)
    for key in audited(delivered).unnamed_after:
        del delivered[key]  # of the hour that is not over
    tamper(delivered)

    code, said = validated(moto, make_client, cloudtrail, delivered)

    assert code == theirs, said
    assert (ours in flaws(audited(delivered))) if ours else flaws(audited(delivered)) == set()


def test_the_manual_has_a_row_of_each_case() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    told = {"newest_missing": "`digest_missing`", "": "proved"}

    for case, (_, ours, theirs) in CASES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {case} |"))
        assert row.endswith(f"| {told.get(ours, f'`{ours}`')} |")
        assert ("**valid**" in row or "| valid |" in row) == (theirs == 0)
