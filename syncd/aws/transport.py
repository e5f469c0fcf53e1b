"""Requests on the wire, many at a time: AWS's C runtime, one client per endpoint and region, credentials per request.

The runtime retries what may pass (500, 502, 503, 504, broken and stalled connections) up to five times with backoff; nothing
above it retries a request again. It resolves a client's host once, so two endpoints never share a client.

It bounds no answer: `inflow` watches what comes in, and an answer larger than its operation can have is given up here.
"""

import ctypes
import re
import threading
from collections.abc import Callable, Mapping
from io import BytesIO
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from awscrt import auth, http, io, s3

from syncd.aws import answers
from syncd.aws.response_limits import ALLOWED_BYTES, Host, Inflow, Traffic, resident_bytes
from syncd.aws.s3 import Address, Answer, Request, error_of, quote_key
from syncd.model.reasons import Reason

# A request is given up after this long, retries included, however often the runtime would try again.
DEADLINE_SECONDS = 60.0
# Slow links still move a large part: this many bytes a second are allowed for on top.
SLOWEST_BYTES_PER_SECOND = 256 * 1024
# The runtime opens 2.5 connections for each of these: fewer than `engine.in_flight`, and they would be the bound.
_THROUGHPUT_GBPS = 100.0
# What bodies take up is bounded where copies begin; the runtime's own bound must not be the narrower one.
_RUNTIME_MEMORY_BYTES = 1024**4
# Each request has its five retries to itself. By default all to one host share a quota of a hundred, and a burst of 503s,
# which is how S3 says that it is making room, would fail most of what is in flight.
_RETRIES = s3.S3RetryConfig(retry_mode=s3.S3RetryMode.EXPONENTIAL_BACKOFF)
# Where less than this is read, there is nothing to gain by it.
_PART_BYTES = 1024**2

# A thousand rows with keys of 1,024 bytes, each written as %XX, have 3.4 MB.
LISTING_BYTES = 4 * 1024**2
# Any other answer but an object's body: tags, results, errors; and any header block. S3's own have a few kilobytes.
ANSWER_BYTES = 64 * 1024

_WITH_BODY = frozenset({"PUT", "POST"})
# Of these only status and body tell something; handing over headers costs as much as any other part of a request.
_HEADERS_UNREAD = frozenset({"CopyObject", "ListObjectsV2"})

_thread = threading.local()


def _keep_thread_state() -> None:
    """Have the interpreter keep what it knows of the runtime's thread that calls this, until the thread ends.

    The runtime holds Python's lock for the length of a callback only, so the interpreter would make a thread state,
    with a stack mapped and unmapped, for each: more than all else that Python does for a request. To ensure the state
    once more than it is released keeps it (https://docs.python.org/3/c-api/init.html#c.PyGILState_Ensure); the lock
    itself is given back by the callback's own release.
    """
    if not hasattr(_thread, "is_kept"):
        _thread.is_kept = True
        ctypes.pythonapi.PyGILState_Ensure()


