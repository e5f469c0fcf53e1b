"""A try of the state folder: can files in it be created, written and locked?"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from syncd.ledger.folder.locks import refusal_of, require_private
from syncd.model.errors import LedgerUnwritable

_WRITTEN_BYTES = 64 * 1024


def require_usable(state_dir: Path) -> None:
    """Create, write and lock a file in the state folder, and remove it. A missing folder must be possible to create.

    Raises:
        LedgerError: something of that fails, or others can replace the folder's files.
    """
    folder = state_dir.absolute()
    try:
        require_private(folder)
        if folder.is_dir():
            _try(folder)
            return
    except OSError as error:
        raise refusal_of(error)(f"{state_dir}: no file in it can be written and locked: {error.strerror}") from error
    nearest = next(each for each in folder.parents if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise LedgerUnwritable(f"{state_dir}: it does not exist, and cannot be created in {nearest}")


def is_lockable(folder: Path) -> bool:
    """Return False if the file system of the folder grants no locks on ranges of bytes, as SQLite takes them."""
    # Without descriptors, neither the module nor the file is to be had.
    with suppress(OSError, ImportError):
        from tempfile import TemporaryFile  # noqa: PLC0415

        with TemporaryFile(dir=folder) as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
    return True


def _try(folder: Path) -> None:
    from tempfile import TemporaryFile  # noqa: PLC0415  # few verbs try the folder

    with TemporaryFile(dir=folder, prefix=".syncd-check-", buffering=0) as file:
        file.write(bytes(_WRITTEN_BYTES))
        os.fsync(file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
