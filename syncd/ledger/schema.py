"""The schema of the state file, how it is opened, checked and migrated, and what SQLite's errors mean.

No table has a second index, so that none can disagree with its table: each is one tree. Every row ends in a checksum
of the values before it, because SQLite notices damage to a page's structure and not to what is in it.
"""

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from syncd.ledger.locks import NO_ROOM
from syncd.ledger.rows import is_whole, with_checksum
from syncd.model.errors import LedgerCorrupt, LedgerError, LedgerFull, LedgerNewer, LedgerRefused, LedgerUnwritable

BUSY_SECONDS = 30.0
ENDINGS = ("", "-wal", "-shm")
"""What SQLite puts behind the name of a file for the files that belong to it."""

_LONGEST_VALUE_BYTES = 64 * 1024 * 1024
_PROBE_BYTES = 64 * 1024

TABLES = {
    "meta": "name TEXT PRIMARY KEY, value TEXT NOT NULL",
    # start and mode are NULL until they are known.
    "replicas": """
        source_bucket TEXT, source_prefix TEXT,
        destination_endpoint TEXT, destination_bucket TEXT, destination_prefix TEXT,
        id INTEGER NOT NULL, job TEXT NOT NULL, start REAL, discovered_at REAL NOT NULL, mode TEXT, mode_why TEXT,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (source_bucket, source_prefix, destination_endpoint, destination_bucket, destination_prefix)""",
    "shards": """
        replica INTEGER, prefix TEXT, id INTEGER NOT NULL,
        account TEXT NOT NULL, kind TEXT NOT NULL, region TEXT NOT NULL, organization TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)""",
    "cursors": """
        shard INTEGER PRIMARY KEY,
        frontier REAL NOT NULL, listed_at REAL NOT NULL, recent_at REAL NOT NULL,
        deep_key TEXT NOT NULL, deep_at REAL NOT NULL,
        complete_from REAL NOT NULL, complete_until REAL NOT NULL,
        newest_arrival REAL NOT NULL, deep_done_at REAL NOT NULL,
        layout TEXT NOT NULL, found_by TEXT NOT NULL, branches TEXT NOT NULL,
        audit_key TEXT NOT NULL, audit_at REAL NOT NULL, audited_at REAL NOT NULL,
        sealed_audit_day TEXT NOT NULL, sealed_audit_at REAL NOT NULL, sealed_audited_at REAL NOT NULL,
        checksum INTEGER NOT NULL""",
    "looked": """
        replica INTEGER, prefix TEXT, looked_at REAL NOT NULL, children TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)""",
    # tail and etag as in ledger_rows; etag is NULL where only the destination's listing told of the object.
    "objects": """
        shard INTEGER, tail TEXT, etag BLOB, size_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, tail)""",
    "days": """
        shard INTEGER, day TEXT, count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
        digest INTEGER NOT NULL, exact INTEGER NOT NULL,
        replica_digest INTEGER NOT NULL, replica_exact INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, day)""",
    "quarantine": """
        replica INTEGER, key TEXT, shard TEXT NOT NULL,
        etag TEXT NOT NULL, size_bytes INTEGER NOT NULL, last_modified REAL NOT NULL, storage_class TEXT NOT NULL,
        reason TEXT NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL,
        first_at REAL NOT NULL, next_at REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, key)""",
    # What an operator has let go of, until its ETag or storage class changes.
    "accepted": """
        replica INTEGER, key TEXT, etag TEXT NOT NULL, storage_class TEXT NOT NULL, at REAL NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, key)""",
    "uncovered": """
        replica INTEGER, prefix TEXT, first_at REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)""",
    "lateness": """
        replica INTEGER, bucket INTEGER, count INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, bucket)""",
    "ticks": """
        job TEXT, number INTEGER, kind TEXT NOT NULL, report TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (job, number)""",
}


class Schema(NamedTuple):
    """One version of the state file: how it is made, and how an older one becomes it."""

    version: int
    tables: Sequence[str]
    create: Callable[[sqlite3.Connection], None]
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]]
    """By the version each begins with; it makes the next one, inside a transaction that is not its own."""


class NotReady(Exception):
    """The state file has to be made ready under the exclusive lock; `version` is its own, 0 for missing or empty."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


_DAY_SECONDS = 86400


def _migrate_1(connection: sqlite3.Connection) -> None:
    """Make schema 2 of schema 1. Rows that are damaged stay so; every other keeps what it says."""
    cursors = connection.execute("SELECT * FROM cursors").fetchall()
    days = connection.execute("SELECT * FROM days").fetchall()
    connection.execute("DROP TABLE cursors")
    connection.execute("DROP TABLE days")
    for name in ("cursors", "days", "accepted", "uncovered"):
        connection.execute(f"CREATE TABLE {name} ({TABLES[name]}) STRICT, WITHOUT ROWID")
    for row in cursors:
        if is_whole(row):
            *kept, _unsealed_day, _ = row
            deep_key, deep_at = row[4], row[5]
            # The round before the one that is under way is the last that came to its end, a day earlier.
            done_at = max(0.0, deep_at - _DAY_SECONDS) if deep_key else deep_at
            values = (*kept, done_at, "?", "tail", "[]", "", 0.0, 0.0, "", 0.0, 0.0)
            insert(connection, "cursors", with_checksum(*values))
    for row in days:
        if is_whole(row):
            insert(connection, "days", with_checksum(*row[:-1], 0, 0))


def insert(connection: sqlite3.Connection, table: str, row: tuple[object, ...]) -> int:
    """Write a row if there is none of its key yet; 1 if it was written."""
    marks = ", ".join("?" * len(row))
    return connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount  # noqa: S608 - our own table names


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of the present version."""
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns}) STRICT, WITHOUT ROWID")


