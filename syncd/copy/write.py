"""Conditional writes."""

import re
from collections.abc import Generator, Sequence

from syncd.aws.s3 import Answer, Request
from syncd.copy.terms import CopyFailed, Terms, named
from syncd.model.objects import Transfer
from syncd.model.reasons import Reason

_ATTEMPTS = 3
# "The object key name is a sequence of Unicode characters whose UTF-8 encoding is up to 1,024 bytes long" (S3 User Guide).
_LONGEST_KEY_BYTES = 1024
_ETAG = re.compile(rb"<ETag>(?:&quot;|&#34;|\")?([^<&\"]*)")


def check_key(transfer: Transfer, terms: Terms) -> None:
    """Hold the key of the replica to what S3 takes, before anything is asked for.

    Raises:
        CopyFailed: it is longer.
    """
    key = transfer.destination_key
    # No character takes more than four bytes.
    if len(key) * 4 > _LONGEST_KEY_BYTES and (size := len(key.encode())) > _LONGEST_KEY_BYTES:
        replica = f"s3://{terms.destination_bucket}/{key}"
        detail = f"{replica} would have a key of {size} bytes, and S3 takes {_LONGEST_KEY_BYTES}"
        raise CopyFailed(Reason.KEY_TOO_LONG, detail)


def write(request: Request) -> Generator[Request, Answer, Answer]:
    """Send a conditional write; a 409 means that another writer of the same key was under way, and is asked again."""
    for _ in range(_ATTEMPTS - 1):
        answer = yield request
        if answer.status != 409:
            return answer
    return (yield request)


def is_refused_for_its_tags(answer: Answer, source_tags: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a write is to be sent without the source's tags: the object matters more than they do.

    To write tags is a permission of its own, and S3 takes no "system tags" (InvalidTag, S3 API Reference).
    """
    return bool(source_tags) and (answer.status == 403 or answer.code == "InvalidTag")


def confirm(answer: Answer, document: str, request: Request, terms: Terms) -> str:
    """Hold a 200 to the document that says what was done, and give the replica's ETag; empty if that is not told.

    The status of CopyObject, UploadPartCopy and CompleteMultipartUpload is sent before they are done: "a 200 OK response
    can contain either a success or an error" (S3 API Reference), and what is neither claims nothing.

    Raises:
        CopyFailed: the document is not there.
    """
    if f"<{document}".encode() not in answer.body:
        raise CopyFailed(Reason.UNEXPECTED, f"{named(request, terms)}: {answer.status} without a {document}")
    found = _ETAG.search(answer.body)
    return found[1].decode("utf-8", "replace").strip() if found else ""
