"""Requests on the wire, many at a time, by AWS's C runtime.

There is one client per endpoint and region, and each request has its credentials.

The runtime retries what may pass (500, 502, 503, 504, broken and stalled connections) up to five times with backoff; nothing
above it retries a request again. It resolves a client's host once, so two endpoints never share a client.

It bounds no answer: `response_limits` watches what comes in, and `exchange` drops an answer that is too large.
"""

import os
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from awscrt import auth, http, io, s3

from syncd.aws.s3 import Address, Answer, Request, quote_key
from syncd.aws.wire import certificates
from syncd.aws.wire.connections import Host, resident_bytes
from syncd.aws.wire.exchange import Exchange, HostTraffic, without_token
from syncd.aws.wire.response_limits import ALLOWED_BYTES, Inflow, Traffic
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason
from syncd.model.shortage import resource_limit, shortage

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
# A server that is silent for so long is asked for its certificate, which the runtime does not report.
_SILENT_SECONDS = 3.0
_LOOK_EVERY_SECONDS = 10.0
# A client has six descriptors on a machine with two cores, and a thread for every other core or so.
_PIPES = 8

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


@contextmanager
def _room() -> Iterator[None]:
    """Make something of the runtime, if there are descriptors and threads for it: otherwise it ends the process.

    Raises:
        JobFailed: there are too few.
    """
    opened: list[int] = []
    threads: list[threading.Thread] = []
    is_over = threading.Event()
    cores = os.cpu_count() or 1
    try:
        for _ in range(_PIPES + cores):
            opened += os.pipe()
        for _ in range(cores):
            threads.append(threading.Thread(target=is_over.wait, daemon=True))
            threads[-1].start()
    except (OSError, RuntimeError) as error:
        raise resource_limit("AWS's runtime cannot begin", error) from error
    finally:
        is_over.set()
        for descriptor in opened:
            os.close(descriptor)
    try:
        yield
    except RuntimeError as error:
        if not shortage(error):
            raise
        raise resource_limit("AWS's runtime cannot begin", error) from error


