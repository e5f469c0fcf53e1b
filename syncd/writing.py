"""Conditional writes."""

from collections.abc import Generator

from syncd import failures
from syncd.s3 import Answer, Request
from syncd.terms import CopyFailed, Terms, named

_ATTEMPTS = 3


def write(request: Request) -> Generator[Request, Answer, Answer]:
    """Send a conditional write; a 409 means that another writer of the same key was under way, and is asked again."""
    for _ in range(_ATTEMPTS - 1):
        answer = yield request
        if answer.status != 409:
            return answer
    return (yield request)


def confirm(answer: Answer, document: str, request: Request, terms: Terms) -> None:
    """Hold a 200 to the document that says what was done.

    The status of CopyObject, UploadPartCopy and CompleteMultipartUpload is sent before they are done: "a 200 OK response
    can contain either a success or an error" (S3 API Reference), and what is neither claims nothing.

    Raises:
        CopyFailed: the document is not there.
    """
    if f"<{document}".encode() not in answer.body:
        raise CopyFailed(failures.UNEXPECTED, f"{named(request, terms)}: {answer.status} without a {document}")
