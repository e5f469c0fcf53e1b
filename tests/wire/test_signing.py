"""Signatures: the same as botocore's at the same time, and nothing sent that could be read as another header."""

import datetime as dt
import string
from collections.abc import Iterator
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.aws.s3 import Address, Request, Side, query_string
from syncd.aws.wire import signing
from syncd.aws.wire.exchange import signed
from syncd.aws.wire.signing import Credentials, Signer

EVENING = dt.datetime(2026, 11, 27, 23, 59, 59, tzinfo=dt.UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
Headers = tuple[tuple[str, str], ...]


class Clock:
    """The time, for both signers."""

    now = EVENING

    def time(self) -> float:
        return self.now.timestamp()

    def utcnow(self) -> dt.datetime:
        return self.now.replace(tzinfo=None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(signing, "time", clock.time)
    for name, stand_in in {
        "datetime": SimpleNamespace(datetime=clock),
        "get_current_datetime": lambda *_, **__: clock.utcnow(),
    }.items():
        if hasattr(botocore.auth, name):
            monkeypatch.setattr(botocore.auth, name, stand_in)
    return clock


def request(key: str = "k", query: str = "", headers: Headers = (), body: bytes = b"", method: str = "GET") -> Request:
    return Request("Any", Side.SOURCE, method, key, query, headers, body)


def address(**more: Any) -> Address:
    return Address("https", "bucket.s3.eu-west-1.amazonaws.com", "", "eu-west-1")._replace(**more)


def by_botocore(
    request: Request, address: Address, credentials: Credentials, seen: Headers | None = None
) -> dict[str, str]:
    """Return the headers of botocore's request. `seen` are its headers if they are other text for the same bytes."""

    class Signing(S3SigV4Auth):
        def _should_sha256_sign_payload(self, _: Any) -> bool:
            return address.signs_payload

    url = f"{address.scheme}://{address.host}{address.base_path}/{quote(request.key, safe='/-._~')}"
    url = f"{url}?{request.query}" if request.query else url
    made = AWSRequest(request.method, url, dict(seen or request.headers), request.body)
    keys = BotocoreCredentials(*credentials[:2], credentials.session_token)
    Signing(keys, "s3", address.region).add_auth(made)
    return {name.lower(): value for name, value in made.headers.items()}


def by_us(request: Request, address: Address, credentials: Credentials, signer: Signer | None = None) -> dict[str, str]:
    return dict(signed(request, address, credentials, request.headers, signer or Signer())[1])


PLAIN = Credentials("AKIA1", SECRET, None, None)
SESSION = Credentials("ASIA1", SECRET, "IQoJb3JpZ2luX2Vj//+/==", 5.0)
# Whatever is white space to Python but not to HTTP is left out: botocore joins it, and servers do not.
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.just(" "), max_size=20)
NAMES = st.sampled_from(
    ["x-amz-meta-a", "x-amz-meta-a-b", "x-amz-meta-aa", "x-amz-meta", "content-type", "range", "if-match"]
)
PARAMETERS = st.text(st.sampled_from("aAbz-._~0"), min_size=1, max_size=3)


@st.composite
def queries(draw: st.DrawFn) -> str:
    pairs = draw(st.dictionaries(PARAMETERS, st.none() | st.text(max_size=5), max_size=5))
    return "&".join(name if value is None else query_string([(name, value)]) for name, value in pairs.items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    queries(),
    st.dictionaries(NAMES, TEXT),
    st.binary(max_size=5),
    st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    st.booleans(),
    st.sampled_from([PLAIN, SESSION]),
)
def test_a_signature_is_the_one_of_botocore(
    clock: Clock,
    key: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    method: str,
    signs_payload: bool,  # noqa: FBT001  # drawn
    credentials: Credentials,
) -> None:
    del clock
    asked = request(key, query, tuple(headers.items()), body, method)
    to = address(signs_payload=signs_payload)

    ours, expected = by_us(asked, to, credentials), by_botocore(asked, to, credentials)

    assert ours["authorization"] == expected["authorization"]
    assert {name: ours[name] for name in expected} == expected
    assert ours["host"] == to.host


ODD = {
    "nothing": request(""),
    "a parameter without a value": request(query="uploads"),
    "an empty value": request(query="tagging="),
    "parameters that begin alike": request(query="a=1&a-b=2&ab=3&a.b=4&A=5&a%2F=6"),
    "one parameter twice": request(query="a=2&a=1&a="),
    "an equals sign": request(query="prefix=a%3Db&x=%26"),
    "a value with doubled spaces": request(headers=(("x-amz-meta-a", "  a   b  "),)),
    "a value of spaces": request(headers=(("x-amz-meta-a", "   "),)),
    "a last value with a space after it": request(headers=(("x-amz-tagging", "a=b "),)),
    "a value with a space before it": request(headers=(("x-amz-meta-a", " b"),)),
    "an empty header": request(headers=(("x-amz-meta-a", ""),)),
    "a key of dots": request("../a/./b//c/"),
    "a key of an escape": request("a%2Fb+c d"),
    "a key that is a URL": request("http://h:1/?a#b"),
    "a key beyond ASCII": request("ü日本😀"),
    "a key with line breaks": request("a\r\nb\0"),
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("base", ["", "/bucket"])
def test_an_odd_request_is_signed_as_by_botocore(clock: Clock, what: str, base: str) -> None:
    del clock
    to = address(base_path=base, host="localhost:9000", scheme="http")

    ours, expected = by_us(ODD[what], to, SESSION), by_botocore(ODD[what], to, SESSION)

    assert ours["authorization"] == expected["authorization"]


def test_bytes_beyond_ascii_are_signed_as_they_are_sent(clock: Clock) -> None:
    """A value that came as UTF-8 is told byte by byte, and sent so."""
    del clock
    text = "ü 日本"
    sent = request(headers=(("x-amz-meta-a", text.encode().decode("latin-1")),))

    ours, expected = by_us(sent, address(), PLAIN), by_botocore(sent, address(), PLAIN, (("x-amz-meta-a", text),))

    assert ours["authorization"] == expected["authorization"]


def test_the_next_day_has_another_key_and_each_credentials_their_own(clock: Clock) -> None:
    signer = Signer()
    seen = set()
    for seconds in (0, 1, 0, 86_400):
        clock.now = EVENING + dt.timedelta(seconds=seconds)
        for credentials in (PLAIN, SESSION, PLAIN._replace(secret_access_key="another")):
            for region in ("eu-west-1", "us-east-1"):
                to = address(region=region)
                ours = by_us(request(), to, credentials, signer)["authorization"]
                assert ours == by_botocore(request(), to, credentials)["authorization"]
                seen.add(ours)
    assert len(seen) == 3 * 3 * 2


def test_a_body_that_somebody_else_sends_is_signed_by_its_hash(clock: Clock) -> None:
    del clock
    to = address(signs_payload=True)
    expected = by_botocore(request(body=b"body", method="PUT"), to, PLAIN)

    _, headers = signed(request(method="PUT"), to, PLAIN, (), Signer(), sha256(b"body").hexdigest())

    assert dict(headers)["authorization"] == expected["authorization"]


BREAKS = ["\r\nx: y", "\n", "\r", "\0", "\n\n", "a\nb\nc"]


@pytest.mark.parametrize("odd", BREAKS)
@pytest.mark.parametrize("where", ["header", "name", "host", "query", "base path", "token"])
def test_what_would_be_another_line_is_refused(where: str, odd: str) -> None:
    asked, to, credentials = request(), address(), SESSION
    match where:
        case "header":
            asked = request(headers=(("x-amz-meta-a", f"a{odd}"), ("x-amz-meta-b", "b")))
        case "name":
            asked = request(headers=((f"x-amz-meta-a{odd}", "a"),))
        case "host":
            to = address(host=f"localhost{odd}")
        case "query":
            asked = request(query=f"prefix=a{odd}")
        case "base path":
            to = address(base_path=f"/bucket{odd}")
        case "token":
            credentials = SESSION._replace(session_token=f"token{odd}")

    with pytest.raises(ValueError, match="line break"):
        by_us(asked, to, credentials)


@pytest.mark.parametrize("odd", [" ", "ü", "\x7f", "\t"])
def test_a_target_of_more_than_one_word_is_refused(odd: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        by_us(request(query=f"prefix=a{odd}b"), address(), PLAIN)


@given(st.text(string.printable + "ü\0", max_size=8))
def test_whatever_a_key_is_a_target_is_one_word(key: str) -> None:
    path, _ = signed(request(key), address(), PLAIN, (), Signer())

    assert path.isascii()
    assert path.isprintable()
    assert " " not in path


def test_a_character_that_no_header_has_is_refused() -> None:
    with pytest.raises(ValueError, match="latin-1"):
        by_us(request(headers=(("x-amz-meta-a", "日本"),)), address(), PLAIN)
