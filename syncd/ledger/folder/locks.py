"""Private files and folders, and locks that end with the process: flock(2) on files that are never removed.

Removing a lock file would let two processes lock two files of one name. A user who can write to the folder could
replace a file with a link, so such a folder is refused, and no link in it is followed.
"""

import errno
import fcntl
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from syncd.model.errors import (
    LedgerError,
    LedgerExposed,
    LedgerFull,
    LedgerStarved,
    LedgerUnlockable,
    LedgerUnwritable,
)
from syncd.model.shortage import SPENT, UNLOCKABLE

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The kernel's errors for a file that cannot grow: the disk, quota or process limit is used up."""

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ROOT = 0
_UNMAPPED = 65534
"""The owner that the kernel shows for users outside this user namespace."""


def refusal_of(error: OSError) -> type[LedgerError]:
    """Return what an error of the file system means for the state."""
    if error.errno in NO_ROOM:
        return LedgerFull
    if error.errno in SPENT:
        return LedgerStarved
    return LedgerUnlockable if error.errno in UNLOCKABLE else LedgerUnwritable


def open_private(path: Path) -> int:
    """Open a file for reading and writing, created with mode 0600 if it is missing.

    Raises:
        LedgerExposed: it is a link, not a regular file, another user's, or has other hard links.
        OSError: it cannot be opened.
    """
    try:
        return create_private(path)
    except FileExistsError:
        pass
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LedgerExposed(f"{path}: it is a symbolic link") from None
        raise
    try:
        _require_own_file(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_private(path: Path) -> int:
    """Create a file with mode 0600 and open it. Raises FileExistsError if it exists."""
    return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)


def create_private_directory(path: Path) -> None:
    """Create the directory (0700) and its missing parents, and check that it is private.

    Raises:
        LedgerExposed: others can replace its files.
        OSError: it cannot be created.
    """
    if not path.is_dir():
        require_private(path)
        _make_directory(path)
    require_private(path)


def require_private(folder: Path) -> None:
    """Check that a folder is private.

    Raises:
        LedgerExposed: see `exposure`.
        OSError: it cannot be read.
    """
    why = exposure(folder)
    if why is not None:
        raise LedgerExposed(why)


def exposure(folder: Path) -> str | None:
    """Return why others can replace the folder or files in it, or None if they cannot.

    They can if it, or a folder above it, belongs to another user or is writable by others. A folder above it may be
    writable by all if it is sticky and root's, as /tmp is: there users can move only their own files. A missing folder is
    judged by those above it. Raises OSError if it cannot be read.
    """
    folder = folder.absolute()
    chain = dict.fromkeys((folder, *folder.parents, *Path(os.path.realpath(folder)).parents))
    there = [each for each in chain if each.exists()]
    found = (_unsafe(each, each.stat(), is_above=each != folder) for each in there)
    return next((why for why in found if why is not None), None)


def require_plain(path: Path) -> None:
    """Check that a path is a regular file with one name, or missing, before a library opens it.

    Raises:
        LedgerExposed: it is a link, a pipe, a device, or a file with other hard links.
        OSError: it cannot be read.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        raise LedgerExposed(f"{path}: it is a symbolic link")
    _require_regular(path, status)


def lock_now(descriptor: int, *, exclusive: bool) -> bool:
    """Lock an open file without waiting. Returns False if another holds the lock.

    Two descriptors of one process exclude each other as two processes do.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_patiently(descriptor: int, *, exclusive: bool) -> None:
    """Lock an open file, waiting as long as needed."""
    fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _require_own_file(path: Path, status: os.stat_result) -> None:
    _require_regular(path, status)
    if status.st_uid not in (_ROOT, os.geteuid()):
        raise LedgerExposed(f"{path}: it belongs to {_user(status.st_uid)}")


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise LedgerExposed(f"{path}: it is not a regular file")
    if status.st_nlink > 1:
        raise LedgerExposed(f"{path}: the file has {status.st_nlink} names (hard links)")


def _unsafe(folder: Path, status: os.stat_result, *, is_above: bool) -> str | None:
    if status.st_uid not in (_ROOT, os.geteuid()) and not (is_above and _is_unmapped(status.st_uid)):
        return f"{folder}: it belongs to {_user(status.st_uid)}, and this process is {_user(os.geteuid())}"
    if is_above and status.st_mode & stat.S_ISVTX:
        return None
    for_group = status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)
    if status.st_mode & stat.S_IWOTH or for_group:
        return f"{folder}: others can write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def _is_own_group(gid: int) -> bool:
    """Return True if this user is the group's only member: a private group, or Kubernetes' fsGroup."""
    return gid in {os.getegid(), *os.getgroups()} and not any(uid not in (_ROOT, os.geteuid()) for uid in _members(gid))


def _members(gid: int) -> Iterator[int]:
    try:
        names = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        names = set()
    for user in pwd.getpwall():
        if user.pw_gid == gid or user.pw_name in names:
            yield user.pw_uid


def _is_unmapped(uid: int) -> bool:
    """Return True for the ID that the kernel shows for owners outside this user namespace."""
    if uid != _UNMAPPED:
        return False
    try:
        return Path("/proc/self/uid_map").read_text(encoding="ascii").split() != ["0", "0", "4294967295"]
    except OSError:
        return False


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
