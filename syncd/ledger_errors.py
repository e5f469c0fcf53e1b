"""What SQLite and the file system say, as errors of syncd.

A file is condemned by what is read of it alone: a page, a schema or a checksum that is not as it was written. What a
statement that writes is refused for is told by whoever is the source of its values, and is no damage.
"""

import os
import resource
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from syncd.errors import LedgerCorrupt, LedgerError, LedgerFull, LedgerRefused, LedgerUnwritable
from syncd.flock import NO_ROOM

ENDINGS = ("", "-wal", "-shm")
"""What SQLite puts behind the name of a file for the files that belong to it."""

_PROBE_BYTES = 64 * 1024


@contextmanager
def translated(path: Path, *, on_corrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn what SQLite and the file system say into the errors of syncd; `on_corrupt` is called before a LedgerCorrupt.

    Statements that write go through `change`, which is told apart here.

    Raises:
        LedgerFull: there is no room.
        LedgerCorrupt: the file is damaged, or was moved or removed while it was open.
        LedgerRefused: the values of a statement that writes do not fit.
        LedgerUnwritable: anything else that keeps the file from being used.
    """
    try:
        with _translated(path):
            yield
    except LedgerCorrupt:
        on_corrupt()
        raise


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake in this program, which a rebuild would only hide
    except sqlite3.Error as error:
        raise _meaning(error, path)(f"{path}: {error}") from error
    except UnicodeEncodeError as error:
        # Asked for by a text that cannot be written in UTF-8, and so was never remembered.
        raise _refused(error) from error
    except UnicodeDecodeError as error:
        # All text in rows is decoded whatever it is; this is SQLite quoting a damaged schema in its message.
        raise LedgerCorrupt(f"{path}: its schema is damaged") from error
    except OSError as error:
        kind = LedgerFull if error.errno in NO_ROOM else LedgerUnwritable
        raise kind(f"{path}: {error.strerror}") from error


def change(connection: sqlite3.Connection, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
    """Execute a statement that writes.

    Raises:
        LedgerRefused: its values do not fit, or SQLite calls the file damaged that is not.
        sqlite3.Error: anything else.
    """
    with _changing(connection):
        return connection.execute(statement, values)


def change_many(connection: sqlite3.Connection, statement: str, rows: Iterable[Sequence[object]]) -> None:
    """Execute a statement that writes once for each row of values; raises as `change`."""
    with _changing(connection):
        connection.executemany(statement, rows)


@contextmanager
def _changing(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as error:
        raise _refused(error) from error
    except sqlite3.Error as error:
        code = _code(error)
        if code & 0xFF in _OF_VALUES or (_is_of_a_page(code) and not _is_damaged(connection)):
            raise _refused(error) from error
        raise


def _refused(error: Exception) -> LedgerRefused:
    return LedgerRefused(f"what was found cannot be remembered: {error}")


def _is_damaged(connection: sqlite3.Connection) -> bool:
    """Return True if a check of every page finds damage: a statement that failed to write is no proof of any."""
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return True
    return bool(verdict != "ok")


_OF_VALUES = frozenset(
    {
        sqlite3.SQLITE_TOOBIG,
        # Such as a number that is none, which SQLite keeps as NULL.
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
    }
)
"""What SQLite says of the values that it is given."""
_OF_PAGES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_OF_THE_SCHEMA = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA})
"""All statements are constant, so one that cannot be prepared meets a schema that is not ours, before any value."""
_DAMAGED_READS = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)


def _is_of_a_page(code: int) -> bool:
    return code & 0xFF in _OF_PAGES or code in _DAMAGED_READS


def _meaning(error: sqlite3.Error, path: Path) -> type[LedgerError]:
    """Return what an error means that no value of a statement which writes has caused."""
    extended = _code(error)
    primary = extended & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return LedgerFull
    is_unreadable = _is_of_a_page(extended) or primary in _OF_THE_SCHEMA or primary == sqlite3.SQLITE_TOOBIG
    if is_unreadable or extended == sqlite3.SQLITE_READONLY_DBMOVED:
        return LedgerCorrupt
    if primary in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN} and _has_no_room(path):
        return LedgerFull
    # A flipped bit in the header's write version makes SQLite call a file read-only that is not.
    if extended == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return LedgerCorrupt
    return LedgerUnwritable


def _has_no_room(path: Path) -> bool:
    """Whether writes fail for want of room: SQLite itself says so only where the disk as a whole is full."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and any(size + _PROBE_BYTES > limit for size in _sizes(path)):
        return True
    try:
        descriptor = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return error.errno in NO_ROOM
    try:
        os.write(descriptor, bytes(_PROBE_BYTES))
        os.fsync(descriptor)
    except OSError as error:
        return error.errno in NO_ROOM
    finally:
        os.close(descriptor)
    return False


def _sizes(path: Path) -> Iterator[int]:
    for end in ENDINGS:
        with suppress(OSError):
            yield path.with_name(path.name + end).stat().st_size
