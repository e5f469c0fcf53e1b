"""S3's checksums: computed, and held against what a request says they are."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping

from awscrt import checksums as crt

from faulty.answer import S3Error

HEADER = "x-amz-checksum-"
DEFAULT = "crc64nvme"
"""What S3 computes where the uploader gave none."""

_COMPUTE: Mapping[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4),
    "crc32c": lambda body: crt.crc32c(body).to_bytes(4),
    "crc64nvme": lambda body: crt.crc64nvme(body).to_bytes(8),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
}
FULL_OBJECT_ONLY = frozenset({"crc64nvme"})


def compute(algorithm: str, body: bytes) -> str:
    """Base64, as S3 writes it."""
    return base64.b64encode(_COMPUTE[algorithm](body)).decode()


def compute_composite(algorithm: str, parts: list[str]) -> str:
    """The checksum of the parts' checksums, with their number behind it."""
    return f"{compute(algorithm, b''.join(map(base64.b64decode, parts)))}-{len(parts)}"


def checked_algorithm(name: str) -> str:
    """The algorithm of an `x-amz-checksum-algorithm` header, in lower case."""
    algorithm = name.lower()
    if algorithm not in _COMPUTE:
        raise S3Error(400, "InvalidRequest", "Checksum algorithm provided is unsupported.")
    return algorithm


def verify(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Holds every checksum of the request against its body; returns S3's own as {algorithm: base64}."""
    _verify_md5(headers.get("content-md5"), body)
    _verify_payload(headers.get("x-amz-content-sha256", ""), body)
    given = {
        name.removeprefix(HEADER): value
        for name, value in headers.items()
        if name.startswith(HEADER) and name.removeprefix(HEADER) in _COMPUTE
    }
    if len(given) > 1:
        message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise S3Error(400, "InvalidRequest", message)
    for algorithm, value in given.items():
        right = compute(algorithm, body)
        if len(value) != len(right) or not _is_base64(value):
            raise S3Error(400, "InvalidRequest", f"Value for {HEADER}{algorithm} header is invalid.")
        if value != right:
            name = algorithm.upper()
            raise S3Error(400, "BadDigest", f"The {name} you specified did not match the calculated checksum.")
    return given


def demand(headers: Mapping[str, str]) -> None:
    """Object Lock takes no upload that its sender has not summed: "Content-MD5 or x-amz-sdk-checksum-algorithm"."""
    if not any(name.startswith((HEADER, "x-amz-sdk-checksum-algorithm", "content-md5")) for name in headers):
        message = (
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
        )
        raise S3Error(400, "InvalidRequest", message)


def _verify_md5(given: str | None, body: bytes) -> None:
    if given is not None and given != base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode():
        raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")


def _verify_payload(given: str, body: bytes) -> None:
    is_digest = len(given) == len(hashlib.sha256().hexdigest())
    if is_digest and given != hashlib.sha256(body).hexdigest():
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise S3Error(400, "XAmzContentSHA256Mismatch", message)


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True
