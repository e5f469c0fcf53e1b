"""What goes wrong with a copy, for each way of copying: each request in each way there is, and what it comes to.

What can go wrong with any request stands in ANY, what may happen to the source or the replica in EVENTS; the rest is a
matter of a few operations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from builders_copy import DESTINATION, SOURCE
from faulty import Body, CorruptBody, DropConnection, ErrorIn200, FaultyS3, Request, ShortBody, Stall, Status
from faulty.faults import Action

from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps

SMALL, LARGE = b"a log", b"a large log"
"""The larger one is copied in parts."""


class Way(NamedTuple):
    """A way of copying: what makes its steps, an object that it is taken for, and its requests in their order."""

    begin: Callable[[Copy], Steps]
    body: bytes
    operations: Sequence[str]


# A head of the destination is told from one of the source by a plus.
WAYS = {
    "streamed": Way(stream, SMALL, ["GetObject", "PutObject"]),
    "streamed in parts": Way(
        stream,
        LARGE,
        ["+HeadObject", "HeadObject", "GetObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"],
    ),
    "passed": Way(stream, SMALL, ["GetObject", "PutObject"]),
    "passed in parts": Way(
        stream,
        LARGE,
        ["+HeadObject", "HeadObject", "GetObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"],
    ),
    "by the server": Way(server_side, SMALL, ["CopyObject"]),
    "by the server in parts": Way(
        server_side, LARGE, ["HeadObject", "CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"]
    ),
}
LAST = {"PutObject", "CopyObject", "CompleteMultipartUpload"}
"""What brings the object to the destination."""
RESULTS = {"CopyObject": "CopyObjectResult", "UploadPartCopy": "CopyPartResult"} | {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult"
}
"""S3 may send the status of these before they are done, and this document then tells what came of it."""
AT_SOURCE = {"GetObject", "HeadObject"}


TAGGED = {"tags": {"team": "audit"}}
WITH_SHA256 = {"checksum_algorithm": "sha256"}


@dataclass(frozen=True)
class Case:
    """What goes wrong with one object, and the outcome of its copy: `Copied`, `AlreadyThere`, `Conflict` or a reason."""

    operation: str
    expected: str
    action: Action | None = None
    times: int | None = None
    happens: Callable[[FaultyS3, str], object] | None = None
    """What is done to the object of this key when the first such request for it comes ..."""
    at: int = 1
    """... or a later one."""
    put: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    """Told beside the call."""

    def is_met_by(self, request: Request) -> bool:
        """Whether it is about requests of this operation, at this end."""
        operation, is_replica = self.operation.removeprefix("+"), self.operation.startswith("+")
        bucket = SOURCE if operation in AT_SOURCE and not is_replica else DESTINATION
        is_tagged = "x-amz-tagging" in request.headers or request.headers.get("x-amz-tagging-directive") == "COPY"
        return (request.operation, request.bucket) == (operation, bucket) and (is_tagged or self.put is not TAGGED)


# What may go wrong with any request

ANY: Mapping[str, tuple[str, Action, int | None]] = {
    "is refused": ("access_denied", Status(403, "AccessDenied", "Access Denied"), None),
    "is slowed down for a moment": ("Copied", Status(503, "SlowDown"), 3),
    "is slowed down for ever": ("slow_down", Status(503, "SlowDown"), None),
    "has an internal error": ("Copied", Status(500, "InternalError"), 1),
    "has an internal error for ever": ("server_error", Status(500, "InternalError"), None),
    "loses its connection": ("Copied", DropConnection(), 1),
    "always loses its connection": ("connection_failed", DropConnection(), None),
    "is done and not answered": ("Copied", DropConnection(is_applied=True), 1),
    "is done and answered with an error": ("Copied", Status(500, "InternalError", is_applied=True), 1),
    "says nothing": ("timeout", Stall(), None),
}
EXCEPTIONS = {
    # Without s3:ListBucket, S3 refuses to say that nothing is there: it is written conditionally.
    ("streamed in parts", "+HeadObject", "is refused"): "Copied",
    # Whether it may be read, and why not, the read itself tells.
    ("streamed in parts", "HeadObject", "is refused"): "Copied",
    ("passed in parts", "+HeadObject", "is refused"): "Copied",
    ("passed in parts", "HeadObject", "is refused"): "Copied",
}


def of_any_request(way: str) -> Iterator[tuple[str, Case]]:
    for operation in WAYS[way].operations:
        for what, (expected, action, times) in ANY.items():
            is_done_before = operation in LAST and what.startswith("is done")
            ends = "AlreadyThere" if is_done_before else EXCEPTIONS.get((way, operation, what), expected)
            yield f"{operation} {what}", Case(operation, ends, action, times)


# What may happen to the source, and to the replica


def gone(server: FaultyS3, key: str) -> None:
    server.delete(SOURCE, key)


def rewritten(server: FaultyS3, key: str) -> None:
    server.put(SOURCE, key, b"something else")


def encrypted_anew(server: FaultyS3, key: str) -> None:
    server.put(SOURCE, key, server.get(SOURCE, key).body, etag="another")


def archived(server: FaultyS3, key: str) -> None:
    server.put(SOURCE, key, server.get(SOURCE, key).body, storage_class="DEEP_ARCHIVE")


def written_by_another(server: FaultyS3, key: str) -> None:
    server.put(DESTINATION, key, server.get(SOURCE, key).body)


def written_otherwise(server: FaultyS3, key: str) -> None:
    body = server.get(SOURCE, key).body
    server.put(DESTINATION, key, b"#" * len(body))


EVENTS: Mapping[str, tuple[Callable[[FaultyS3, str], object], str]] = {
    "the object goes": (gone, "object_gone"),
    "the object is rewritten": (rewritten, "object_changed"),
    "the object is encrypted anew": (encrypted_anew, "object_changed"),
    "the object is archived": (archived, "archived"),
    "another writes the same": (written_by_another, "AlreadyThere"),
    "another writes something else": (written_otherwise, "Conflict"),
}


def of_events(way: str) -> Iterator[tuple[str, Case]]:
    """Before the first request that meets it, and for what is read in parts between two parts of it."""
    operations = WAYS[way].operations
    for what, (happens, expected) in EVENTS.items():
        meets = operations[0].removeprefix("+")
        yield f"{what} before it", Case(meets, expected, happens=happens)
        if len(operations) > 2:
            part = "GetObject" if "GetObject" in operations else "UploadPartCopy"
            yield f"{what} between its parts", Case(part, expected, happens=happens, at=2)


# What is a matter of a few operations

KMS = "User: arn:aws:iam::222222222222:user/syncd is not authorized to perform: kms:{} on the resource"
DENIED = 'User: arn:aws:iam::222222222222:user/syncd is not authorized to perform: s3:{} on resource: "arn:aws:s3:::x"'
LATE = b'<?xml version="1.0" encoding="UTF-8"?>' + b"\n" * 600 + b"<Error><Code>AccessDenied</Code></Error>"


def shortened(server: FaultyS3, key: str) -> None:
    item = server.get(SOURCE, key)
    server.put(SOURCE, key, item.body[:-1], etag=item.etag)


def of_reads(way: str) -> Iterator[tuple[str, Case]]:
    """Where the bytes come by here."""
    if "GetObject" not in WAYS[way].operations:
        return
    yield "a body is cut once", Case("GetObject", "Copied", ShortBody(2), 1)
    yield "a body is always cut", Case("GetObject", "connection_failed", ShortBody(2))
    # What a passage does not take is read again.
    ends = "Copied" if way == "passed" else "checksum_mismatch"
    yield "a body is corrupted once", Case("GetObject", ends, CorruptBody(), 1, put=WITH_SHA256)
    yield "a body is corrupted that S3 hashed itself", Case("GetObject", "checksum_mismatch", CorruptBody())
    yield "a body is shorter than it was listed", Case("GetObject", "short_body", happens=shortened)
    yield (
        "the key refuses to decrypt",
        Case("GetObject", "kms_access_denied", Status(403, "AccessDenied", KMS.format("Decrypt"))),
    )


def of_copies(way: str) -> Iterator[tuple[str, Case]]:
    """Where S3 moves the bytes: which end refuses is told as far as S3 tells it."""
    for operation in {"CopyObject", "UploadPartCopy"}.intersection(WAYS[way].operations):
        for action, end in {"GetObject": "source", "PutObject": "destination"}.items():
            refusal = Status(403, "AccessDenied", DENIED.format(action))
            yield (
                f"the {end} refuses",
                Case(operation, "access_denied", refusal, detail=f"refused at the {end}: s3:{action}"),
            )
        for action in ("Decrypt", "GenerateDataKey"):
            refusal = Status(403, "AccessDenied", KMS.format(action))
            yield f"the key refuses {action}", Case(operation, "kms_access_denied", refusal, detail=f"kms:{action}")
        yield "the key is disabled", Case(operation, "kms_key_disabled", Status(400, "KMS.DisabledException"))
        yield "the source's bucket is gone", Case(operation, "no_such_bucket", Status(404, "NoSuchBucket"))
        yield "the server knows no such call", Case(operation, "unsupported", Status(501, "NotImplemented"))
    if way == "by the server in parts":
        yield "it is found with another size", Case("HeadObject", "object_changed", happens=shortened)
        lost = Status(404, "NoSuchUpload")
        yield (
            "the upload is aborted by another",
            Case("UploadPartCopy", "unexpected_answer", lost, detail="NoSuchUpload"),
        )


def of_writes(way: str) -> Iterator[tuple[str, Case]]:
    for operation in {"PutObject", "CreateMultipartUpload"}.intersection(WAYS[way].operations):
        refusal = Status(403, "AccessDenied", KMS.format("GenerateDataKey"))
        yield "the key refuses to encrypt", Case(operation, "kms_access_denied", refusal)
    for operation in {"PutObject", "UploadPart", "CopyObject", "UploadPartCopy"}.intersection(WAYS[way].operations):
        yield f"{operation} comes broken", Case(operation, "checksum_mismatch", Status(400, "BadDigest"))
    for operation in LAST.intersection(WAYS[way].operations):
        met = Status(409, "ConditionalRequestConflict")
        yield f"{operation} meets another write", Case(operation, "Copied", met, 2)
        yield f"{operation} always meets another write", Case(operation, "concurrent_write", met)
    for operation in {"PutObject", "CreateMultipartUpload", "CopyObject"}.intersection(WAYS[way].operations):
        yield f"{operation} may write no tags", Case(operation, "Copied", Status(403, "AccessDenied"), put=TAGGED)


def of_results(way: str) -> Iterator[tuple[str, Case]]:
    for operation in set(RESULTS).intersection(WAYS[way].operations):
        error, refusal = ErrorIn200(), ErrorIn200("AccessDenied", "Access Denied")
        padded = Body(b"\n  <Error><Code>AccessDenied</Code></Error>")
        missing = f"200 without a {RESULTS[operation]}" if operation in LAST else ""
        yield f"{operation} has an error in its 200", Case(operation, "Copied", error, 1)
        yield f"{operation} has an error in its 200 for ever", Case(operation, "server_error", error)
        yield f"{operation} has a refusal in its 200", Case(operation, "access_denied", refusal)
        yield f"{operation} has a refusal behind spaces", Case(operation, "access_denied", padded)
        yield f"{operation} has an error too late", Case(operation, "unexpected_answer", Body(LATE))
        yield f"{operation} has nothing in its 200", Case(operation, "unexpected_answer", Body(b""), detail=missing)
        yield (
            f"{operation} has something else in it",
            Case(operation, "unexpected_answer", Body(b"<a/>"), detail=missing),
        )
        ends = "AlreadyThere" if operation in LAST else "Copied"
        yield f"{operation} is done and answered in part", Case(operation, ends, ShortBody(20), 1)


def cases_of(way: str) -> dict[str, Case]:
    every = (of_any_request, of_events, of_reads, of_copies, of_writes, of_results)
    return {what: case for some in every for what, case in some(way)}
