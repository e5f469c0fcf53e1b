"""Root does not touch another user's state: a verb becomes that user first, for good, and so do its workers."""

import os
import pwd
from pathlib import Path

from syncd.errors import LedgerExposed


def drop_to_owner(state_dir: Path) -> str | None:
    """Become the owner of the state folder, if this process is root and the folder is another user's.

    Root would follow whatever that user plants there. Of a folder that is missing, the one that it is to be made in
    counts. Real, effective and saved IDs and all groups change, so that there is no way back, here or in a child.

    Returns:
        The user's name, or the number of one without a name; None if nothing changed.

    Raises:
        LedgerExposed: this process may not become that user.
    """
    if os.geteuid() != 0:
        return None
    status = _nearest(state_dir.absolute()).stat()
    if status.st_uid == 0:
        return None
    try:
        user = pwd.getpwuid(status.st_uid)
    except KeyError:
        name, gid = str(status.st_uid), status.st_gid
    else:
        name, gid = user.pw_name, user.pw_gid
    try:
        os.setgroups([] if name.isdecimal() else os.getgrouplist(name, gid))
        os.setresgid(gid, gid, gid)
        os.setresuid(status.st_uid, status.st_uid, status.st_uid)
    except OSError as error:
        raise LedgerExposed(
            f"{state_dir}: it belongs to user {name}, and root cannot become that user here: {error.strerror}"
        ) from error
    return name


def _nearest(path: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
