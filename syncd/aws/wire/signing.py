"""Signature Version 4 in the headers of requests to S3 and STS. Pure, but for the clock.

"Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference. botocore's
signer takes 163 µs a request and a third of a second to load; this one takes 8 µs.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from threading import Lock
from time import gmtime, strftime, time
from typing import NamedTuple

UNSIGNED = "UNSIGNED-PAYLOAD"
"""In place of a body's hash, where the signature does not cover the body."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_KEPT_KEYS = 4096

Headers = Sequence[tuple[str, str]]


class Credentials(NamedTuple):
    """Keys that sign a request. Their representation never shows the secret."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires_at: float | None
    """Seconds since the epoch. None for credentials that do not expire."""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id}, expires_at={self.expires_at})"


class _Key(NamedTuple):
    """The key of one day: its scope, and its HMAC, of which each request takes a copy."""

    day: str
    scope: str
    mac: hmac.HMAC


class Signer:
    """Signer of requests. Keeps the keys of the day. Safe to use from any thread."""

    def __init__(self) -> None:
        self._keys: dict[tuple[Credentials, str, str], _Key] = {}
        self._lock = Lock()
        self._stamp = (0, "")

    def sign(
        self,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        credentials: Credentials,
        region: str,
        payload: str = UNSIGNED,
        service: str = "s3",
    ) -> list[tuple[str, str]]:
        """Return the headers, `host` among them, with those that sign the request now.

        `path` and `query` are as they are sent, names of headers in lower case. `payload` is the body's SHA-256 in hex,
        or that it is not signed.

        Raises:
            ValueError: a header cannot be sent: it has a line break, or characters beyond ISO-8859-1.
        """
        stamp = self._now()
        key = self._key(credentials, region, service, stamp[:8])
        signed = [*headers, ("x-amz-content-sha256", payload), ("x-amz-date", stamp)]
        if credentials.session_token:
            signed.append(("x-amz-security-token", credentials.session_token))
        signed.sort()
        names = ";".join([name for name, _ in signed])
        lines = "\n".join([f"{name}:{value}" for name, value in signed])
        if "  " in lines or ": " in lines or " \n" in f"{lines}\n":
            lines = "\n".join([f"{name}:{_trimmed(value)}" for name, value in signed])
        if lines.count("\n") >= len(signed) or "\r" in lines or "\0" in lines:
            raise ValueError("a header with a line break")
        canonical = f"{method}\n{path}\n{_canonical_query(query)}\n{lines}\n\n{names}\n{payload}"
        text = f"{_ALGORITHM}\n{stamp}\n{key.scope}\n{sha256(canonical.encode('latin-1')).hexdigest()}"
        # A third of the time of `hmac.digest`.
        mac = key.mac.copy()
        mac.update(text.encode())
        credential = f"{credentials.access_key_id}/{key.scope}"
        authorization = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={mac.hexdigest()}"
        signed.append(("authorization", authorization))
        return signed

    def _now(self) -> str:
        """Return the time as signatures have it. Requests of one second share it."""
        second = int(time())
        known, stamp = self._stamp
        if second != known:
            stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(second))
            self._stamp = (second, stamp)
        return stamp

    def _key(self, credentials: Credentials, region: str, service: str, day: str) -> _Key:
        key = self._keys.get((credentials, region, service))
        if key is None or key.day != day:
            secret = f"AWS4{credentials.secret_access_key}".encode()
            for part in (day, region, service, "aws4_request"):
                secret = hmac.digest(secret, part.encode(), "sha256")
            key = _Key(day, f"{day}/{region}/{service}/aws4_request", hmac.new(secret, digestmod="sha256"))
            with self._lock:
                if len(self._keys) > _KEPT_KEYS:
                    self._keys.clear()
                self._keys[credentials, region, service] = key
        return key


def _trimmed(value: str) -> str:
    """Return a header's value as it is signed, though not as it is sent: no space around it, and no two in a row."""
    return " ".join([word for word in value.split(" ") if word])


def _canonical_query(query: str) -> str:
    """Return a query, whose values are escaped, with its parameters in order and an `=` each."""
    if not query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join([f"{name}={value}" for name, value in pairs])
