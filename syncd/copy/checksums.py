"""S3's checksums: which of them are of an object's bytes, and whether bytes match them."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Protocol

from awscrt.checksums import crc32c, crc64nvme

SHA256 = "x-amz-checksum-sha256"
"""The only checksum that nobody can forge with other bytes."""


class Checksum:
    """A full-object checksum of S3, compared with what is read part by part. Never wrong if S3 sent none."""

    def __init__(self, headers: Mapping[str, str], name: str = "") -> None:
        """`name` is the header, or empty for the first that is there."""
        names = [name] if name else [known for known in _CHECKSUMS if known in headers]
        self.name = names[0] if names else ""
        expected = headers.get(self.name, "")
        self._expected = expected if expected and is_whole(expected, headers) else ""
        self._running = _CHECKSUMS[self.name]() if self._expected else None

    def take(self, body: bytes) -> None:
        """Add what was read next."""
        if self._running is not None:
            self._running.update(body)

    @property
    def is_wrong(self) -> bool:
        """True if all that was read does not match."""
        return self._running is not None and b64encode(self._running.digest()).decode() != self._expected


def is_whole(checksum: str, headers: Mapping[str, str]) -> bool:
    """Return whether a checksum is of the object's bytes.

    A composite one (`…-N`) is of its parts' checksums. Some servers send neither the number of parts nor the type. The
    ETag of an object in parts then decides.
    """
    kind = headers.get("x-amz-checksum-type") or ("COMPOSITE" if "-" in headers.get("etag", "") else "FULL_OBJECT")
    return "-" not in checksum and kind.upper() == "FULL_OBJECT"


def whole_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the full-object checksums of an answer by header, SHA-256 first."""
    return {name: headers[name] for name in _CHECKSUMS if headers.get(name) and is_whole(headers[name], headers)}


def wrong_checksum(headers: Mapping[str, str], body: bytes) -> str:
    """Return the first full-object checksum header that the body does not match. Empty if all match."""
    for name in _CHECKSUMS:
        if name in headers:
            checksum = Checksum(headers, name)
            checksum.take(body)
            if checksum.is_wrong:
                return name
    return ""


def composite(part_digests: list[bytes]) -> str:
    """Return S3's composite SHA-256: the hash of the parts' hashes, and the number of parts."""
    digest = hashlib.sha256(b"".join(part_digests)).digest()
    return f"{b64encode(digest).decode()}-{len(part_digests)}"


class _Running(Protocol):
    """A checksum under way, as hashlib's are."""

    def update(self, body: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, compute: Callable[[bytes, int], int], size_bytes: int) -> None:
        self._compute = compute
        self._size_bytes = size_bytes
        self._value = 0

    def update(self, body: bytes, /) -> None:
        self._value = self._compute(body, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


_CHECKSUMS: Mapping[str, Callable[[], _Running]] = {
    SHA256: hashlib.sha256,
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "x-amz-checksum-crc32": lambda: _Crc(zlib.crc32, 4),
    "x-amz-checksum-crc32c": lambda: _Crc(crc32c, 4),
    "x-amz-checksum-crc64nvme": lambda: _Crc(crc64nvme, 8),
}
