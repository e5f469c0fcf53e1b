"""Probes are made so that S3 allows or denies them, and keeps nothing of them."""

import base64
import hashlib
from collections import Counter
from typing import Any

import pytest

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Address, Answer, Request, Side
from syncd.check import probe
from syncd.check.reach import _service_address


def end(address: Address) -> Endpoint:
    nothing: Any = None
    return Endpoint("trail", "111111111111", address, nothing, nothing, Counter())


def answer(status: int, code: str = "", body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, code)


def header(request: Request, name: str) -> str:
    return dict(request.headers)[name]


def test_a_write_probe_contradicts_its_digest_and_would_overwrite_nothing() -> None:
    request = probe.write_probe(Side.DESTINATION, "k", [("x-amz-storage-class", "STANDARD_IA")])

    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    assert header(request, "x-amz-checksum-sha256") != digest
    assert header(request, "if-none-match") == "*"
    assert header(request, "x-amz-storage-class") == "STANDARD_IA"


def test_a_copy_probe_has_a_condition_that_no_object_meets() -> None:
    source = end(Address("https", "s3.us-east-1.amazonaws.com", "/trail", "us-east-1"))

    request = probe.copy_probe(source, "a b/ü", "k")

    assert header(request, "x-amz-copy-source") == "/trail/a%20b/%C3%BC"
    assert header(request, "x-amz-copy-source-if-match") == '"syncd-check"'
    assert header(request, "x-amz-source-expected-bucket-owner") == "111111111111"


def test_a_delete_probe_has_a_condition_that_no_object_meets() -> None:
    request = probe.delete_probe("k")

    assert header(request, "if-match") == '"syncd-check"'


def test_no_two_probes_share_a_key() -> None:
    keys = {probe.probe_key("AWSLogs/") for _ in range(100)}

    assert len(keys) == 100
    assert all(key.startswith("AWSLogs/syncd-check-") for key in keys)


@pytest.mark.parametrize(
    ("told", "region"),
    [
        (answer(200, x_amz_bucket_region="eu-west-1"), "eu-west-1"),
        (answer(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"), "eu-west-1"),
        (answer(400, "AuthorizationHeaderMalformed", b"<Error><Region>eu-west-1</Region></Error>"), "eu-west-1"),
        (answer(403, "AccessDenied"), None),
    ],
)
def test_the_region_is_read_off_any_answer_that_tells_it(told: Answer, region: str | None) -> None:
    assert probe.region_told(told) == region


@pytest.mark.parametrize(
    "code", ["InvalidObjectState", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "ExpiredToken"]
)
def test_a_403_is_not_always_for_want_of_permission(code: str) -> None:
    assert not probe.is_denied(answer(403, code))
    assert probe.is_denied(answer(403, "AccessDenied"))
    assert probe.is_denied(answer(403, "403"))


@pytest.mark.parametrize(
    ("address", "service"),
    [
        (
            Address("https", "trail.s3.us-east-1.amazonaws.com", "", "us-east-1"),
            Address("https", "s3.us-east-1.amazonaws.com", "", "us-east-1"),
        ),
        (
            Address("http", "127.0.0.1:9000", "/base/trail", "us-east-1"),
            Address("http", "127.0.0.1:9000", "/base", "us-east-1"),
        ),
    ],
)
def test_the_list_of_buckets_is_asked_of_the_service_itself(address: Address, service: Address) -> None:
    assert _service_address(end(address)) == service
