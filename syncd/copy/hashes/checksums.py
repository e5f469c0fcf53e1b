"""S3's checksums: which of them are of an object's bytes, and whether bytes match them.

A CRC tells whether bytes arrived as they were sent. Anybody who may choose 8 bytes of an object can give it the CRC of
another, so a CRC is no witness against the source's owner. SHA-256 is.
"""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol, Self, TypeAlias

SHA256 = "x-amz-checksum-sha256"
"""The only checksum that nobody can forge with other bytes."""
CRC64NVME = "x-amz-checksum-crc64nvme"
"""The checksum that S3 computes of its own accord. It takes a fifteenth of the time of SHA-256."""
_PREFIX = "x-amz-checksum-"

Bytes: TypeAlias = bytes | memoryview


class Sum:
    """A checksum of what was read so far."""

    def __init__(self, name: str, running: "_Running | None" = None) -> None:
        """`name` is that of its header."""
        self.name = name
        self._running = running or _ALGORITHMS[name]()

    def take(self, body: Bytes) -> None:
        """Add what was read next."""
        self._running.update(body)

    @property
    def value(self) -> str:
        """The checksum, in base64."""
        return b64encode(self._running.digest()).decode()

    def copy(self) -> "Sum":
        """Return another that goes on from here."""
        return Sum(self.name, self._running.copy())


class Checksum:
    """A full-object checksum of S3, compared with what is read part by part. Never wrong if S3 sent none."""

    def __init__(self, headers: Mapping[str, str], name: str = "") -> None:
        """`name` is the header, or empty for the first of a whole object that is there."""
        names = [name] if name else [*whole_checksums(headers)]
        self.name = names[0] if names else ""
        self.expected = whole_checksums(headers).get(self.name, "")
        self.made = Sum(self.name) if self.expected else None
        """The checksum of what was read so far. None if there is nothing to compare it with."""

    def take(self, body: Bytes) -> None:
        """Add what was read next."""
        if self.made is not None:
            self.made.take(body)

    @property
    def is_wrong(self) -> bool:
        """True if all that was read does not match."""
        return self.made is not None and self.made.value != self.expected

    def copy(self) -> "Checksum":
        """Return another that goes on from here."""
        other = Checksum({self.name: self.expected, "x-amz-checksum-type": "FULL_OBJECT"})
        other.made = self.made and self.made.copy()
        return other


def sum_of(name: str, body: Bytes) -> str:
    """Return the checksum of these bytes by the name of its header, in base64."""
    made = Sum(name)
    made.take(body)
    return made.value


def header_of(algorithm: str) -> str:
    """Return the header of a checksum by the name of its algorithm, such as crc64nvme."""
    return f"{_PREFIX}{algorithm}"


def algorithm_of(name: str) -> str:
    """Return the algorithm of a header as S3 names it, such as CRC64NVME."""
    return name.removeprefix(_PREFIX).upper()


def is_whole(checksum: str, headers: Mapping[str, str]) -> bool:
    """Return whether a checksum is of the object's bytes.

    A composite one (`…-N`) is of its parts' checksums. Some servers send neither the number of parts nor the type. The
    ETag of an object in parts then decides.
    """
    kind = headers.get("x-amz-checksum-type") or ("COMPOSITE" if "-" in headers.get("etag", "") else "FULL_OBJECT")
    return "-" not in checksum and kind.upper() == "FULL_OBJECT"


def whole_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the full-object checksums of an answer by header, SHA-256 first."""
    return {name: headers[name] for name in _ALGORITHMS if headers.get(name) and is_whole(headers[name], headers)}


def wrong_checksum(headers: Mapping[str, str], body: bytes) -> str:
    """Return the first full-object checksum header that the body does not match. Empty if all match."""
    for name in whole_checksums(headers):
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

    def update(self, body: Bytes, /) -> None: ...

    def digest(self) -> bytes: ...

    def copy(self) -> Self: ...


class _Crc:
    def __init__(self, compute: Callable[[bytes, int], int], size_bytes: int, value: int = 0) -> None:
        self._compute = compute
        self._size_bytes = size_bytes
        self._value = value

    def update(self, body: Bytes, /) -> None:
        self._value = self._compute(body, self._value)  # type: ignore[arg-type]  # takes any buffer

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")

    def copy(self) -> "_Crc":
        return _Crc(self._compute, self._size_bytes, self._value)


def load() -> None:
    """Load what makes the checksum that S3 computes of its own accord."""
    _of_the_runtime("crc64nvme")


@cache
def _of_the_runtime(name: str) -> Callable[[bytes, int], int]:
    """Return a checksum of AWS's C runtime, without a start of the runtime.

    That start gathers entropy for its TLS. It takes 40 ms, and ends the process on hosts whose processor delivers none
    (https://github.com/feldera/feldera/pull/6795), so a worker must do without. The functions need none of it.
    """
    try:
        # It takes 10 ms to load these, and only large bodies need them. A Python may have been built without ctypes.
        from ctypes import PyDLL, py_object  # noqa: PLC0415
        from importlib.util import find_spec  # noqa: PLC0415

        found = find_spec("_awscrt")
        function = getattr(PyDLL(found.origin if found else ""), f"aws_py_checksums_{name}")
    except (AttributeError, ImportError):
        # A version that does not show its functions.
        from awscrt import checksums  # noqa: PLC0415

        return getattr(checksums, name)  # type: ignore[no-any-return]  # it has no types
    function.argtypes, function.restype = [py_object, py_object], py_object
    return lambda body, value: function(None, (body, value))


_ALGORITHMS: Mapping[str, Callable[[], _Running]] = {
    SHA256: hashlib.sha256,
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "x-amz-checksum-crc32": lambda: _Crc(zlib.crc32, 4),
    "x-amz-checksum-crc32c": lambda: _Crc(_of_the_runtime("crc32c"), 4),
    CRC64NVME: lambda: _Crc(_of_the_runtime("crc64nvme"), 8),
}
