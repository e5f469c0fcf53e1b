"""One request under way: what each attempt sends, what came of it, and whether another attempt may help."""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from random import Random
from time import monotonic

from syncd.aws.s3 import Address, Answer, Request, error_of, quote_key
from syncd.aws.wire.connection import Connection, Ended, Failure
from syncd.aws.wire.response import Response
from syncd.aws.wire.servers import Server
from syncd.aws.wire.signing import UNSIGNED, Credentials, Signer
from syncd.model.reasons import Reason

LISTING_BYTES = 4 * 1024**2
"""The largest page: a thousand rows with keys of 1,024 bytes, each written as %XX, have 3.4 MB."""
ANSWER_BYTES = 64 * 1024
"""The largest other answer but an object's body. S3's own have a few kilobytes."""
# A request is sent so many times at the most, a second time after up to half a second, and so on in doubles: "full
# jitter" ("Retry behavior", AWS SDKs and Tools Reference Guide).
ATTEMPTS = 6
_BACKOFF_SECONDS = 0.5
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {
        "InternalError",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        Reason.CONNECTION,
        Reason.RESOURCE_LIMIT,
    }
)
_WITH_BODY = frozenset({"PUT", "POST"})
# Of its own: it draws on a thread, and others may count on the sequence of the common one.
_chance = Random()  # noqa: S311  # no secret
_TARGET = re.compile("[!-~]+")

Headers = Sequence[tuple[str, str]]


class Exchange:
    """One request under way, for one hearer of its answer."""

    __slots__ = (
        "_attempts",
        "_credentials",
        "_headers",
        "_on_answer",
        "_response",
        "address",
        "allowed_seconds",
        "connection",
        "deadline",
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
        self.connection: Connection | None = None
        """The connection of the attempt under way."""
        self._response: Response | None = None
        self._attempts = 0

    @property
    def is_over(self) -> bool:
        """True if its answer was handed over."""
        return self._on_answer is None

    def head(self, server: Server, signer: Signer) -> bytes:
        """Return what is sent to a server before the body, signed now.

        Raises:
            ValueError: a header cannot be sent.
        """
        request, address = self.request, self.address
        path, headers = signed(request, address, self._credentials, self._headers, signer)
        target = f"{path}?{request.query}" if request.query else path
        proxy = server.proxy
        if proxy is not None and address.scheme == "http":
            target = f"http://{address.host}{target}"
            headers += [("proxy-authorization", proxy.authorization)] if proxy.authorization else []
        if request.method in _WITH_BODY:
            headers.append(("content-length", str(len(request.body))))
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        return f"{request.method} {target} HTTP/1.1\r\n{lines}user-agent: syncd\r\n\r\n".encode("latin-1")

    def begin(self, connection: Connection, head: bytes, ended: Ended) -> None:
        """Send it on a connection."""
        self._attempts += 1
        self._response = Response(self.request.method, self._most_bytes)
        self.connection = connection
        connection.ask(head, self.request.body, self._response, ended)

    def ended(self, failure: Failure | None) -> Answer:
        """Return what came of the attempt."""
        response, self._response, self.connection = self._response, None, None
        assert response is not None, "it was begun"
        if failure is not None and failure.is_stale:
            self._attempts -= 1
        if failure is not None:
            return Answer(0, {}, b"", failure.reason, failure.message)
        status, headers, body = response.status, response.headers, response.body
        is_object = self.request.operation == "GetObject" and 200 <= status < 300
        code, message = ("", "") if is_object else error_of(body)
        if not 200 <= status < 300 and not code:
            code, message = str(status), "no reason given"
        asked = next((value for name, value in self.request.headers if name == "range"), "")
        if status == 206 and asked and not is_range(headers, asked):
            return Answer(0, {}, b"", Reason.UNEXPECTED, f"{asked} was asked for, and the Content-Range is another")
        return Answer(status, headers, body, code, message)

    def may_pass(self, answer: Answer, *, attempts: int = ATTEMPTS) -> bool:
        """Return whether another attempt may have a better answer, and there is one left of so many."""
        passes = answer.status in _PASSING_STATUSES or answer.code in _PASSING_CODES
        return passes and self._attempts < attempts

    @property
    def pause_seconds(self) -> float:
        """Time to wait for the next attempt."""
        return _chance.uniform(0.0, _BACKOFF_SECONDS * 2 ** (self._attempts - 1))

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
        ValueError: a header cannot be sent, or the target.
    """
    path = f"{address.base_path}/{quote_key(request.key)}"
    if not _TARGET.fullmatch(path + request.query):
        raise ValueError("a target with a space, a line break, or characters beyond ASCII")
    covered = (payload or sha256(request.body).hexdigest()) if address.signs_payload else UNSIGNED
    headers = [("host", address.host), *more_headers]
    return path, signer.sign(
        request.method, path, request.query, headers, credentials, address.region, covered, address.service
    )


def is_range(headers: Mapping[str, str], asked: str) -> bool:
    """Return whether an answer begins where the range does that was asked for, such as `bytes=0-9`.

    Its reader looks at the length.
    """
    begin = asked.replace("=", " ").partition("-")[0]
    return headers.get("content-range", "").startswith(f"{begin}-")


_TOKEN_BEGINS = 16
"""Characters that are enough to recognise a token."""


def _without_token(answer: Answer, token: str) -> Answer:
    """Hide the session token in an answer: a server may repeat it, and answers are logged."""
    repeated = re.compile(re.escape(token[:_TOKEN_BEGINS]) + r"\S*")
    code, message = (repeated.sub("(not shown)", text) for text in (answer.code, answer.message))
    return answer._replace(code=code, message=message)
