"""Errors that say what this process or machine has run out of. Pure."""

import errno
from collections.abc import Iterator

from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

SPENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""The kernel's errors for descriptors and memory that a process, or the machine, has used up."""
UNLOCKABLE = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
"""The kernel's errors for a file system that grants no locks."""
_SAID = (
    "can't start new thread",
    "[Errno 24] ",
    "[Errno 23] ",
    "Too many open files",
)


def shortage(error: BaseException) -> str:
    """Return what is lacking, in the words of the error or its cause. Returns an empty text for any other error."""
    for each in _chain(error):
        if isinstance(each, MemoryError):
            return "no memory is left"
        if isinstance(each, OSError) and each.errno in SPENT:
            return str(each.strerror)
        text = str(each)
        if any(words in text for words in _SAID):
            return text
    return ""


def resource_limit(doing: str, error: BaseException) -> JobFailed:
    """Return the failure of something that this process could not do for lack of resources."""
    what = error.strerror if isinstance(error, OSError) and error.strerror else shortage(error) or str(error)
    return JobFailed(Reason.RESOURCE_LIMIT, f"{doing}: {what}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__
