"""Conditional writes."""

from collections.abc import Generator

from syncd.s3 import Answer, Request

_ATTEMPTS = 3


def write(request: Request) -> Generator[Request, Answer, Answer]:
    """Send a conditional write; a 409 means that another writer of the same key was under way, and is asked again."""
    for _ in range(_ATTEMPTS - 1):
        answer = yield request
        if answer.status != 409:
            return answer
    return (yield request)
