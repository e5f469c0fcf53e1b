"""Requests on the wire, many at a time, by AWS's C runtime.

There is one client per endpoint and region, and each request has its credentials.

The runtime retries what may pass (500, 502, 503, 504, broken and stalled connections) up to five times with backoff; nothing
above it retries a request again. It resolves a client's host once, so two endpoints never share a client.

It bounds no answer: `response_limits` watches what comes in, and `exchange` drops an answer that is too large.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from awscrt import auth, http, io, s3

from syncd.aws.exchange import Exchange, HostTraffic, without_token
from syncd.aws.response_limits import ALLOWED_BYTES, Host, Inflow, Traffic, resident_bytes
from syncd.aws.s3 import Address, Answer, Request, quote_key
from syncd.model.reasons import Reason

# A request is cancelled after this long, retries included.
DEADLINE_SECONDS = 60.0
# A large body adds the time that it takes at so many bytes a second, so that slow links can move it.
SLOWEST_BYTES_PER_SECOND = 256 * 1024
# The runtime opens 2.5 connections for each of these: fewer than `engine.in_flight`, and they would be the bound.
_THROUGHPUT_GBPS = 100.0
# The engine bounds the memory of bodies before copies begin. The runtime's own bound must not be the narrower one.
_RUNTIME_MEMORY_BYTES = 1024**4
# Each request has five retries of its own. By default all requests to one host share a hundred, and a burst of 503s, which
# S3 sends while it scales, would fail most of what is in flight.
_RETRIES = s3.S3RetryConfig(retry_mode=s3.S3RetryMode.EXPONENTIAL_BACKOFF)
# The least size of a range for which the runtime's part buffer pays.
_PART_BYTES = 1024**2

_WITH_BODY = frozenset({"PUT", "POST"})
# Operations whose headers are not needed: handing these over costs as much as any other part of a request.
_HEADERS_UNREAD = frozenset({"CopyObject", "ListObjectsV2"})


class Credentials(NamedTuple):
    """Keys that sign a request. Their representation never shows the secret."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires_at: float | None
    """Seconds since the epoch. None for credentials that do not expire."""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id}, expires_at={self.expires_at})"


class Transport:
    """Sender of requests, safe to use from any thread. Answers come on the runtime's own thread."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS, body_bytes: int = 0) -> None:
        """`body_bytes` is the memory of bodies in flight, which the watch over memory allows for."""
        self._deadline_seconds = deadline_seconds
        self._traffic: dict[tuple[str, str], HostTraffic] = {}
        self._inflow = Inflow(self, bound_bytes=resident_bytes() + ALLOWED_BYTES + body_bytes)
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], s3.S3Client] = {}
        self._signing: dict[tuple[Credentials, str], auth.AwsSigningConfig] = {}
        self._under_way: dict[int, Exchange] = {}
        self._loops = io.EventLoopGroup(1)
        self._bootstrap = io.ClientBootstrap(self._loops, io.DefaultHostResolver(self._loops))

    def send(
        self,
        request: Request,
        address: Address,
        credentials: Credentials,
        on_answer: Callable[[Answer], None],
        more_headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send one request. Calls `on_answer` exactly once, on another thread."""
        headers = [("Host", address.host), *request.headers, *more_headers]
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
        # The runtime reads a range into a buffer of its size. For a default request the buffer grows by copying.
        is_part = request.expected_bytes >= _PART_BYTES and any(name == "range" for name, _ in request.headers)
        if credentials.session_token:
            on_answer = without_token(on_answer, credentials.session_token)
        traffic = self._traffic.get((address.scheme, address.host)) or self._traffic_of(address)
        exchange = Exchange(self._under_way, request, traffic, on_answer, allowed_seconds)
        exchange.begin(
            self._client(address).make_request(
                type=s3.S3RequestType.GET_OBJECT if is_part else s3.S3RequestType.DEFAULT,
                operation_name=request.operation,
                part_size=request.expected_bytes if is_part else None,
                request=http.HttpRequest(request.method, path, http.HttpHeaders(headers), body),
                signing_config=self._signing_config(credentials, address.region),
                on_headers=None if request.operation in _HEADERS_UNREAD else exchange.on_headers,
                on_body=exchange.on_body,
                on_done=exchange.on_done,
            )
        )
        self._inflow.begin()

    @property
    def is_idle(self) -> bool:
        """True if no request is under way."""
        return not self._under_way

    def traffic(self) -> Mapping[Host, Traffic]:
        """Return the bytes asked of each host so far, and those received."""
        by_host: dict[Host, Traffic] = {}
        for each in list(self._traffic.values()):
            before = by_host.get(each.host, Traffic(0, 0, 0))
            by_host[each.host] = Traffic(*map(sum, zip(before, each.traffic(), strict=True)))
        return by_host

    def cancel_hosts(self, hosts: set[Host], why: str) -> None:
        """Cancel all requests to these hosts, as unexpected answers."""
        for exchange in list(self._under_way.values()):
            if exchange.host_traffic.host in hosts:
                exchange.cancel(why, Reason.UNEXPECTED)

    def expire(self) -> None:
        """Cancel overdue requests. Callers must poll this while they wait."""
        now = monotonic()
        for exchange in list(self._under_way.values()):
            if exchange.deadline < now:
                exchange.cancel(f"no answer within {exchange.allowed_seconds:.0f} s")

    def abandon(self) -> None:
        """Cancel every request in flight, now."""
        for exchange in list(self._under_way.values()):
            exchange.cancel("given up, since syncd was told to end")

    def _traffic_of(self, address: Address) -> HostTraffic:
        parts = urlsplit(f"//{address.host}")
        host = (parts.hostname or "", parts.port or (443 if address.scheme == "https" else 80))
        with self._lock:
            return self._traffic.setdefault((address.scheme, address.host), HostTraffic(host))

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