class Transport:
    """Sender of requests, safe to use from any thread. Answers come on the runtime's own thread."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS, body_bytes: int = 0) -> None:
        """`body_bytes` is the memory of bodies in flight, which the watch over memory allows for."""
        self._deadline_seconds = deadline_seconds
        self._traffic: dict[Address, HostTraffic] = {}
        self._inflow = Inflow(self, bound_bytes=resident_bytes() + ALLOWED_BYTES, body_bytes=body_bytes)
        self._lock = threading.Lock()
        self._clients: dict[Address, s3.S3Client] = {}
        self._signing: dict[tuple[Credentials, str], auth.AwsSigningConfig] = {}
        self._under_way: dict[int, Exchange] = {}
        with _room():
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
        """Send one request. Calls `on_answer` exactly once, on another thread, or on this one if nothing can be sent."""
        server = address._replace(base_path="", signs_payload=False)
        try:
            client = self._client(server)
        except JobFailed as lacking:
            on_answer(Answer(0, {}, b"", lacking.reason, lacking.detail))
            return
        except (OSError, RuntimeError) as error:
            on_answer(Answer(0, {}, b"", Reason.UNTRUSTED, certificates.unusable(address.authorities, error)))
            return
        unsigned = _unsigned(request, address, more_headers, len(request.body))
        if request.body:
            unsigned.body_stream = BytesIO(request.body)
        moved_bytes = len(request.body) + request.expected_bytes
        allowed_seconds = self._deadline_seconds + moved_bytes / SLOWEST_BYTES_PER_SECOND
        # The runtime reads a range into a buffer of its size. For a default request the buffer grows by copying.
        is_part = request.expected_bytes >= _PART_BYTES and any(name == "range" for name, _ in request.headers)
        if credentials.session_token:
            on_answer = without_token(on_answer, credentials.session_token)
        traffic = self._traffic.get(server) or self._traffic_of(server)
        exchange = Exchange(self._under_way, request, traffic, on_answer, allowed_seconds)
        exchange.begin(
            client.make_request(
                type=s3.S3RequestType.GET_OBJECT if is_part else s3.S3RequestType.DEFAULT,
                operation_name=request.operation,
                part_size=request.expected_bytes if is_part else None,
                request=unsigned,
                signing_config=self._signing_config(credentials, address, request.body),
                on_headers=None if request.operation in _HEADERS_UNREAD else exchange.on_headers,
                on_body=exchange.on_body,
                on_done=exchange.on_done,
            )
        )
        self._inflow.begin()

    def signed(
        self,
        request: Request,
        address: Address,
        credentials: Credentials,
        more_headers: Sequence[tuple[str, str]],
        *,
        body_bytes: int,
        body_sha256: str,
    ) -> tuple[str, list[tuple[str, str]]]:
        """Return the target and the headers of a request that is sent by somebody else, with a body of this size.

        `body_sha256` (base64) is only needed where signatures cover the body.
        """
        unsigned = _unsigned(request, address, more_headers, body_bytes)
        config = self._config_of(credentials, address.region).replace(date=datetime.now(UTC))
        if address.signs_payload:
            config = config.replace(signed_body_value=b64decode(body_sha256).hex() or sha256(b"").hexdigest())
        auth.aws_sign_request(unsigned, config).result()
        return unsigned.path, list(unsigned.headers)

    def traffic_of(self, address: Address) -> HostTraffic:
        """Return the traffic of a bucket's server, to be counted."""
        server = address._replace(base_path="", signs_payload=False)
        return self._traffic.get(server) or self._traffic_of(server)

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
            elif exchange.host_traffic.address.scheme == "https" and exchange.began_at + _SILENT_SECONDS < now:
                self._look_at_certificate(exchange, now)

    def abandon(self) -> None:
        """Cancel every request in flight, now."""
        for exchange in list(self._under_way.values()):
            exchange.cancel("given up, since syncd was told to end")

    def _look_at_certificate(self, exchange: Exchange, now: float) -> None:
        """Look at the certificate of a server that has not answered since this request was sent."""
        traffic = exchange.host_traffic
        if traffic.answered_at > exchange.began_at or traffic.looked_at + _LOOK_EVERY_SECONDS > now:
            return
        traffic.looked_at = now
        threading.Thread(target=self._end_if_untrusted, args=(traffic,), name="certificate", daemon=True).start()

    def _end_if_untrusted(self, traffic: HostTraffic) -> None:
        refusal = None
        with suppress(OSError, ImportError, MemoryError):
            from syncd.aws.wire import handshake  # noqa: PLC0415  # its HTTP client is loaded for a silent server alone

            refusal = handshake.refusal(traffic.address)
        if refusal is None:
            return
        reason, why = refusal
        for exchange in list(self._under_way.values()):
            if exchange.host_traffic is traffic:
                exchange.give_up(why, reason)

    def _traffic_of(self, address: Address) -> HostTraffic:
        parts = urlsplit(f"//{address.host}")
        host = (parts.hostname or "", parts.port or (443 if address.scheme == "https" else 80))
        with self._lock:
            return self._traffic.setdefault(address, HostTraffic(host, address))

    def _client(self, address: Address) -> s3.S3Client:
        client = self._clients.get(address)
        if client is not None:
            return client
        with self._lock:
            client = self._clients.get(address)
            if client is None:
                is_tls = address.scheme == "https"
                tls_options = certificates.tls_options(address.authorities) if is_tls else None
                with _room():
                    client = s3.S3Client(
                        bootstrap=self._bootstrap,
                        region=address.region,
                        tls_mode=s3.S3RequestTlsMode.ENABLED if is_tls else s3.S3RequestTlsMode.DISABLED,
                        tls_connection_options=tls_options,
                        throughput_target_gbps=_THROUGHPUT_GBPS,
                        memory_limit=_RUNTIME_MEMORY_BYTES,
                        retry_config=_RETRIES,
                    )
                self._clients[address] = client
            return client

    def _signing_config(self, credentials: Credentials, address: Address, body: bytes) -> auth.AwsSigningConfig:
        config = self._config_of(credentials, address.region)
        return config.replace(signed_body_value=sha256(body).hexdigest()) if address.signs_payload else config

    def _config_of(self, credentials: Credentials, region: str) -> auth.AwsSigningConfig:
        key = (credentials, region)
        config = self._signing.get(key)
        if config is None:
            provider = auth.AwsCredentialsProvider.new_static(
                credentials.access_key_id, credentials.secret_access_key, credentials.session_token
            )
            config = s3.create_default_s3_signing_config(region=region, credential_provider=provider)
            with self._lock:
                if len(self._signing) > 4096:
                    self._signing.clear()
                self._signing[key] = config
        return config


def _unsigned(
    request: Request,
    address: Address,
    more_headers: Sequence[tuple[str, str]],
    body_bytes: int,
) -> http.HttpRequest:
    headers = [("Host", address.host), *request.headers, *more_headers]
    if request.method in _WITH_BODY:
        headers.append(("Content-Length", str(body_bytes)))
    path = f"{address.base_path}/{quote_key(request.key)}"
    if request.query:
        path = f"{path}?{request.query}"
    return http.HttpRequest(request.method, path, http.HttpHeaders(headers))
