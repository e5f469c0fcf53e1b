"""What all ways of copying an object share: the terms of a job, and how a copy fails."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from syncd.aws import answers
from syncd.aws.s3 import Answer, Request, Side
from syncd.model.bounds import COPIES_IN_MEMORY, part_size_for
from syncd.model.objects import Failed, Outcome, Transfer
from syncd.model.reasons import Reason

Steps: TypeAlias = Generator[Request, Answer, Outcome]
"""One copy: yields Requests, is sent their Answers, returns an Outcome."""


# "CopyObject: … you can create a copy of an object up to 5 GB in a single atomic action" (S3 API Reference).
LARGEST_COPY_BYTES = 5 * 1000**3
COPY_PART_BYTES = 1024**3

# What an answer tells of a source that was listed. Nothing is tried again for these before a listing tells of something
# else, so no answer about a replica or an upload may pass for one of them.
_OF_THE_SOURCE = frozenset({Reason.OBJECT_GONE, Reason.OBJECT_CHANGED, Reason.ARCHIVED})


# What stands in a listed key for bytes that are no UTF-8. A key may also have the character itself.
_NOT_UTF8 = "\N{REPLACEMENT CHARACTER}"


class Bounds(NamedTuple):
    """From which size on objects are copied in parts, and of what size these are; all in bytes, as in `Terms`."""

    multipart_above: int
    part_size: int
    largest_copy: int = LARGEST_COPY_BYTES
    copy_part_size: int = COPY_PART_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every copy of a job."""

    source_bucket: str
    source_owner: str
    """Account ID, sent as the expected owner of the source."""
    source_principal: str
    """Who reads, for failure reports."""
    destination_bucket: str
    destination_owner: str
    destination_principal: str
    multipart_above: int
    """Objects of more bytes than this are copied in parts."""
    part_size: int
    copy_principal: str = ""
    """Who signs server-side copies."""
    copies_tags: bool = True
    """Source tags go along if that is permitted; a job has to ask for it (`destination.copy_tags`)."""
    landing: tuple[tuple[str, str], ...] = ()
    """Headers of every write that say what lands: storage class, encryption, tags, ACL."""
    largest_copy: int = LARGEST_COPY_BYTES
    """Objects of more bytes than this are copied by the server in parts ..."""
    copy_part_size: int = COPY_PART_BYTES
    """... of so many bytes, or more if there would be too many."""
    max_object: int | None = None
    """Larger objects are not copied."""
    memory_bytes: int | None = None
    """What bodies in flight may hold; None if it does not matter how large a part is."""

    @property
    def bounds(self) -> Bounds:
        """What of it decides how many requests a copy takes."""
        return Bounds(self.multipart_above, self.part_size, self.largest_copy, self.copy_part_size)

    def held_bytes(self, size_bytes: int) -> int:
        """What a copy of an object of this size holds in memory at the most."""
        return COPIES_IN_MEMORY * (size_bytes if size_bytes <= self.multipart_above else self.part_size_of(size_bytes))

    def part_size_of(self, size_bytes: int) -> int:
        """The size of the parts of an object of this size."""
        return part_size_for(size_bytes, self.part_size)


class CopyFailed(Exception):
    """Ends a copy; caught where the copy began, and never seen outside of it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def failed_of(transfer: Transfer, failed: CopyFailed) -> Failed:
    """Make the outcome of a copy that failed so."""
    if failed.reason == Reason.OBJECT_GONE and _NOT_UTF8 in transfer.object.key:
        detail = f"{failed.detail}; the key was listed with bytes that are no UTF-8, each shown as {_NOT_UTF8}"
        return Failed(transfer, Reason.KEY_NOT_UTF8, detail)
    return Failed(transfer, failed.reason, failed.detail)


def named(request: Request, terms: Terms) -> str:
    """Call, principal and resource, as every failure names them."""
    if request.side is Side.SOURCE:
        principal, bucket = terms.source_principal, terms.source_bucket
    elif request.side is Side.COPY:
        principal, bucket = terms.copy_principal, terms.destination_bucket
    else:
        principal, bucket = terms.destination_principal, terms.destination_bucket
    return f"{request.operation} by {principal} of s3://{bucket}/{request.key}"


def failure_of(answer: Answer, request: Request, terms: Terms) -> CopyFailed:
    """The failure that an answer is: call, principal, resource, and what was answered."""
    reason = answers.reason_of(answer.status, answer.code, answer.message)
    is_about_replica = request.side is Side.DESTINATION or answer.code == "NoSuchUpload"
    if is_about_replica and reason in _OF_THE_SOURCE:
        reason = Reason.UNEXPECTED
    told = answers.said(answer.code, answer.message) or "no reason given"
    status = f"{answer.status} " if answer.status else ""
    return CopyFailed(reason, f"{named(request, terms)}: {status}{told}")


def short_body(answer: Answer, request: Request, terms: Terms) -> CopyFailed:
    """The failure of a body that came short, or long."""
    detail = f"{named(request, terms)}: {len(answer.body)} bytes came of {request.expected_bytes}"
    return CopyFailed(Reason.SHORT_BODY, detail)


def not_comparable(answer: Answer, request: Request, terms: Terms) -> CopyFailed:
    """The failure of a replica that is there and cannot be read: denied, or archived by a lifecycle of its own bucket."""
    failure = failure_of(answer, request, terms)
    reason = answers.reason_of(answer.status, answer.code, answer.message)
    if reason not in (Reason.ACCESS_DENIED, Reason.ARCHIVED):
        return failure
    return CopyFailed(Reason.CANNOT_COMPARE, f"a replica is there but cannot be compared: {failure.detail}")
