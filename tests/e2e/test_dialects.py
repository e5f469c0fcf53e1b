"""Servers that write ETags and keys in other ways than S3: an object is copied once, and stays copied."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Answer, Request, Rewritten, Status
from stage import Stage

READS = ("GetObject", "HeadObject")


def in_listings(change: Callable[[bytes], bytes]) -> tuple[Callable[[Request], bool], Rewritten]:
    """A fault that changes the document of every listing."""
    return (
        lambda request: request.operation == "ListObjectsV2",
        Rewritten(lambda answer: replace(answer, body=change(answer.body))),
    )


def in_headers(change: Callable[[str], str]) -> tuple[Callable[[Request], bool], Rewritten]:
    """A fault that changes the ETag header of every answer."""

    def changed(answer: Answer) -> Answer:
        headers = {name: change(value) if name == "etag" else value for name, value in answer.headers.items()}
        return replace(answer, headers={name: value for name, value in headers.items() if value})

    return lambda request: request.operation in (*READS, "PutObject"), Rewritten(changed)


def weak_listing(body: bytes) -> bytes:
    return body.replace(b"<ETag>&quot;", b"<ETag>W/&quot;")


def upper_listing(body: bytes) -> bytes:
    return re.sub(
        rb"<ETag>[^<]*", lambda found: found[0].replace(b"&quot;", b'"').upper().replace(b"<ETAG", b"<ETag"), body
    )


def without_etags(body: bytes) -> bytes:
    return re.sub(rb"<ETag>[^<]*</ETag>", b"", body)


def with_numeric_quotes(body: bytes) -> bytes:
    return body.replace(b"&quot;", b"&#34;")


def with_namespaces_in_rows(body: bytes) -> bytes:
    return body.replace(b"<Contents>", b'<Contents xmlns="http://example.com/of-rows">')


REFUSED_CONDITIONS = (
    lambda request: request.operation in READS and "if-match" in request.headers,
    Status(412, "PreconditionFailed"),
)

DIALECTS = {
    "weak ETags in listings": [in_listings(weak_listing)],
    "weak ETags in headers": [in_headers(lambda etag: f"W/{etag}")],
    "weak ETags everywhere, which no condition matches": [
        REFUSED_CONDITIONS,
        in_listings(weak_listing),
        in_headers(lambda etag: f"W/{etag}"),
    ],
    "ETags in upper case in listings, which no condition matches": [REFUSED_CONDITIONS, in_listings(upper_listing)],
    "numeric references for quotes": [in_listings(with_numeric_quotes)],
    "rows in a namespace of their own": [in_listings(with_namespaces_in_rows)],
    "ETags without quotes in headers": [in_headers(lambda etag: etag.strip('"'))],
    "no ETags in listings": [in_listings(without_etags)],
    "no ETags in headers": [in_headers(lambda _: "")],
    "no ETags at all": [in_listings(without_etags), in_headers(lambda _: "")],
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_object_is_copied_once_whatever_its_etag_looks_like(stage: Stage, now: datetime, dialect: str) -> None:
    stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=2), number) for number in range(3))
    for is_meant, action in DIALECTS[dialect]:
        stage.server.faults.add(is_meant, action)
    stage.job(changes={"listing.audit": "1s"})

    first = stage.syncd("tick", "--json")
    checked = stage.syncd("check", "--json")
    stage.server.forget_requests()
    second = stage.syncd("tick", "--json")

    assert (first.code, first.job["copied"], first.job["failed"]) == (0, 3, [])
    assert (second.code, second.job["copied"], second.job["already_there"], second.job["restored"]) == (0, 0, 0, 0)
    assert stage.requests("GetObject", "PutObject", "HeadObject") == 0
    assert stage.replica() == stage.source()
    assert checked.code == 0, [check for check in checked.job["checks"] if check["status"] == "failed"]


def test_an_object_that_did_change_is_still_told_from_one_that_did_not(stage: Stage, now: datetime) -> None:
    (key,) = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=2))])

    def changed(answer: Answer) -> Answer:
        return replace(answer, headers={**answer.headers, "etag": '"another"'})

    stage.server.faults.add(
        lambda request: request.operation == "GetObject", Status(412, "PreconditionFailed"), times=1
    )
    stage.server.faults.add(lambda request: request.operation == "GetObject", Rewritten(changed))
    stage.job()

    ran = stage.syncd("tick", "--json")

    assert [(failed["key"], failed["reason"]) for failed in ran.job["failed"]] == [(key, "object_changed")]
    assert stage.replica() == {}


PLAIN = "logs/a+b", "logs/c d", "logs/e%f", "logs/ü"


def quoted(plus: bytes, space: bytes) -> Callable[[bytes], bytes]:
    """Keys as servers write them that take a plus for one thing or another."""
    return lambda body: body.replace(b"+", b"\0").replace(b"%2B", plus).replace(b"\0", space)


SERVERS = {
    "as S3": quoted(b"%2B", b"+"),
    "as S3, in lower case": lambda body: re.sub(rb"%[0-9A-F]{2}", lambda found: found[0].lower(), body),
    "with %20 for a space": quoted(b"%2B", b"%20"),
    "with a plus as it is": quoted(b"+", b"%20"),
    "with a plus for both": quoted(b"+", b"+"),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("keys", [PLAIN, PLAIN[:1], PLAIN[1:2], PLAIN[:2], PLAIN[2:]])
def test_a_plus_in_a_listing_is_understood(stage: Stage, now: datetime, server: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        stage.server.put(stage.world.bucket, key, key.encode(), last_modified=now - timedelta(hours=2))
    stage.server.faults.add(
        lambda request: request.operation == "ListObjectsV2" and request.query.get("encoding-type") == "url",
        Rewritten(lambda answer: replace(answer, body=SERVERS[server](answer.body))),
    )
    stage.job(changes={"source.layout": "flat", "source.prefix": "logs/", "source.kinds": None, "source.regions": None})

    first, second = stage.syncd("tick", "--json"), stage.syncd("tick", "--json")

    assert (first.code, first.job["copied"], first.job["failed"]) == (0, len(keys), []), first.job
    assert (second.code, second.job["copied"], second.job["failed"]) == (0, 0, [])
    assert set(stage.replica()) == set(keys)