SCHEMA = Schema(version=2, tables=tuple(TABLES), create=create_tables, migrations={1: _migrate_1})


def connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """A connection to a file that exists, `mode` being `rw` or `ro`; sqlite3.Error where there can be none."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    return _configured(connection)


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; sqlite3.Error where there can be none."""
    try:
        return connect(path, mode="ro")
    except sqlite3.OperationalError:
        # SQLite wants to write an index of the log even for reading. On a read-only disk without a log it need not.
        if path.with_name(f"{path.name}-wal").exists() or os.access(path.parent, os.W_OK):
            raise
        return connect(path, mode="ro&immutable=1")


def connect_to_nothing(schema: Schema) -> sqlite3.Connection:
    """A connection to an empty ledger in memory."""
    connection = _configured(sqlite3.connect(":memory:", isolation_level=None))
    schema.create(connection)
    return connection


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    # A damaged text must reach its checksum rather than fail to decode.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    try:
        for pragma in ("synchronous = NORMAL", "foreign_keys = OFF", "cell_size_check = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def require_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Hold a file to the version of the schema.

    Raises:
        NotReady: it is empty or older.
        LedgerNewer: `user_version` and the row in `meta` agree on a later version.
        LedgerCorrupt: they do not agree, or a table is missing.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not names and version == 0:
        raise NotReady(0)
    if "meta" not in names:
        raise LedgerCorrupt(f"{path}: it has tables, and no `meta` among them")
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    if row is None or row[0] != str(version):
        raise LedgerCorrupt(f"{path}: user_version says {version}, meta says {row and row[0]}")
    if version > schema.version:
        raise LedgerNewer(f"{path} has schema {version}; this syncd knows schemas up to {schema.version}")
    if version < schema.version:
        if any(step not in schema.migrations for step in range(version, schema.version)):
            raise LedgerCorrupt(f"{path}: there never was a schema {version}")
        raise NotReady(version)
    if missing := sorted(set(schema.tables) - names):
        raise LedgerCorrupt(f"{path}: no table {', '.join(missing)}")


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Let SQLite look at the structure of every page; LedgerCorrupt where one is damaged."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LedgerCorrupt(f"{path}: {verdict}")


def make_ready(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Make the tables of an empty file, or migrate an older one: one transaction, all of it or nothing.

    Raises:
        LedgerNewer, LedgerCorrupt: as `require_version`.
    """
    try:
        require_version(connection, path, schema)
    except NotReady as unready:
        connection.execute("PRAGMA journal_mode = WAL")
        with transaction(connection):
            if unready.version == 0:
                schema.create(connection)
            else:
                for step in range(unready.version, schema.version):
                    schema.migrations[step](connection)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", (str(schema.version),))
            connection.execute(f"PRAGMA user_version = {schema.version:d}")


@contextmanager
def refusing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Hold a write to what it is: a value that does not fit is no damage, whatever SQLite calls it.

    Raises:
        LedgerRefused: the value cannot be stored.
        LedgerCorrupt: a table is not as it was made.
    """
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as error:
        raise LedgerRefused(f"{path}: {error}") from error
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        # Without a code it is Python that finds a value too big.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_TOOBIG) & 0xFF not in _OF_A_VALUE:
            raise
        _require_columns(connection, path)
        raise LedgerRefused(f"{path}: {error}") from error


def _require_columns(connection: sqlite3.Connection, path: Path) -> None:
    with closing(connect_to_nothing(SCHEMA)) as model:
        for table in TABLES:
            query = f"SELECT * FROM {table} LIMIT 0"  # noqa: S608 - our own table names
            if connection.execute(query).description != model.execute(query).description:
                raise LedgerCorrupt(f"{path}: the table {table} has other columns")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed at the end of the block, rolled back where that or the block fails."""
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
    """Turn what SQLite and the file system say into the errors of syncd; `on_corrupt` is called before a LedgerCorrupt.

    Raises:
        LedgerFull: there is no room.
        LedgerCorrupt: the file is damaged, or was moved or removed while it was open.
        LedgerRefused: what is asked for is no text.
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
        # Asked for by a text that is none, and so was never remembered.
        raise LedgerRefused(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        # All text in rows is decoded whatever it is; this is SQLite quoting a damaged schema in its message.
        raise LedgerCorrupt(f"{path}: its schema is damaged") from error
    except OSError as error:
        kind = LedgerFull if error.errno in NO_ROOM else LedgerUnwritable
        raise kind(f"{path}: {error.strerror}") from error


_CORRUPT = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        # All statements are constant, so one that does not fit meets a schema that is not ours.
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
    }
)
_OF_A_VALUE = frozenset(
    {
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_SCHEMA,
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
