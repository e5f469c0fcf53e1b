"""Time stamps of RFC 3161: a third party's signature that a report existed at a time."""

import urllib.error
import urllib.request
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from syncd.aws.wire.timed_http import answer_to
from syncd.model.errors import ConfigError, Problem

SUFFIX = ".tsr"
_CALL_SECONDS = 20.0
_LARGEST_BYTES = 64 * 1024
_GRANTED = (0, 1)


def require_url(url: str) -> None:
    """Refuse a URL that no time-stamping authority can have, or a machine without the library.

    Raises:
        ConfigError: it says what to do.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise _unusable(url, "it is no http:// or https:// URL; give that of a time-stamping authority (RFC 3161)")
    try:
        import rfc3161_client  # noqa: F401, PLC0415  # an extra
    except ImportError:
        raise _unusable(url, "rfc3161-client is not installed; install syncd[timestamp]") from None


def stamp(path: Path, url: str, *, seconds: float = _CALL_SECONDS) -> Path:
    """Have a file stamped. Returns the answer's file, which `openssl ts -verify` checks offline.

    The answer is kept only if it is about this file and this request. The whole call ends after so many seconds.

    Raises:
        ConfigError: the authority cannot be reached, refuses, or answers something else.
        OSError: a file cannot be read or written.
    """
    from rfc3161_client import (  # noqa: PLC0415  # an extra
        HashAlgorithm,
        TimestampRequestBuilder,
        decode_timestamp_response,
    )

    data = path.read_bytes()
    asked = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    raw = _post(url, asked.as_bytes(), seconds)
    try:
        answer = decode_timestamp_response(raw)
        status = answer.status
        told = answer.tst_info if status in _GRANTED else None
    except ValueError as error:
        raise _unusable(url, f"its answer is no time stamp: {error}") from None
    if told is None:
        raise _unusable(url, f"it refused, with status {status}: {', '.join(answer.status_string)}")
    if told.message_imprint.message != sha256(data).digest() or told.nonce != asked.nonce:
        raise _unusable(url, "its answer is the time stamp of something else")
    stamped = path.with_name(path.name + SUFFIX)
    stamped.write_bytes(raw)
    return stamped


def _post(url: str, body: bytes, seconds: float) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/timestamp-query"})  # noqa: S310  # `require_url`
    try:
        with answer_to(request, seconds=seconds) as answer:
            raw: bytes = answer.read(_LARGEST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise _unusable(url, f"it answered HTTP {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _unusable(url, f"it does not answer: {error}") from None
    if len(raw) > _LARGEST_BYTES:
        raise _unusable(url, f"its answer is larger than {_LARGEST_BYTES} bytes")
    return raw


def _unusable(url: str, why: str) -> ConfigError:
    return ConfigError([Problem("--timestamp", url, why)])
