"""The hash of an object's uncompressed content, computed while its bytes go by: what CloudTrail's digests name."""

import hashlib
import zlib
from importlib import import_module
from types import ModuleType

from syncd.copy.hashes.checksums import Bytes

LARGEST_CONTENT_BYTES = 4 * 1024**3
"""Uncompressed. An object that unpacks to more has no hash here."""
_BUFFER_BYTES = 256 * 1024
_PIECE_BYTES = 64 * 1024
_GZIP = 31


def _fastest() -> ModuleType:
    """Return zlib-ng if it is installed, else zlib."""
    try:
        return import_module("zlib_ng.zlib_ng")
    except ImportError:
        return zlib


_ZLIB = _fastest()


class ContentHash:
    """The SHA-256 of what a gzip body unpacks to, taken part by part. Never holds more than a buffer of it."""

    def __init__(self, *, most: int = LARGEST_CONTENT_BYTES) -> None:
        """Unpack to at most so many bytes. None are unpacked if that is 0."""
        self._left = most
        self._unpacking = _ZLIB.decompressobj(wbits=_GZIP)
        self._sha256 = hashlib.sha256()
        self._is_unusable = not most

    def copy(self) -> "ContentHash":
        """Return another that goes on from here."""
        other = ContentHash(most=self._left)
        other._unpacking = self._unpacking.copy()
        other._sha256 = self._sha256.copy()
        other._is_unusable = self._is_unusable
        return other

    def take(self, body: Bytes) -> None:
        """Add what was read next."""
        view = memoryview(body)
        # In pieces, since what is not yet unpacked of one is copied for each buffer.
        for start in range(0, len(view), _PIECE_BYTES):
            if self._is_unusable:
                return
            self._take(view[start : start + _PIECE_BYTES])

    def _take(self, rest: Bytes) -> None:
        while rest and not self._is_unusable:
            if self._unpacking.eof:
                # Data after the end are no part of what a digest names.
                self._is_unusable = True
                return
            try:
                part = self._unpacking.decompress(rest, _BUFFER_BYTES)
            except _ZLIB.error:
                self._is_unusable = True
                return
            self._left -= len(part)
            self._is_unusable = self._left < 0 or bool(self._unpacking.unused_data)
            self._sha256.update(part)
            rest = self._unpacking.unconsumed_tail

    @property
    def sha256(self) -> str:
        """The hash, hexadecimal. Empty if the body is not one whole gzip stream, or unpacks to too much."""
        return "" if self._is_unusable or not self._unpacking.eof else self._sha256.hexdigest()


def content_hash(body: bytes) -> str:
    """Return the hash of a whole body. Empty if it has none."""
    content = ContentHash()
    content.take(body)
    return content.sha256