class Credentials(NamedTuple):
    """What signs a request. Its representation never shows the secret."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires_at: float | None
    """Seconds since the epoch; None for credentials that do not expire."""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id}, expires_at={self.expires_at})"


class Transport:
    """Sends requests; safe to use from any thread. Answers come on the runtime's own thread."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS, body_bytes: int = 0) -> None:
        """`body_bytes` is what bodies in flight may hold: so much more memory is no reason to look at what comes in."""
        self._deadline_seconds = deadline_seconds
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._inflow = Inflow(self, bound_bytes=resident_bytes() + ALLOWED_BYTES + body_bytes)
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], s3.S3Client] = {}
        self._signing: dict[tuple[Credentials, str], auth.AwsSigningConfig] = {}
        self._flights: dict[int, _Flight] = {}
        self._loops = io.EventLoopGroup(1)
        self._bootstrap = io.ClientBootstrap(self._loops, io.DefaultHostResolver(self._loops))

    def send(
        self, request: Request, address: Address, credentials: Credentials, on_answer: Callable[[Answer], None]
    ) -> None:
        """Send one request; `on_answer` is called exactly once, on another thread."""
        headers = [("Host", address.host), *request.headers]
        body = None
        if request.body:
            body = BytesIO(request.body)
        if request.method in _WITH_BODY:
            headers.append(("Content-Length", str(len(request.body))))
        path = f"{address.base_path}/{quote_key(request.key)}"
        if request.query:
            path = f"{path}?{request.query}"
        moved_bytes = len(request.body) + request.expected_bytes
        allowed_seconds = self._deadline_seconds + moved_bytes / SLOWEST_BYTES_PER_SECOND
        # A range is read into a buffer of its size; for a request of no particular type it grows by copying.
        is_part = request.expected_bytes >= _PART_BYTES and any(name == "range" for name, _ in request.headers)
        if credentials.session_token:
            on_answer = _without_token(on_answer, credentials.session_token)
        asked = self._asked.get((address.scheme, address.host)) or self._asked_of(address)
        flight = _Flight(self._flights, request, asked, on_answer, allowed_seconds)
        flight.depart(
            self._client(address).make_request(
                type=s3.S3RequestType.GET_OBJECT if is_part else s3.S3RequestType.DEFAULT,
                operation_name=request.operation,
                part_size=request.expected_bytes if is_part else None,
                request=http.HttpRequest(request.method, path, http.HttpHeaders(headers), body),
                signing_config=self._signing_config(credentials, address.region),
                on_headers=None if request.operation in _HEADERS_UNREAD else flight.on_headers,
                on_body=flight.on_body,
                on_done=flight.on_done,
            )
        )
        self._inflow.begin()

    @property
    def is_idle(self) -> bool:
        """No request is under way."""
        return not self._flights

    def traffic(self) -> Mapping[Host, Traffic]:
        """Return what was asked of each host so far, and what came of it."""
        by_host: dict[Host, Traffic] = {}
        for asked in list(self._asked.values()):
            before = by_host.get(asked.host, Traffic(0, 0, 0))
            by_host[asked.host] = Traffic(*map(sum, zip(before, asked.traffic(), strict=True)))
        return by_host

    def give_up(self, hosts: set[Host], why: str) -> None:
        """Cancel what is under way with these hosts, as an answer that is none."""
        for flight in list(self._flights.values()):
            if flight.asked.host in hosts:
                flight.cancel(why, Reason.UNEXPECTED)

    def expire(self) -> None:
        """Give up the requests that are past their deadline. Whoever waits for answers calls this now and then."""
        now = monotonic()
        for flight in list(self._flights.values()):
            if flight.deadline < now:
                flight.cancel(f"no answer within {flight.allowed_seconds:.0f} s")

    def abandon(self) -> None:
        """Give up every request in flight, now."""
        for flight in list(self._flights.values()):
            flight.cancel("given up, since syncd was told to end")

    def _asked_of(self, address: Address) -> "_Asked":
        parts = urlsplit(f"//{address.host}")
        host = (parts.hostname or "", parts.port or (443 if address.scheme == "https" else 80))
        with self._lock:
            return self._asked.setdefault((address.scheme, address.host), _Asked(host))

    def _client(self, address: Address) -> s3.S3Client:
        key = (address.scheme, address.host, address.region)
        client = self._clients.get(key)
        if client is not None:
            return client
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                is_tls = address.scheme == "https"
                client = s3.S3Client(
                    bootstrap=self._bootstrap,
                    region=address.region,
                    tls_mode=s3.S3RequestTlsMode.ENABLED if is_tls else s3.S3RequestTlsMode.DISABLED,
                    throughput_target_gbps=_THROUGHPUT_GBPS,
                    memory_limit=_RUNTIME_MEMORY_BYTES,
                    retry_config=_RETRIES,
                )
                self._clients[key] = client
            return client

    def _signing_config(self, credentials: Credentials, region: str) -> auth.AwsSigningConfig:
        config = self._signing.get((credentials, region))
        if config is None:
            provider = auth.AwsCredentialsProvider.new_static(
                credentials.access_key_id, credentials.secret_access_key, credentials.session_token
            )
            config = s3.create_default_s3_signing_config(region=region, credential_provider=provider)
            with self._lock:
                if len(self._signing) > 4096:
                    self._signing.clear()
                self._signing[credentials, region] = config
        return config


_TOKEN_BEGINS = 16
"""So much of a token tells that it is one."""


def _without_token(on_answer: Callable[[Answer], None], token: str) -> Callable[[Answer], None]:
    """Hide the session token: a server may say back the one that it was sent, and what it says is cut and logged."""
    said_back = re.compile(re.escape(token[:_TOKEN_BEGINS]) + r"\S*")

    def hear(answer: Answer) -> None:
        code, message = (said_back.sub("(not shown)", text) for text in (answer.code, answer.message))
        if (code, message) != (answer.code, answer.message):
            answer = answer._replace(code=code, message=message)
        on_answer(answer)

    return hear


class _Asked:
    """What was asked of one server so far. Counted by the threads that send and by the runtime's."""

    __slots__ = ("_lock", "begun_bytes", "ended_bytes", "handed_over_bytes", "host")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.begun_bytes = self.ended_bytes = self.handed_over_bytes = 0
        self._lock = threading.Lock()

    def begin(self, most_bytes: int) -> None:
        with self._lock:
            self.begun_bytes += most_bytes

    def end(self, most_bytes: int, handed_over_bytes: int) -> None:
        with self._lock:
            self.ended_bytes += most_bytes
            self.handed_over_bytes += handed_over_bytes

    def traffic(self) -> Traffic:
        with self._lock:
            return Traffic(self.begun_bytes, self.ended_bytes, self.handed_over_bytes)


