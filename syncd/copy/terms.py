"""Copy, the value behind every step: one transfer under its job's terms. And the failures of a copy."""

from collections.abc import Generator
from typing import NamedTuple, TypeAlias

from syncd.aws import answers
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.hashes.checksums import CRC64NVME, SHA256
from syncd.copy.passage import Passage
from syncd.model.bounds import COPIES_IN_MEMORY, part_size_for
from syncd.model.objects import Copied, Failed, LogObject, Outcome, Transfer
from syncd.model.reasons import Reason

Steps: TypeAlias = Generator[Request | Passage, Answer, Outcome]
"""One copy: yields Requests and Passages, is sent their Answers, returns an Outcome."""


# "CopyObject: … you can create a copy of an object up to 5 GB in a single atomic action" (S3 API Reference).
LARGEST_COPY_BYTES = 5 * 1000**3
COPY_PART_BYTES = 1024**3
PASSAGE_BYTES = 1024**2
"""Objects from this size on are moved by passages: below it two requests cost less than two connections."""

# Reasons that are about a listed source object. Such an object is not retried before a listing shows another one, so no
# answer about a replica or an upload may pass for one of them.
_OF_THE_SOURCE = frozenset({Reason.OBJECT_GONE, Reason.OBJECT_CHANGED, Reason.ARCHIVED})


# Stands in a listed key for bytes that are not UTF-8. A key may also contain the character itself.
_NOT_UTF8 = "\N{REPLACEMENT CHARACTER}"


class Bounds(NamedTuple):
    """Sizes, in bytes, and the checksum: they decide how many requests a copy takes. Fields as in `Terms`."""

    multipart_above: int
    part_size: int
    largest_copy: int = LARGEST_COPY_BYTES
    copy_part_size: int = COPY_PART_BYTES
    passage_bytes: int = PASSAGE_BYTES
    checksum: str = CRC64NVME


class Terms(NamedTuple):
    """The terms of every copy of a job."""

    source_bucket: str
    source_owner: str
    """Account ID that CopyObject expects to own the source's bucket."""
    source_principal: str
    """Name of the reader in failure reports."""
    destination_bucket: str
    destination_principal: str
    multipart_above: int
    """Objects of more bytes than this are written in parts."""
    part_size: int
    """The most bytes of a body that are held in memory."""
    checksum: str = CRC64NVME
    """The header of the checksum that large objects are written with."""
    passage_bytes: int = PASSAGE_BYTES
    """Objects of fewer bytes than this make no passage."""
    copy_principal: str = ""
    """Name of the signer of server-side copies."""
    copies_tags: bool = True
    """Source tags are copied if that is permitted. A job has to ask for it (`destination.copy_tags`)."""
    landing: tuple[tuple[str, str], ...] = ()
    """Headers of every write that set storage class, encryption, tags and ACL."""
    largest_copy: int = LARGEST_COPY_BYTES
    """Objects of more bytes than this are copied by the server in parts ..."""
    copy_part_size: int = COPY_PART_BYTES
    """... of so many bytes, or more if there would be too many parts."""
    max_object: int | None = None
    """Objects of more bytes than this are not copied."""
    hashes_content: bool = False
    """The hash of the uncompressed content is computed while it is streamed, for `verify = "continuous"`."""
    memory_bytes: int | None = None
    """Memory for bodies in flight. None if a part of any size will do."""

    @property
    def bounds(self) -> Bounds:
        """Sizes and checksum, which decide how many requests a copy takes."""
        return Bounds(
            self.multipart_above,
            self.part_size,
            self.largest_copy,
            self.copy_part_size,
            self.passage_bytes,
            self.checksum,
        )

    def held_bytes(self, size_bytes: int) -> int:
        """Return the most memory that a copy of an object of this size takes."""
        return COPIES_IN_MEMORY * min(size_bytes, self.part_size_of(size_bytes))

    def part_size_of(self, size_bytes: int) -> int:
        """Return the size of the parts of an object of this size."""
        return part_size_for(size_bytes, self.part_size)


class CopyFailed(Exception):
    """The end of a copy that failed. Raised and caught within `syncd.copy`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Copy(NamedTuple):
    """One transfer under the terms of its job."""

    transfer: Transfer
    terms: Terms

    @property
    def object(self) -> LogObject:
        """The source object, as it was listed."""
        return self.transfer.object

    @property
    def key(self) -> str:
        """The key of the replica."""
        return self.transfer.destination_key

    @property
    def source_url(self) -> str:
        """The source object's URL, for reports."""
        return f"s3://{self.terms.source_bucket}/{self.object.key}"

    @property
    def replica_url(self) -> str:
        """The replica's URL, for reports."""
        return f"s3://{self.terms.destination_bucket}/{self.key}"

    @property
    def is_large(self) -> bool:
        """True if the object is not held in memory as a whole."""
        return self.object.size_bytes > self.terms.part_size

    @property
    def is_passed(self) -> bool:
        """True if a passage is tried."""
        return self.object.size_bytes >= self.terms.passage_bytes

    @property
    def checksum(self) -> str:
        """The header of the checksum that its parts are written with."""
        return self.terms.checksum if self.is_passed else SHA256

    @property
    def part_size(self) -> int:
        """The size of its parts."""
        return self.terms.part_size_of(self.object.size_bytes)

    def named(self, request: Request) -> str:
        """Return the call, principal and resource of a request, as every failure names them."""
        terms = self.terms
        if request.side is Side.SOURCE:
            principal, bucket = terms.source_principal, terms.source_bucket
        elif request.side is Side.COPY:
            principal, bucket = terms.copy_principal, terms.destination_bucket
        else:
            principal, bucket = terms.destination_principal, terms.destination_bucket
        return f"{request.operation} by {principal} of s3://{bucket}/{request.key}"

    def failure(self, answer: Answer, request: Request) -> CopyFailed:
        """Return the failure that an answer is: call, principal, resource, and what was answered."""
        reason = answers.reason_of(answer.status, answer.code, answer.message)
        is_about_replica = request.side is Side.DESTINATION or answer.code == "NoSuchUpload"
        if is_about_replica and reason in _OF_THE_SOURCE:
            reason = Reason.UNEXPECTED
        said = answers.said(request.operation, answer.code, answer.message) or "no reason given"
        status = f"{answer.status} " if answer.status else ""
        return CopyFailed(reason, f"{self.named(request)}: {status}{said}")

    def short_body(self, answer: Answer, request: Request) -> CopyFailed:
        """Return the failure of a body of the wrong length."""
        detail = f"{self.named(request)}: {len(answer.body)} bytes came of {request.expected_bytes}"
        return CopyFailed(Reason.SHORT_BODY, detail)

    def malformed(self, error: ValueError, request: Request) -> CopyFailed:
        """Return the failure of an answer that is not the document of the API."""
        return CopyFailed(Reason.UNEXPECTED, f"{self.named(request)}: {error}")

    def done(self, replica_etag: str, content: str = "") -> Copied:
        """Return the outcome of a copy that was made. `content` is the hash of its uncompressed content, if known."""
        return Copied(self.transfer, replica_etag, content)

    def failed(self, failed: CopyFailed) -> Failed:
        """Return the outcome of a copy that failed so."""
        if failed.reason == Reason.OBJECT_GONE and _NOT_UTF8 in self.object.key:
            detail = f"{failed.detail}; the key was listed with bytes that are no UTF-8, each shown as {_NOT_UTF8}"
            return Failed(self.transfer, Reason.KEY_NOT_UTF8, detail)
        return Failed(self.transfer, failed.reason, failed.detail)
