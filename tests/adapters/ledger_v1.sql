-- A state file as syncd wrote it with schema 1: the tables, and a row or more of each.
BEGIN TRANSACTION;
CREATE TABLE cursors (
        shard INTEGER PRIMARY KEY,
        frontier REAL NOT NULL, listed_at REAL NOT NULL, recent_at REAL NOT NULL,
        deep_key TEXT NOT NULL, deep_at REAL NOT NULL,
        complete_from REAL NOT NULL, complete_until REAL NOT NULL,
        newest_arrival REAL NOT NULL, unsealed_day TEXT NOT NULL,
        checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "cursors" VALUES(1,1795507200.0,1795507201.0,1795507202.0,'AWSLogs/111111111111/CloudTrail/us-east-1/2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0815Z_A.json.gz',1795507203.0,1795507204.0,1795507205.0,1795507206.0,'',3786035873);
INSERT INTO "cursors" VALUES(2,1795507200.0,1795507201.0,1795507202.0,'',1795507203.0,1795507204.0,1795507205.0,1795507206.0,'',2225573168);
CREATE TABLE days (
        shard INTEGER, day TEXT, count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
        digest INTEGER NOT NULL, exact INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, day)) STRICT, WITHOUT ROWID;
INSERT INTO "days" VALUES(1,'2026-10-01',2,200,4501975733353026652,1,2497269769);
CREATE TABLE lateness (
        replica INTEGER, bucket INTEGER, count INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, bucket)) STRICT, WITHOUT ROWID;
INSERT INTO "lateness" VALUES(1,300,4,1522210944);
CREATE TABLE looked (
        replica INTEGER, prefix TEXT, looked_at REAL NOT NULL, children TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)) STRICT, WITHOUT ROWID;
INSERT INTO "looked" VALUES(1,'AWSLogs/',1795507200.0,'["AWSLogs/111111111111/"]',1295041634);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('schema_version','1');
CREATE TABLE objects (
        shard INTEGER, tail TEXT, etag BLOB, size_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (shard, tail)) STRICT, WITHOUT ROWID;
INSERT INTO "objects" VALUES(1,'20261124T0815Z_A',X'D41D8CD98F00B204E9800998ECF8427E',100,7383137);
INSERT INTO "objects" VALUES(1,'20261124T0815Z_B',X'D41D8CD98F00B204E9800998ECF8427E',100,-1379355);
INSERT INTO "objects" VALUES(1,'20261124T0815Z_C',X'3D6D756C74692D32',100,2938819);
INSERT INTO "objects" VALUES(1,'20261124T0815Z_F',NULL,7,-4325405);
CREATE TABLE quarantine (
        replica INTEGER, key TEXT, shard TEXT NOT NULL,
        etag TEXT NOT NULL, size_bytes INTEGER NOT NULL, last_modified REAL NOT NULL, storage_class TEXT NOT NULL,
        reason TEXT NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL,
        first_at REAL NOT NULL, next_at REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, key)) STRICT, WITHOUT ROWID;
INSERT INTO "quarantine" VALUES(1,'AWSLogs/111111111111/CloudTrail/us-east-1/2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0815Z_D.json.gz','["AWSLogs/111111111111/CloudTrail/us-east-1/", "111111111111", "CloudTrail", "us-east-1", ""]','d41d8cd98f00b204e9800998ecf8427e',100,1795507140.0,'STANDARD','access_denied','GetObject was refused',1,1795507200.0,1795507260.0,2613792833);
INSERT INTO "quarantine" VALUES(1,'AWSLogs/111111111111/CloudTrail/us-east-1/2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0815Z_E.json.gz','["AWSLogs/111111111111/CloudTrail/us-east-1/", "111111111111", "CloudTrail", "us-east-1", ""]','d41d8cd98f00b204e9800998ecf8427e',100,1795507140.0,'STANDARD','conflict','other content',1,1795507200.0,1795507260.0,3292131904);
CREATE TABLE replicas (
        source_bucket TEXT, source_prefix TEXT,
        destination_endpoint TEXT, destination_bucket TEXT, destination_prefix TEXT,
        id INTEGER NOT NULL, job TEXT NOT NULL, start REAL, discovered_at REAL NOT NULL, mode TEXT, mode_why TEXT,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (source_bucket, source_prefix, destination_endpoint, destination_bucket, destination_prefix)) STRICT, WITHOUT ROWID;
INSERT INTO "replicas" VALUES('example-trail','','','example-b-logs','',1,'b',1795420800.0,1795507200.0,'stream','CopyObject answered 403',3851420593);
CREATE TABLE shards (
        replica INTEGER, prefix TEXT, id INTEGER NOT NULL,
        account TEXT NOT NULL, kind TEXT NOT NULL, region TEXT NOT NULL, organization TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (replica, prefix)) STRICT, WITHOUT ROWID;
INSERT INTO "shards" VALUES(1,'AWSLogs/111111111111/CloudTrail/eu-west-1/',2,'111111111111','CloudTrail','eu-west-1','',1730160718);
INSERT INTO "shards" VALUES(1,'AWSLogs/111111111111/CloudTrail/us-east-1/',1,'111111111111','CloudTrail','us-east-1','',2900129428);
CREATE TABLE ticks (
        job TEXT, number INTEGER, kind TEXT NOT NULL, report TEXT NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (job, number)) STRICT, WITHOUT ROWID;
INSERT INTO "ticks" VALUES('b',1,'tick','{"job":"b","outcome":"ok","mode":null,"listed":7,"copied":0,"copied_bytes":0,"already_there":0,"conflicts":[],"conflict_count":0,"skipped":{},"failed":[],"failed_count":0,"failed_by_reason":{},"retried":0,"late_beyond_allowance":0,"worst_lateness_seconds":0.0,"lags":{},"lag_seconds":0.0,"worst_lag_seconds":0.0,"copied_late":0,"requests":{},"complete_from":0.0,"complete_until":0.0,"started_at":0.0,"duration_seconds":0.0,"error":null}',2829439177);
COMMIT;
PRAGMA user_version = 1;