class _Flight:
    """One request under way. It lets go of the runtime's request when done: the two would keep each other alive."""

    __slots__ = (
        "_answered",
        "_chunks",
        "_code_canceled",
        "_flights",
        "_handed_over_bytes",
        "_headers",
        "_most_bytes",
        "_on_answer",
        "_operation",
        "_request",
        "_status",
        "_why_canceled",
        "allowed_seconds",
        "asked",
        "deadline",
    )

    def __init__(
        self,
        flights: dict[int, "_Flight"],
        request: Request,
        asked: _Asked,
        on_answer: Callable[[Answer], None],
        allowed_seconds: float,
    ) -> None:
        self.allowed_seconds = allowed_seconds
        self.deadline = monotonic() + allowed_seconds
        self._why_canceled = ""
        self._code_canceled: str = Reason.TIMEOUT
        self.asked = asked
        self._most_bytes = ANSWER_BYTES
        if request.operation == "ListObjectsV2":
            self._most_bytes = LISTING_BYTES
        elif request.operation == "GetObject":
            self._most_bytes += request.expected_bytes
        self._flights = flights
        self._operation = request.operation
        self._on_answer: Callable[[Answer], None] | None = on_answer
        self._request: s3.S3Request | None = None
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._chunks: list[bytes] = []
        self._answered = False
        self._handed_over_bytes = 0

    def depart(self, request: s3.S3Request) -> None:
        self._request = request
        self.asked.begin(self._most_bytes)
        self._flights[id(self)] = self
        if self._answered:
            self._land()

    def cancel(self, why: str, code: str = Reason.TIMEOUT) -> None:
        request = self._request
        if request is not None:
            if not self._why_canceled:
                self._why_canceled, self._code_canceled = why, code
            request.cancel()

    def on_headers(self, status_code: int, headers: list[tuple[str, str]], **_: Any) -> None:
        self._status = status_code
        self._headers = {name.lower(): value for name, value in headers}

    def on_body(self, chunk: bytes, offset: int, **_: Any) -> None:
        del offset
        _keep_thread_state()
        self._chunks.append(chunk)

    def on_done(
        self, error: Any, error_headers: Any, error_body: bytes | None, status_code: int | None, **_: Any
    ) -> None:
        _keep_thread_state()
        if error_headers is not None:
            self._headers = {name.lower(): value for name, value in error_headers}
        body = error_body if error_body is not None else b"".join(self._chunks)
        self._handed_over_bytes = len(body)
        answer = self._too_large(body, status_code or self._status)
        if answer is None:
            answer = self._answer(error, status_code or self._status, body)
        on_answer = self._on_answer
        self._answered = True
        self._land()
        if on_answer is not None:
            on_answer(answer)

    def _too_large(self, body: bytes, status: int) -> Answer | None:
        """Return an answer in place of one that is larger than any that is true; None if it is not."""
        headers_bytes = sum(len(name) + len(value) for name, value in self._headers.items())
        if headers_bytes > ANSWER_BYTES:
            what = f"a header block of {headers_bytes} bytes"
        # The body of an object is for its reader to judge, who knows how long it should be.
        elif len(body) > self._most_bytes and (self._operation != "GetObject" or not 200 <= status < 300):
            what = f"an answer of {len(body)} bytes"
        else:
            return None
        return Answer(0, {}, b"", Reason.UNEXPECTED, what)

    def _answer(self, error: Any, status: int, body: bytes) -> Answer:
        if error is None and 200 <= status < 300:
            code, message = ("", "") if self._operation == "GetObject" else error_of(body)
            return Answer(status, self._headers, body, code, message)
        code, message = error_of(body)
        if not code and error is not None:
            name = getattr(error, "name", type(error).__name__)
            status, code = answers.RUNTIME_ERRORS.get(name, (status, "" if status else Reason.CONNECTION))
            if name == "AWS_ERROR_S3_CANCELED":
                code, message = self._code_canceled, self._why_canceled
            elif name == "AWS_ERROR_S3_INVALID_RESPONSE_STATUS":
                message = "no reason given"
            else:
                message = str(getattr(error, "message", error))
        return Answer(status, self._headers, body, code or str(status), message)

    def _land(self) -> None:
        if self._flights.pop(id(self), None) is not None:
            self.asked.end(self._most_bytes, self._handed_over_bytes)
        self._request = None
        self._on_answer = None
        self._chunks = []
