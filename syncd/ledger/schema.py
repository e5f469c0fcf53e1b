"""The schema of the state file: its tables, and how a file is created, checked and migrated.

No table has a second index, so none can disagree with its table: each is one tree. Every row ends in a checksum of the
values before it, because SQLite detects damage to a page's structure but not to its contents.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from syncd.ledger.rows import is_whole, with_checksum
from syncd.ledger.sqlite import connect_in_memory, transaction
from syncd.model.errors import LedgerCorrupt, LedgerNewer, LedgerRefused

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
    # tail and etag are encoded as in rows.py. etag is NULL if only the destination's listing named the object.
    # content is the SHA-256 of the uncompressed content, NULL if unknown. Nothing is called altered by it alone, so it is
    # not in the checksum.
    "objects": """
        shard INTEGER, tail TEXT, etag BLOB, size_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, content BLOB,
        PRIMARY KEY (shard, tail)""",
    "days": """
        shard INTEGER, day TEXT, count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
        digest INTEGER NOT NULL, exact INTEGER NOT NULL,
        replica_digest INTEGER NOT NULL, replica_exact INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, day)""",
    # witness is that of the day's replicas as they were written (model/sealed.py). Days without one have no row.
    "witnesses": """
        shard INTEGER, day TEXT, witness BLOB NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, day)""",
    "quarantine": """
        replica INTEGER, key TEXT, shard TEXT NOT NULL,
        etag TEXT NOT NULL, size_bytes INTEGER NOT NULL, last_modified REAL NOT NULL, storage_class TEXT NOT NULL,
        reason TEXT NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL,
        first_at REAL NOT NULL, next_at REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, key)""",
    # Objects that an operator has accepted as not copied, until their ETag or storage class changes.
    "accepted": """
        replica INTEGER, key TEXT, etag TEXT NOT NULL, storage_class TEXT NOT NULL, at REAL NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, key)""",
    # What continuous verification knows of one account and region, as JSON.
    "proofs": """
        replica INTEGER, prefix TEXT, proof TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)""",
    "uncovered": """
        replica INTEGER, prefix TEXT, first_at REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)""",
    "lateness": """
        replica INTEGER, bucket INTEGER, count INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, bucket)""",
    # The tasks of the last spread catch-up. counts is JSON.
    "tasks": """
        replica INTEGER, task TEXT, shard TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
        request TEXT NOT NULL, objects INTEGER NOT NULL, state TEXT NOT NULL, counts TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, task)""",
    "ticks": """
        job TEXT, number INTEGER, kind TEXT NOT NULL, report TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (job, number)""",
}


class Schema(NamedTuple):
    """One version of the state file: how it is created, and how older versions are migrated to it."""

    version: int
    tables: Sequence[str]
    create: Callable[[sqlite3.Connection], None]
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]]
    """The step to the next version, by the version it starts from. Runs inside the caller's transaction."""


class NotReady(Exception):
    """The file must be created or migrated under the exclusive lock. `version` is 0 if it is missing or empty."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


_DAY_SECONDS = 86400


def _migrate_1(connection: sqlite3.Connection) -> None:
    """Migrate schema 1 to schema 2. Damaged rows are dropped, and all others keep their values."""
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
            # While a deep round is running, the last complete one was the round before it, a day earlier.
            done_at = max(0.0, deep_at - _DAY_SECONDS) if deep_key else deep_at
            values = (*kept, done_at, "?", "tail", "[]", "", 0.0, 0.0, "", 0.0, 0.0)
            insert(connection, "cursors", with_checksum(*values))
    for row in days:
        if is_whole(row):
            insert(connection, "days", with_checksum(*row[:-1], 0, 0))


def _migrate_2(connection: sqlite3.Connection) -> None:
    """Migrate schema 2 to schema 3. No row is rewritten, however many there are."""
    connection.execute("ALTER TABLE objects ADD COLUMN content BLOB")
    connection.execute(f"CREATE TABLE proofs ({TABLES['proofs']}) STRICT, WITHOUT ROWID")


def _migrate_3(connection: sqlite3.Connection) -> None:
    """Migrate schema 3 to schema 4, which has tasks."""
    connection.execute(f"CREATE TABLE tasks ({TABLES['tasks']}) STRICT, WITHOUT ROWID")


def _migrate_4(connection: sqlite3.Connection) -> None:
    """Migrate schema 4 to schema 5, which has witnesses of sealed days."""
    connection.execute(f"CREATE TABLE witnesses ({TABLES['witnesses']}) STRICT, WITHOUT ROWID")


def insert(connection: sqlite3.Connection, table: str, row: tuple[object, ...]) -> int:
    """Insert a row unless its key exists. Returns 1 if it was inserted, else 0."""
    marks = ", ".join("?" * len(row))
    return connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount  # noqa: S608 - our own table names


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of the current version."""
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns}) STRICT, WITHOUT ROWID")


SCHEMA = Schema(
    version=5,
    tables=tuple(TABLES),
    create=create_tables,
    migrations={1: _migrate_1, 2: _migrate_2, 3: _migrate_3, 4: _migrate_4},
)


def connect_to_nothing(schema: Schema) -> sqlite3.Connection:
    """Open an empty ledger in memory."""
    connection = connect_in_memory()
    schema.create(connection)
    return connection


def require_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Check that a file has the version of the schema.

    Raises:
        NotReady: it is empty or older.
        LedgerNewer: `user_version` and the row in `meta` agree on a later version.
        LedgerCorrupt: they disagree, or a table is missing.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not names and version == 0:
        raise NotReady(0)
    if "meta" not in names:
        raise LedgerCorrupt(f"{path}: it has tables, but no `meta` among them")
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    if row is None or row[0] != str(version):
        raise LedgerCorrupt(f"{path}: user_version is {version}, but meta has {row and row[0]}")
    if version > schema.version:
        raise LedgerNewer(f"{path} has schema {version}; this syncd knows schemas up to {schema.version}")
    if version < schema.version:
        if any(step not in schema.migrations for step in range(version, schema.version)):
            raise LedgerCorrupt(f"{path}: there never was a schema {version}")
        raise NotReady(version)
    if missing := sorted(set(schema.tables) - names):
        raise LedgerCorrupt(f"{path}: no table {', '.join(missing)}")


def make_ready(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Create the tables of an empty file, or migrate an older one, in one transaction.

    Raises:
        LedgerNewer, LedgerCorrupt: see `require_version`.
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


@contextmanager
def refusing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Distinguish a value that does not fit, which is no damage, from a damaged table.

    Raises:
        LedgerRefused: the value cannot be stored.
        LedgerCorrupt: a table does not have the columns it was created with.
    """
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as error:
        raise LedgerRefused(f"{path}: {error}") from error
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        # An error without a code comes from Python, which finds the value too big.
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
