"""A passage: one read of the source and one write of the same bytes, by way of a buffer.

The bytes of a large body become no object of Python's: a worker moves them from one connection to the other. If the
source's S3 tells a checksum of them, the write begins with it, so S3 takes nothing but what the source's S3 stored.
Otherwise the body is held until its checksum is made.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from syncd.aws.s3 import Answer, Request
from syncd.copy.hashes.checksums import SHA256, Bytes, Checksum, Sum
from syncd.copy.hashes.content import ContentHash


class NotPassed(Exception):
    """The reason why a passage is not made. The copy goes another way."""


Write: TypeAlias = Callable[[Answer, tuple[str, str]], Request]
"""Returns the write by the head of the read and a checksum (header, value). May raise NotPassed."""


class Passage:
    """A step of a copy, beside `Request`. Its Answer is that of the write, or a failure if anything was unusual."""

    def __init__(
        self,
        read: Request,
        write: Write,
        checksum: str,
        *,
        holds: bool,
        also: Sequence[Sum | Checksum | ContentHash] = (),
    ) -> None:
        """`checksum` is the header of the one to make if none is told. `holds` allows to hold the body until then.

        `also` takes the bytes too.
        """
        self.read = read
        self.under_way = read
        """The request that a failure is about."""
        self.made: Sum | None = None
        """The checksum of the bytes, if none was told."""
        self._write = write
        self._checksum = checksum
        self._holds = holds
        self._also = also
        self._head = Answer(0, {}, b"")
        self._told = Checksum({})

    @property
    def size_bytes(self) -> int:
        """The bytes to move."""
        return self.read.expected_bytes

    def begun(self, head: Answer) -> Request | None:
        """Take the head of the read. Returns the write, or None if the whole body has to be taken first.

        Raises:
            NotPassed: these are not the bytes that were asked for, or they cannot go this way.
        """
        self._head = head
        # S3 sends none of a range.
        self._told = Checksum(head.headers if head.status == 200 else {})
        if self._told.expected and (self._told.name == self._checksum or self._checksum != SHA256):
            return self._written(self._told.name, self._told.expected)
        if not self._holds:
            raise NotPassed("no checksum is told")
        self.made = Sum(self._checksum)
        return None

    def take(self, piece: Bytes) -> None:
        """Take the next piece of the body."""
        for each in (self._told, self.made, *self._also):
            if each is not None:
                each.take(piece)

    @property
    def is_wrong(self) -> bool:
        """True if what was taken is not what the source's S3 stored."""
        return self._told.is_wrong

    def ended(self) -> Request:
        """Return the write of a body that was taken as a whole. May raise NotPassed."""
        assert self.made is not None, "the write has begun"
        return self._written(self.made.name, self.made.value)

    def _written(self, name: str, value: str) -> Request:
        self.under_way = self._write(self._head, (name, value))
        return self.under_way
