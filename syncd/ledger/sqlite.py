"""SQLite connections and transactions, and what SQLite's errors mean."""

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from syncd.ledger.folder.locks import NO_ROOM, refusal_of
from syncd.ledger.folder.probe import is_lockable
from syncd.model.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerRefused,
    LedgerStarved,
    LedgerUnlockable,
    LedgerUnwritable,
)
from syncd.model.shortage import SPENT

BUSY_SECONDS = 30.0
ENDINGS = ("", "-wal", "-shm")
"""The suffixes of a database and of the files that SQLite keeps beside it."""

_LONGEST_VALUE_BYTES = 64 * 1024 * 1024
_PROBE_BYTES = 64 * 1024
_OPENED_BY_SQLITE = 4
"""The file, its log, its index and a temporary file."""


def connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open a file that exists, with `mode` "rw" or "ro". Raises sqlite3.Error if that fails."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    return _configured(connection)


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open a file without being able to write to it. Raises sqlite3.Error if that fails."""
    try:
        return connect(path, mode="ro")
    except sqlite3.OperationalError:
        # SQLite creates an index of the write-ahead log even to read. On a read-only disk without a log it need not.
        if path.with_name(f"{path.name}-wal").exists() or os.access(path.parent, os.W_OK):
            raise
        return connect(path, mode="ro&immutable=1")


def connect_in_memory() -> sqlite3.Connection:
    """Open an empty database in memory."""
    return _configured(sqlite3.connect(":memory:", isolation_level=None))


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    # Damaged text must reach its checksum instead of failing to decode.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    try:
        for pragma in ("synchronous = NORMAL", "foreign_keys = OFF", "cell_size_check = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Have SQLite check the structure of every page. Raises LedgerCorrupt if one is damaged."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LedgerCorrupt(f"{path}: {verdict}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a write transaction: commit at its end, roll back if it or the commit fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(path: Path, *, on_corrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Raise errors of SQLite and the file system as errors of syncd.

    `on_corrupt` is called before a LedgerCorrupt is raised.

    Raises:
        LedgerFull: the disk is full.
        LedgerCorrupt: the file is damaged, or was moved or removed while it was open.
        LedgerRefused: a text in the query is not valid Unicode.
        LedgerStarved: no descriptor or memory is left.
        LedgerUnlockable, LedgerUnwritable: the file cannot be used for another reason.
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
        raise  # a bug in this program, which a rebuild would only hide
    except sqlite3.Error as error:
        meaning = _meaning(error, path)
        told = f"the file system grants no locks ({error})" if meaning is LedgerUnlockable else f"{error}"
        raise meaning(f"{path}: {told}") from error
    except UnicodeEncodeError as error:
        # The query's own text is not valid, so the file cannot hold it.
        raise LedgerRefused(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        # Text in rows always decodes, so this is SQLite quoting a damaged schema in its message.
        raise LedgerCorrupt(f"{path}: its schema is damaged") from error
    except OSError as error:
        raise refusal_of(error)(f"{path}: {error.strerror}") from error


_CORRUPT = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        # All statements are constant, so one that fails to compile has met a schema that is not ours.
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
    }
)
_DAMAGED_READS = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})


def _meaning(error: sqlite3.Error, path: Path) -> type[LedgerError]:
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = extended & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return LedgerFull
    if primary in _CORRUPT or extended in _DAMAGED_READS or extended == sqlite3.SQLITE_READONLY_DBMOVED:
        return LedgerCorrupt
    if primary == sqlite3.SQLITE_NOMEM:
        return LedgerStarved
    if primary in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
        if _has_no_descriptors():
            return LedgerStarved
        if _has_no_room(path):
            return LedgerFull
    # SQLite takes a lock that the system does not grant for one that another process holds.
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR} and not is_lockable(path.parent):
        return LedgerUnlockable
    # A flipped bit in the header's write version makes SQLite report a writable file as read-only.
    if extended == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return LedgerCorrupt
    return LedgerUnwritable


def _has_no_room(path: Path) -> bool:
    """Return True if writes fail for lack of space: SQLite reports only a disk that is full as a whole."""
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


def _has_no_descriptors() -> bool:
    """Return True if no file can be opened, which SQLite reports as a file that it cannot open."""
    opened: list[int] = []
    try:
        opened += (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(_OPENED_BY_SQLITE))
    except OSError as error:
        return error.errno in SPENT
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def _sizes(path: Path) -> Iterator[int]:
    for end in ENDINGS:
        with suppress(OSError):
            yield path.with_name(path.name + end).stat().st_size
