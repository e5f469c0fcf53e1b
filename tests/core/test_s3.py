"""S3's wire format: requests as S3 wants them, answers taken apart, and what is no answer refused."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.aws.pages.page import ListingPage, parse_listing
from syncd.aws.s3 import (
    Answer,
    MalformedAnswer,
    Side,
    complete_body,
    error_of,
    list_objects,
    query_string,
    quote_key,
    text_of,
)
from syncd.model.objects import LogObject

S3 = "http://s3.amazonaws.com/doc/2006-03-01/"
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)


def contents(key: str, **changes: str) -> str:
    fields = {
        "Key": key,
        "LastModified": "2026-11-24T08:05:00.000Z",
        "ETag": "&quot;d41d8cd98f00b204e9800998ecf8427e&quot;",
        "Size": "17",
        "StorageClass": "STANDARD",
        **changes,
    }
    return "<Contents>" + "".join(f"<{name}>{text}</{name}>" for name, text in fields.items() if text) + "</Contents>"


def document(*parts: str, namespace: str = S3, encoding: str = "url", head: str = "") -> bytes:
    space = f' xmlns="{namespace}"' if namespace else ""
    told = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    body = f"<ListBucketResult{space}><Name>b</Name><Prefix/>{told}{head}{''.join(parts)}</ListBucketResult>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()


def keys(listing: ListingPage) -> list[str]:
    return [item.key for item in listing.objects]


# Listing: the question


def test_a_listing_asks_for_a_thousand_keys_of_the_prefix_encoded() -> None:
    request = list_objects(Side.SOURCE, "AWSLogs/a b+c/")

    assert (request.operation, request.method, request.key, request.body) == ("ListObjectsV2", "GET", "", b"")
    assert dict(parse_qsl(request.query.replace("+", "%2B"))) == {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": "1000",
        "prefix": "AWSLogs/a b+c/",
    }
    assert request.headers == ()


def test_a_listing_may_begin_after_a_key_go_on_and_stop_at_slashes() -> None:
    request = list_objects(Side.SOURCE, "p/", start_after="p/a", token="t+/=", delimiter="/")

    asked = dict(parse_qsl(request.query))
    assert (asked["start-after"], asked["continuation-token"], asked["delimiter"]) == ("p/a", "t+/=", "/")


def test_parameters_are_in_the_order_that_signing_wants() -> None:
    names = [pair.partition("=")[0] for pair in list_objects(Side.SOURCE, "p", start_after="s").query.split("&")]

    assert names == sorted(names)


@given(key=st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_key_is_escaped_once_and_its_slashes_are_kept(key: str) -> None:
    quoted = quote_key(key)

    assert unquote(quoted) == key
    assert quoted.isascii()
    assert quoted.count("/") == key.count("/")


@pytest.mark.parametrize(
    ("key", "quoted"),
    [
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a%20b", "a%2520b"),
        ("a//b/./../c", "a//b/./../c"),
        ("/a", "/a"),
        ("-._~", "-._~"),
        ("é?#&=;", "%C3%A9%3F%23%26%3D%3B"),
        ("a\nb", "a%0Ab"),
    ],
)
def test_a_key_in_a_path_is_neither_normalised_nor_cut(key: str, quoted: str) -> None:
    assert quote_key(key) == quoted


@given(pairs=st.lists(st.tuples(st.sampled_from(["prefix", "uploadId"]), st.text(st.characters(codec="utf-8")))))
def test_a_query_is_read_back_as_it_was_meant(pairs: list[tuple[str, str]]) -> None:
    query = query_string(pairs)

    assert parse_qsl(query, keep_blank_values=True) == pairs
    assert "+" not in query


# Listing: the answer


def test_an_object_is_read_with_all_that_is_told_of_it() -> None:
    listing = parse_listing(document(contents("logs/a", StorageClass="GLACIER")))

    arrived = datetime(2026, 11, 24, 8, 5, tzinfo=UTC).timestamp()
    assert listing == ListingPage(
        [LogObject("logs/a", "d41d8cd98f00b204e9800998ecf8427e", 17, arrived, "GLACIER")], [], ""
    )


def test_an_empty_bucket_has_no_objects() -> None:
    assert parse_listing(document()) == ListingPage([], [], "")


@given(names=st.lists(KEYS, max_size=5))
def test_encoded_keys_are_read_as_they_were(names: list[str]) -> None:
    answer = document(*(contents(escape(quote_plus(name, safe="/"))) for name in names))

    assert keys(parse_listing(answer)) == names


@given(names=st.lists(KEYS, max_size=5))
def test_keys_that_are_not_encoded_are_read_as_they_are(names: list[str]) -> None:
    answer = document(*(contents(escape(name)) for name in names), encoding="")

    assert keys(parse_listing(answer)) == names


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("a%252Bb", "a%2Bb"),
        ("%C3%BC%F0%9F%98%80", "ü😀"),
        ("a%0Ab", "a\nb"),
    ],
)
def test_an_encoded_key_is_decoded_once(written: str, key: str) -> None:
    assert keys(parse_listing(document(contents(written)))) == [key]


@pytest.mark.parametrize("namespace", ["", S3, "https://s3.example.com/another/"])
def test_any_namespace_is_as_good(namespace: str) -> None:
    head = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    prefixes = "<CommonPrefixes><Prefix>logs/</Prefix></CommonPrefixes>"

    listing = parse_listing(document(contents("a"), prefixes, namespace=namespace, head=head))

    assert (keys(listing), listing.prefixes, listing.next_token) == (["a"], ["logs/"], "t")


def test_common_prefixes_are_decoded_too_and_the_listings_own_prefix_is_none_of_them() -> None:
    prefixes = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in ("a+b/", "%C3%BC/"))

    assert parse_listing(document(prefixes)).prefixes == ["a b/", "ü/"]


def test_a_listing_that_is_not_truncated_ends_whatever_token_it_names() -> None:
    head = "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>"

    assert parse_listing(document(head=head)).next_token == ""


@pytest.mark.parametrize("token", ["", "<NextContinuationToken/>", "<NextContinuationToken></NextContinuationToken>"])
def test_a_truncated_listing_without_a_token_is_malformed_and_no_end(token: str) -> None:
    with pytest.raises(MalformedAnswer, match="truncated"):
        parse_listing(document(contents("a"), head=f"<IsTruncated>true</IsTruncated>{token}"))


def test_a_truncated_page_may_be_empty() -> None:
    head = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"

    assert parse_listing(document(head=head)) == ListingPage([], [], "t")


@pytest.mark.parametrize("storage_class", ["", "DEEP_ARCHIVE"])
def test_an_object_without_a_storage_class_is_of_the_standard_one(storage_class: str) -> None:
    (item,) = parse_listing(document(contents("a", StorageClass=storage_class))).objects

    assert item.storage_class == (storage_class or "STANDARD")


def test_an_object_without_an_etag_is_taken() -> None:
    (item,) = parse_listing(document(contents("a", ETag=""))).objects

    assert item.etag == ""


@pytest.mark.parametrize(
    "moment",
    ["2026-11-24T08:05:00.000Z", "2026-11-24T08:05:00Z", "2026-11-24T10:05:00+02:00", "2026-11-24T08:05:00.000000Z"],
)
def test_a_time_is_read_however_it_is_written(moment: str) -> None:
    (item,) = parse_listing(document(contents("a", LastModified=moment))).objects

    assert item.last_modified == datetime(2026, 11, 24, 8, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"\xff\xfe\x00",
        b"<html><body>It works!</body></html>",
        b"<ListBucketResult><Contents>",
        b"<ListAllMyBucketsResult/>",
        b"<Error><Code>SlowDown</Code></Error>",
        document(contents("")),
        document(contents("a", Size="")),
        document(contents("a", Size="many")),
        document(contents("a", LastModified="")),
        document(contents("a", LastModified="yesterday")),
    ],
)
def test_what_is_no_listing_is_malformed_and_never_an_empty_one(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        parse_listing(body)


@given(body=st.binary(max_size=200))
def test_garbage_is_malformed_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        parse_listing(body)


@given(cut=st.integers(min_value=0))
def test_half_a_listing_is_malformed(cut: int) -> None:
    whole = document(*(contents(f"logs/{number}") for number in range(3)))

    with pytest.raises(MalformedAnswer):
        parse_listing(whole[: cut % len(whole)])


def test_entities_are_not_expanded_without_bound() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "x">{levels}]><ListBucketResult>&l9;</ListBucketResult>'

    with pytest.raises(MalformedAnswer):
        parse_listing(bomb.encode())


# Errors


def error(code: str = "SlowDown", message: str = "Please reduce your request rate.", namespace: str = "") -> bytes:
    space = f' xmlns="{namespace}"' if namespace else ""
    text = f"<Error{space}><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


@pytest.mark.parametrize("namespace", ["", S3])
def test_an_error_document_tells_code_and_message(namespace: str) -> None:
    assert error_of(error(namespace=namespace)) == ("SlowDown", "Please reduce your request rate.")


@pytest.mark.parametrize("padding", [b" ", b"\n  \r\n", b"\n" * 1000])
def test_an_error_behind_the_spaces_that_keep_a_connection_open_is_told(padding: bytes) -> None:
    assert error_of(padding + error()) == ("SlowDown", "Please reduce your request rate.")


def test_an_error_without_a_code_is_still_an_error() -> None:
    assert error_of(b"<Error/>") == ("Unknown", "")


@pytest.mark.parametrize("body", [b"", b"plain text", b"<Error", b"<Error>", b"<html>", document(contents("a"))])
def test_what_is_no_error_document_tells_nothing(body: bytes) -> None:
    assert error_of(body) == ("", "")


@given(body=st.binary(max_size=100))
def test_no_body_is_an_exception(body: bytes) -> None:
    error_of(body)
    error_of(b"<Error" + body)


@pytest.mark.parametrize(
    ("answer", "is_ok"),
    [
        (Answer(200, {}, b""), True),
        (Answer(206, {}, b""), True),
        (Answer(204, {}, b""), True),
        (Answer(200, {}, b"", "InternalError"), False),
        (Answer(304, {}, b""), False),
        (Answer(404, {}, b"", "NoSuchKey"), False),
        (Answer(0, {}, b"", "timeout"), False),
    ],
)
def test_an_answer_is_good_where_the_status_says_so_and_no_error_is_in_it(answer: Answer, *, is_ok: bool) -> None:
    assert answer.is_ok is is_ok


# Uploads


@pytest.mark.parametrize("namespace", ["", f' xmlns="{S3}"'])
def test_the_upload_id_is_read(namespace: str) -> None:
    body = f"<InitiateMultipartUploadResult{namespace}><UploadId>a+b/=</UploadId></InitiateMultipartUploadResult>"

    assert text_of(body.encode(), "InitiateMultipartUploadResult", "UploadId") == "a+b/="


@pytest.mark.parametrize("body", [b"", b"<x/>", b"<InitiateMultipartUploadResult/>"])
def test_an_answer_without_what_is_asked_of_it_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        text_of(body, "InitiateMultipartUploadResult", "UploadId")


def test_a_result_behind_such_spaces_is_read() -> None:
    body = b"\n \n<CopyPartResult><ETag>&quot;x&quot;</ETag></CopyPartResult>"

    assert text_of(body, "CopyPartResult", "ETag") == '"x"'


def test_a_part_without_a_checksum_is_named_without() -> None:
    assert b"Checksum" not in complete_body([("etag", "")], "SHA256")


@pytest.mark.parametrize("count", [1, 2, 10_000])
def test_a_completed_upload_names_every_part_in_order(count: int) -> None:
    parts: Sequence[tuple[str, str]] = [(f"etag-{number}", f"sum+{number}=") for number in range(1, count + 1)]

    body = complete_body(parts, "SHA256").decode()

    assert body.count("<Part>") == count
    numbers = [int(piece.partition("<")[0]) for piece in body.split("<PartNumber>")[1:]]
    assert numbers == list(range(1, count + 1))
    assert f"<ETag>&quot;etag-{count}&quot;</ETag><ChecksumSHA256>sum+{count}=</ChecksumSHA256>" in body
