"""Locks that end with the process that holds them: flock(2) on files that are never removed.

Removing a lock file would let two processes lock two files of one name.
"""

import errno
import fcntl
import os
from pathlib import Path

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the kernel says where a file cannot grow: the disk, the user's quota or the process's limit is used up."""


def open_private(path: Path) -> int:
    """Open a file for reading and writing, made with mode 0600 where it is missing; OSError where that cannot be."""
    try:
        return create_private(path)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def create_private(path: Path) -> int:
    """Make and open a file with mode 0600; FileExistsError where there is one, another OSError where it cannot be.

    What root makes belongs to the owner of the directory, or the service's own user could not open it afterwards.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def create_private_directory(path: Path) -> None:
    """Make a directory with mode 0700, and those above it, where they are missing; OSError where that cannot be."""
    if path.is_dir():
        return
    create_private_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def lock_now(descriptor: int, *, exclusive: bool) -> bool:
    """Lock an open file if that can be done at once, and say whether it was.

    Two descriptors of one process exclude each other as two processes do.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_patiently(descriptor: int, *, exclusive: bool) -> None:
    """Lock an open file, waiting for as long as it takes."""
    fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
