-- The state file of schema 1, statement for statement as it was made: what the migration to schema 2 begins with.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE replicas (
        source_bucket TEXT, source_prefix TEXT,
        destination_endpoint TEXT, destination_bucket TEXT, destination_prefix TEXT,
        id INTEGER NOT NULL, job TEXT NOT NULL, start REAL, discovered_at REAL NOT NULL, mode TEXT, mode_why TEXT,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (source_bucket, source_prefix, destination_endpoint, destination_bucket, destination_prefix)) STRICT, WITHOUT ROWID;
CREATE TABLE shards (
        replica INTEGER, prefix TEXT, id INTEGER NOT NULL,
        account TEXT NOT NULL, kind TEXT NOT NULL, region TEXT NOT NULL, organization TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)) STRICT, WITHOUT ROWID;
CREATE TABLE cursors (
        shard INTEGER PRIMARY KEY,
        frontier REAL NOT NULL, listed_at REAL NOT NULL, recent_at REAL NOT NULL,
        deep_key TEXT NOT NULL, deep_at REAL NOT NULL,
        complete_from REAL NOT NULL, complete_until REAL NOT NULL,
        newest_arrival REAL NOT NULL, unsealed_day TEXT NOT NULL,
        checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE looked (
        replica INTEGER, prefix TEXT, looked_at REAL NOT NULL, children TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)) STRICT, WITHOUT ROWID;
CREATE TABLE objects (
        shard INTEGER, tail TEXT, etag BLOB, size_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, tail)) STRICT, WITHOUT ROWID;
CREATE TABLE days (
        shard INTEGER, day TEXT, count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
        digest INTEGER NOT NULL, exact INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, day)) STRICT, WITHOUT ROWID;
CREATE TABLE quarantine (
        replica INTEGER, key TEXT, shard TEXT NOT NULL,
        etag TEXT NOT NULL, size_bytes INTEGER NOT NULL, last_modified REAL NOT NULL, storage_class TEXT NOT NULL,
        reason TEXT NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL,
        first_at REAL NOT NULL, next_at REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, key)) STRICT, WITHOUT ROWID;
CREATE TABLE lateness (
        replica INTEGER, bucket INTEGER, count INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, bucket)) STRICT, WITHOUT ROWID;
CREATE TABLE ticks (
        job TEXT, number INTEGER, kind TEXT NOT NULL, report TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (job, number)) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('schema_version', '1');
PRAGMA user_version = 1;
