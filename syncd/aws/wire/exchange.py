"""One request under way: what each attempt sends, what came of it, and whether another attempt may help."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from random import uniform
from time import monotonic

import pycurl

from syncd.aws.s3 import Address, Answer, Request, error_of, quote_key
from syncd.aws.wire.handles import Handle
from syncd.aws.wire.signing import UNSIGNED, Credentials, Signer
from syncd.model.reasons import Reason
from syncd.model.shortage import SPENT

LISTING_BYTES = 4 * 1024**2
"""The largest page: a thousand rows with keys of 1,024 bytes, each written as %XX, have 3.4 MB."""
ANSWER_BYTES = 64 * 1024
"""The largest other answer but an object's body. S3's own have a few kilobytes."""
# A request is sent so many times at the most, a second time after up to half a second, and so on in doubles: "full
# jitter" ("Retry behavior", AWS SDKs and Tools Reference Guide).
_ATTEMPTS = 6
_BACKOFF_SECONDS = 0.5
_PASSING_STATUSES = frozenset({500, 502, 503, 504})
_PASSING_CODES = frozenset({"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
# What came of an attempt without an answer, but what another attempt cannot better.
_PASSING_WORDS = frozenset({Reason.CONNECTION, Reason.RESOURCE_LIMIT})
_UNTRUSTED = frozenset({pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_ISSUER_ERROR})
# Operations whose headers nobody needs if they succeed.
_HEADERS_UNREAD = frozenset({"CopyObject", "ListObjectsV2"})
# How long it took is another number each time, and messages are compared.
_TOOK = re.compile(r" after \d+ (ms|milliseconds)\b")

Headers = Sequence[tuple[str, str]]


class Exchange:
    """One request under way, for one hearer of its answer."""

    __slots__ = (
        "_attempts",
        "_credentials",
        "_headers",
        "_on_answer",
        "address",
        "allowed_seconds",
        "deadline",
        "handle",
        "request",
    )

    def __init__(
        self,
        request: Request,
        address: Address,
        credentials: Credentials,
        more_headers: Headers,
        on_answer: Callable[[Answer], None],
        allowed_seconds: float,
    ) -> None:
        self.request = request
        self.address = address
        self._credentials = credentials
        self._headers = (*request.headers, *more_headers)
        self._on_answer: Callable[[Answer], None] | None = on_answer
        self.allowed_seconds = allowed_seconds
        self.deadline = monotonic() + allowed_seconds
        """The monotonic time at which it is given up, attempts included."""
        self.handle: Handle | None = None
        """The handle of the attempt under way."""
        self._attempts = 0

    @property
    def is_over(self) -> bool:
        """True if its answer was handed over."""
        return self._on_answer is None

    def ask(self, handle: Handle, signer: Signer) -> None:
        """Give a handle the next attempt.

        Raises:
            ValueError: a header cannot be sent.
        """
        request, address = self.request, self.address
        path, headers = signed(request, address, self._credentials, self._headers, signer)
        self._attempts += 1
        self.handle = handle
        query = f"?{request.query}" if request.query else ""
        handle.ask(f"{address.scheme}://{address.host}{path}{query}", headers, request.body, self._most_bytes)

    def ended(self, error: int, message: str) -> Answer:
        """Return what came of the attempt under way. `error` is curl's number."""
        handle = self.handle
        assert handle is not None, "it was begun"
        self.handle = None
        what = handle.is_too_large
        spent = error and handle.curl.getinfo(pycurl.OS_ERRNO)
        status, lines, body = handle.answer()
        is_body = self.request.operation == "GetObject" and 200 <= status < 300
        # The reader of an object looks how much of it came.
        if what and not (is_body and len(body) > self._most_bytes):
            return Answer(0, {}, b"", Reason.UNEXPECTED, what)
        if error and not what:
            return Answer(0, {}, b"", *_failure(error, spent, message, self.address))
        return self._answer(status, lines, body, is_body=is_body)

    def _answer(self, status: int, lines: list[bytes], body: bytes, *, is_body: bool) -> Answer:
        code, message = ("", "") if is_body else error_of(body)
        is_success = 200 <= status < 300
        if not is_success and not code:
            code, message = str(status), "no reason given"
        headers = {} if is_success and self.request.operation in _HEADERS_UNREAD else headers_of(lines)
        asked = next((value for name, value in self.request.headers if name == "range"), "")
        if status == 206 and asked and not is_range(headers, asked):
            return Answer(0, {}, b"", Reason.UNEXPECTED, f"{asked} was asked for, and the Content-Range is another")
        return Answer(status, headers, body, code, message)

    def may_pass(self, answer: Answer) -> bool:
        """Return whether another attempt may have a better answer, and there is one left."""
        passes = answer.status in _PASSING_STATUSES or answer.code in _PASSING_CODES or answer.code in _PASSING_WORDS
        return passes and self._attempts < _ATTEMPTS

    @property
    def pause_seconds(self) -> float:
        """How long to wait for the next attempt."""
        return uniform(0.0, _BACKOFF_SECONDS * 2 ** (self._attempts - 1))  # noqa: S311  # no secret

    def hand_over(self, answer: Answer) -> None:
        """Hand over the answer, once."""
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            if self._credentials.session_token and (answer.code or answer.message):
                answer = _without_token(answer, self._credentials.session_token)
            on_answer(answer)

    @property
    def _most_bytes(self) -> int:
        operation = self.request.operation
        if operation == "ListObjectsV2":
            return LISTING_BYTES
        return ANSWER_BYTES + (self.request.expected_bytes if operation == "GetObject" else 0)


