"""The faults do what they say: each is seen through a client that has no part in making it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from builders_copy import address_of, sha256_of
from certificates import Authority
from faulty import (
    Call,
    CorruptBody,
    DropConnection,
    ErrorIn200,
    FaultyS3,
    Request,
    ShortBody,
    Slow,
    Stall,
    Status,
    WithoutHeaders,
    WrongChecksum,
    on,
)
from servers import MakeClient
from waiting import wait_until

from syncd.aws.s3 import Answer, Side
from syncd.aws.s3 import Request as Asked
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials

BUCKET = "bucket"


@pytest.fixture
def client(faulty: FaultyS3, make_client: MakeClient) -> Any:
    return client_of(faulty, make_client)


def client_of(faulty: FaultyS3, make_client: MakeClient, **config: Any) -> Any:
    faulty.create_bucket(BUCKET)
    faulty.put(BUCKET, "k", b"body", checksum_algorithm="sha256")
    keys = faulty.add_user("111111111111")
    return make_client(faulty.url, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key, **config)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def read(client: Any, key: str = "k") -> bytes:
    with closing(client.get_object(Bucket=BUCKET, Key=key)["Body"]) as stream:
        content: bytes = stream.read()
    return content


def code_of(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], str(response["Error"]["Code"])


def test_a_status_is_answered_as_often_as_was_said(faulty: FaultyS3, client: Any) -> None:
    fault = faulty.faults.add("GetObject", Status(503, "SlowDown"), times=2)

    codes = [code_of(lambda: read(client)) for _ in range(2)]

    assert codes == [(503, "SlowDown")] * 2
    assert read(client) == b"body"
    assert fault.hits == 2


def test_a_fault_befalls_only_what_it_is_meant_for(faulty: FaultyS3, client: Any) -> None:
    faulty.put(BUCKET, "other", b"other")

    faulty.faults.add(on("GetObject", bucket=BUCKET, key="k"), Status(403, "AccessDenied"))

    assert code_of(lambda: read(client)) == (403, "AccessDenied")
    assert read(client, "other") == b"other"


def test_a_removed_fault_is_healed(faulty: FaultyS3, client: Any) -> None:
    fault = faulty.faults.add("GetObject", Status(500, "InternalError"))

    faulty.faults.remove(fault)

    assert read(client) == b"body"


def test_an_applied_status_hides_that_the_write_was_done(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("PutObject", Status(500, "InternalError", is_applied=True))

    code = code_of(lambda: client.put_object(Bucket=BUCKET, Key="new", Body=b"new"))

    assert code == (500, "InternalError")
    assert faulty.get(BUCKET, "new").body == b"new"


def test_a_dropped_connection_is_no_answer_and_nothing_is_done(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("PutObject", DropConnection())

    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=BUCKET, Key="new", Body=b"new")

    assert faulty.keys(BUCKET) == ["k"]


def test_a_connection_dropped_after_the_write_leaves_it_done(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("PutObject", DropConnection(is_applied=True))

    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=BUCKET, Key="new", Body=b"new")

    assert faulty.keys(BUCKET) == ["k", "new"]


def test_a_stalled_request_is_never_answered(faulty: FaultyS3, make_client: MakeClient) -> None:
    client = client_of(faulty, make_client, read_timeout=0.5)
    faulty.faults.add("GetObject", Stall())

    with pytest.raises(ReadTimeoutError):
        read(client)


def test_a_request_stalled_until_an_event_goes_on_after_it(
    faulty: FaultyS3, make_client: MakeClient, threads: ThreadPoolExecutor
) -> None:
    faulty.create_bucket(BUCKET)
    faulty.put(BUCKET, "k", b"body")
    keys = faulty.add_user("111111111111")
    client = make_client(faulty.url, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    reading = threads.submit(read, client)
    wait_until(lambda: fault.hits == 1, what="the request")

    was_done = reading.done()
    go_on.set()

    assert not was_done
    assert reading.result() == b"body"


def test_a_slow_answer_is_the_right_one(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("GetObject", Slow(0.05))

    assert read(client) == b"body"


def test_a_short_body_ends_before_its_announced_length(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("GetObject", ShortBody(2))

    with pytest.raises(ResponseStreamingError):
        read(client)


def test_a_corrupt_body_does_not_match_its_checksum(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("GetObject", CorruptBody())

    with pytest.raises(FlexibleChecksumError):
        read(client)


def test_a_wrong_checksum_does_not_match_the_body(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("GetObject", WrongChecksum())

    with pytest.raises(FlexibleChecksumError):
        read(client)


def test_checksums_are_left_out(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("HeadObject", WithoutHeaders())

    head = client.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")

    assert "ChecksumSHA256" not in head


def test_an_error_comes_within_a_200(faulty: FaultyS3, client: Any) -> None:
    faulty.faults.add("CopyObject", ErrorIn200())
    source = {"Bucket": BUCKET, "Key": "k"}

    code = code_of(lambda: client.copy_object(Bucket=BUCKET, Key="new", CopySource=source))

    assert code[1] == "InternalError"
    assert faulty.keys(BUCKET) == ["k"]


def test_a_hook_is_called_before_the_answer(faulty: FaultyS3, client: Any) -> None:
    def replace_object(request: Request) -> None:
        faulty.put(request.bucket, request.key, b"changed")

    faulty.faults.add("GetObject", Call(replace_object), times=1)

    assert read(client) == b"changed"


def test_a_fault_after_a_hook_still_befalls(faulty: FaultyS3, client: Any) -> None:
    called: list[str] = []
    faulty.faults.add("GetObject", Call(lambda request: called.append(request.key)))
    faulty.faults.add("GetObject", Status(503, "SlowDown"))

    assert code_of(lambda: read(client)) == (503, "SlowDown")
    assert called == ["k"]


def test_every_request_is_recorded_in_order(faulty: FaultyS3, client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="a b/ü", Body=b"1", Metadata={"m": "v"})
    client.list_objects_v2(Bucket=BUCKET, Prefix="a b/")

    put, listing = faulty.requests
    assert (put.operation, put.bucket, put.key, put.size_bytes) == ("PutObject", BUCKET, "a b/ü", 1)
    assert put.headers["x-amz-meta-m"] == "v"
    assert (listing.operation, listing.query["prefix"]) == ("ListObjectsV2", "a b/")
    assert (put.number, listing.number) == (1, 2)
    assert faulty.count("PutObject") == 1


def test_the_most_requests_at_once_are_counted(faulty: FaultyS3, client: Any, threads: ThreadPoolExecutor) -> None:
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    readings = [threads.submit(read, client) for _ in range(3)]
    wait_until(lambda: fault.hits == 3, what="three requests")

    go_on.set()

    assert [reading.result() for reading in readings] == [b"body"] * 3
    assert faulty.peak_in_flight == 3


def test_an_archived_object_is_listed_but_not_read(faulty: FaultyS3, client: Any) -> None:
    faulty.put(BUCKET, "k", b"body", storage_class="GLACIER")

    (item,) = client.list_objects_v2(Bucket=BUCKET)["Contents"]

    assert item["StorageClass"] == "GLACIER"
    assert code_of(lambda: read(client)) == (403, "InvalidObjectState")


def test_the_time_of_an_object_can_be_set(faulty: FaultyS3, client: Any) -> None:
    then = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    faulty.put(BUCKET, "k", b"body", last_modified=then)

    (item,) = client.list_objects_v2(Bucket=BUCKET)["Contents"]

    assert item["LastModified"] == then
    assert client.head_object(Bucket=BUCKET, Key="k")["LastModified"] == then


def test_two_checksums_at_once_are_refused(faulty: FaultyS3, client: Any) -> None:
    call = {"Bucket": BUCKET, "Key": "new", "Body": b"", "ChecksumSHA256": "x", "ChecksumCRC32": "y"}

    code = code_of(lambda: client.put_object(**call))

    assert code == (400, "InvalidRequest")
    assert faulty.keys(BUCKET) == ["k"]


def test_a_locked_bucket_takes_no_upload_that_is_not_summed_and_keeps_what_it_took(faulty: FaultyS3) -> None:
    bucket = faulty.create_bucket("locked")
    bucket.default_retention = ("COMPLIANCE", 7)
    keys = faulty.add_user("111111111111")
    address = address_of(faulty.url, "locked")
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, None, None)
    answers = []

    for headers in ((), (("x-amz-checksum-sha256", sha256_of(b"body")),)):
        answer: Future[Answer] = Future()
        request = Asked("PutObject", Side.DESTINATION, "PUT", "k", "", headers, b"body")
        Transport().send(request, address, credentials, answer.set_result)
        answers.append(answer.result(30))

    assert [answer.code for answer in answers] == ["InvalidRequest", ""]
    assert faulty.get("locked", "k").system["x-amz-object-lock-mode"] == "COMPLIANCE"


def test_a_thousand_and_one_keys_take_two_pages(faulty: FaultyS3, client: Any) -> None:
    for number in range(1000):
        faulty.put(BUCKET, f"n/{number:04}", b"")

    pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET))

    assert [page["KeyCount"] for page in pages] == [1000, 1]


def test_start_after_filters_common_prefixes_that_are_not_behind_it(faulty: FaultyS3, client: Any) -> None:
    for key in ("a/1", "a/2", "b/1"):
        faulty.put(BUCKET, key, b"")

    page = client.list_objects_v2(Bucket=BUCKET, Delimiter="/", StartAfter="a/1")

    assert [item["Prefix"] for item in page["CommonPrefixes"]] == ["b/"]


def test_the_server_ends_while_a_request_is_stalled(make_client: MakeClient, threads: ThreadPoolExecutor) -> None:
    with FaultyS3() as server:
        server.create_bucket(BUCKET)
        keys = server.add_user("111111111111")
        client = make_client(server.url, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
        fault = server.faults.add("GetObject", Stall())
        reading = threads.submit(read, client)
        wait_until(lambda: fault.hits == 1, what="the request")

    assert isinstance(reading.exception(), ConnectionClosedError)


def test_the_server_ends_while_tls_waits_for_a_client_that_says_nothing(tmp_path: Path) -> None:
    with FaultyS3(certificate=Authority(tmp_path).certificate()) as server:
        client = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
        http: Any = server._http
        wait_until(lambda: {type(each) for each in http._connections} == {ssl.SSLSocket}, what="TLS")

    with client:
        assert client.recv(1) == b""
