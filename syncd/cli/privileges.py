"""The process itself: its limit of open files, its garbage, and dropping root's privileges before touching another user's state, in verbs and their workers.

The process keeps only CAP_DAC_READ_SEARCH, to read credentials that only root can read, and this program itself.
Whatever the other user plants in the state folder, root writes, creates and removes nothing there.
"""

import gc
import os
import pwd
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.model.errors import LedgerExposed

if TYPE_CHECKING:
    import ctypes

_ALLOCATIONS_TO_A_LOOK = 20_000
_READ_SEARCH = 2  # CAP_DAC_READ_SEARCH, capabilities(7)
_VERSION_3 = 0x20080522
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2


def drop_to_owner(state_dir: Path) -> str | None:
    """Become the owner of the state folder, if this is root and another user owns it.

    Root would follow links that the user plants there. If the folder is missing, its nearest parent counts. Real,
    effective and saved IDs and all groups change, so there is no way back, here or in a child.

    Returns:
        The user's name, or the number of a user without a name. None if nothing changed.

    Raises:
        LedgerExposed: this process cannot become that user, or that user cannot run this program.
    """
    if os.geteuid() != 0:
        return None
    status = _nearest(state_dir.absolute()).stat()
    if status.st_uid == 0:
        return None
    try:
        user = pwd.getpwuid(status.st_uid)
    except KeyError:
        name, gid, groups = str(status.st_uid), status.st_gid or status.st_uid, []
    else:
        name, gid, groups = user.pw_name, user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid)
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    try:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(status.st_uid, status.st_uid, status.st_uid)
    except OSError as error:
        why = f"{state_dir}: it belongs to user {name}, and root cannot become that user here: {error.strerror}"
        raise LedgerExposed(why) from error
    _keep_reading(libc)
    if not os.access(sys.executable, os.X_OK, effective_ids=True):
        raise LedgerExposed(f"{state_dir}: it belongs to user {name}, who cannot run {sys.executable}")
    # More of it is loaded later.
    if not os.access(__file__, os.R_OK, effective_ids=True):
        raise LedgerExposed(
            f"{state_dir}: it belongs to user {name}, who cannot read syncd in {Path(__file__).parents[1]}"
        )
    return name


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as it may allow itself: the usual 1,024 are few for a thousand jobs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def look_for_garbage() -> None:
    """Have the collector look more often from now on, and not among what was loaded until now, which stays."""
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_TO_A_LOOK)


def _keep_reading(libc: "ctypes.CDLL") -> None:
    """Drop all capabilities but the one to read, which children inherit. Drops that one too if it is refused."""
    header = struct.pack("=Ii", _VERSION_3, 0)
    one = 1 << _READ_SEARCH
    # Effective, permitted and inheritable: 32 bits each, then the same for the upper 32 bits.
    if libc.capset(header, struct.pack("=6I", one, one, one, 0, 0, 0)) != 0:
        libc.capset(header, struct.pack("=6I", 0, 0, 0, 0, 0, 0))
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _READ_SEARCH, 0, 0)


def _nearest(path: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