def signed(
    request: Request,
    address: Address,
    credentials: Credentials,
    more_headers: Headers,
    signer: Signer,
    payload: str = "",
) -> tuple[str, list[tuple[str, str]]]:
    """Return the path and the headers of a request, signed now.

    `payload` is the SHA-256 of a body that is sent by somebody else, in hex.

    Raises:
        ValueError: a header cannot be sent.
    """
    path = f"{address.base_path}/{quote_key(request.key)}"
    covered = (payload or sha256(request.body).hexdigest()) if address.signs_payload else UNSIGNED
    headers = [("host", address.host), *more_headers]
    return path, signer.sign(request.method, path, request.query, headers, credentials, address.region, covered)


def headers_of(lines: Iterable[bytes]) -> Mapping[str, str]:
    """Return the headers of an answer, names in lower case: those of the last, if others came before it."""
    headers: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.decode("latin-1").partition(":")
        if separator:
            headers[name.lower()] = value.strip(" \t\r\n")
        elif name.startswith("HTTP/"):
            headers.clear()
    return headers


def is_range(headers: Mapping[str, str], asked: str) -> bool:
    """Return whether an answer has the range that was asked for, such as `bytes=0-9`."""
    return headers.get("content-range", "").startswith(f"{asked.replace('=', ' ')}/")


def _failure(error: int, errno: int, message: str, address: Address) -> tuple[str, str]:
    """Return the reason and a sentence for an attempt without an answer."""
    message = _TOOK.sub("", message)
    if error == pycurl.E_OUT_OF_MEMORY or errno in SPENT:
        return Reason.RESOURCE_LIMIT, message
    if error in _UNTRUSTED:
        return Reason.UNTRUSTED, f"the certificate of {address.host} is not trusted: {message}"
    return Reason.CONNECTION, message


_TOKEN_BEGINS = 16
"""Characters that are enough to recognise a token."""


def _without_token(answer: Answer, token: str) -> Answer:
    """Hide the session token in an answer: a server may repeat it, and answers are logged."""
    repeated = re.compile(re.escape(token[:_TOKEN_BEGINS]) + r"\S*")
    code, message = (repeated.sub("(not shown)", text) for text in (answer.code, answer.message))
    return answer._replace(code=code, message=message)
