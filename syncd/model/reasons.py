"""Why an object, or a job, was not copied: one word for each cause, and what to do about it.

The words are part of the contract: they stand in `failed[].reason` and `error.reason` of the JSON documents, in the log
and in the labels of metrics. Codes in capitals are AWS's own.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why an object or a job was not copied. The value is part of the contract."""

    ACCESS_DENIED = "access_denied"
    CLOCK_SKEWED = "clock_skewed"
    INVALID_CREDENTIALS = "invalid_credentials"
    WRONG_SECRET = "wrong_secret_key"  # noqa: S105  # the name of a reason
    ACCOUNT_PROBLEM = "account_problem"
    KMS_DENIED = "kms_access_denied"
    OBJECT_GONE = "object_gone"
    OBJECT_CHANGED = "object_changed"
    ARCHIVED = "archived"
    REPLICA_LOST = "replica_lost"
    SLOW_DOWN = "slow_down"
    SERVER_ERROR = "server_error"
    CONNECTION = "connection_failed"
    TIMEOUT = "timeout"
    SHORT_BODY = "short_body"
    CHECKSUM = "checksum_mismatch"
    CANNOT_COMPARE = "cannot_compare"
    CREDENTIALS = "credentials_expired"
    WORKER_DIED = "worker_died"
    NO_BUCKET = "no_such_bucket"
    WRONG_REGION = "wrong_region"
    UNSUPPORTED = "unsupported"
    UNEXPECTED = "unexpected_answer"
    CONCURRENT_WRITE = "concurrent_write"
    KEY_TOO_LONG = "key_too_long"
    KEY_NOT_UTF8 = "key_not_utf8"
    CONFLICT = "conflict"
    TOO_LARGE = "object_too_large"
    RETRY_REQUESTED = "retry_requested"
    CRASHED = "crashed"

    # Of `ledger quarantine`.
    NOT_HELD = "not_in_quarantine"

    # Jobs only.
    ROOT_CALLER = "root_caller"
    WRONG_ACCOUNT = "wrong_account"
    NO_CREDENTIALS = "no_credentials"
    REGION_DISABLED = "region_disabled"
    SESSION_TOO_LONG = "session_too_long"
    POLICY_TOO_LARGE = "session_policy_too_large"
    POLICY_MALFORMED = "session_policy_malformed"
    INVALID_PARAMETER = "invalid_parameter"
    SOURCE_EMPTY = "source_empty"
    CONFIGURATION = "configuration_refused"
    TOO_MANY_HELD = "too_many_held"
    LISTING_BUDGET = "listing_budget_spent"

    # Of the state file, and of a job that another process has.
    LEDGER_NEWER = "ledger_newer"
    DISK_FULL = "disk_full"
    LEDGER_CORRUPT = "ledger_corrupt"
    LEDGER_UNWRITABLE = "ledger_unwritable"
    ALREADY_RUNNING = "already_running"

    def __repr__(self) -> str:
        """Return what the plain word gives: rows of the ledger are checked by it."""
        return repr(self.value)


OF_EVERY_REQUEST = frozenset({Reason.CLOCK_SKEWED, Reason.INVALID_CREDENTIALS, Reason.WRONG_SECRET})
"""What is never one object's own: whatever else this machine or these credentials sign is refused too."""

OF_THE_STORE = frozenset({Reason.CONNECTION, Reason.SERVER_ERROR, Reason.SLOW_DOWN, Reason.TIMEOUT})
"""What passes or does not, whichever object is asked for."""

SETTLED = frozenset(
    {
        Reason.CONFLICT,
        Reason.ARCHIVED,
        Reason.KEY_NOT_UTF8,
        Reason.KEY_TOO_LONG,
        Reason.OBJECT_GONE,
        Reason.TOO_LARGE,
        Reason.REPLICA_LOST,
    }
)
"""Reasons of an object that no retry cures: it waits for another listing, or for a person."""

REMEDIES: dict[str, str] = {
    Reason.ACCESS_DENIED: (
        "add the missing permission to the policy of the principal named here, or take away the Deny that stands in its way:"
        " `syncd check JOB` names the statement, its account and its document; a bucket of another account than the job says is"
        " refused so too"
    ),
    Reason.CLOCK_SKEWED: (
        "set this machine's clock by NTP (chrony or systemd-timesyncd; a container has its host's): `timedatectl` says"
        " whether it is synchronized"
    ),
    Reason.INVALID_CREDENTIALS: (
        "give the principal named here an access key that is valid where it was shown: this one was deleted, made inactive"
        " or mistyped, has a session token that is not its own, or is of another partition or server"
    ),
    Reason.WRONG_SECRET: (
        "correct the secret access key of the principal named here: it is not the one that belongs to its access key ID;"
        " where it is, look for a proxy on the way that alters requests"
    ),
    Reason.ACCOUNT_PROBLEM: (
        "check the bucket's name in the job; if it is right, ask AWS Support or the owner of the account: it, or the bucket,"
        " was suspended or closed"
    ),
    Reason.KMS_DENIED: (
        "let the principal named here use the key, by its own policy and by the key's: kms:Decrypt at the source,"
        " kms:GenerateDataKey and kms:Decrypt at the destination; a key that is disabled, deleted or about to be is refused"
        " so too"
    ),
    Reason.CRASHED: "report this with the traceback that the log has; the other jobs went on, and the next tick tries again",
    Reason.REPLICA_LOST: (
        "look for who deleted replicas at the destination, and restore them from a version or a backup if there is one:"
        " neither side has these objects any more; `syncd ledger quarantine accept KEY` lets go of them"
    ),
    Reason.OBJECT_GONE: (
        "ask the owner of the source who deleted it, or whether logs expire; `syncd ledger quarantine accept KEY` lets go of"
        " what will not come back, which holds the horizon until then"
    ),
    Reason.OBJECT_CHANGED: "nothing to do: the next tick lists the object again",
    # "The object's storage class remains the same" when a copy is restored (S3 User Guide, "Restoring an archived object").
    Reason.ARCHIVED: (
        "ask the owner of the source to restore the object, then `syncd ledger quarantine retry KEY`: S3 goes on listing it as"
        " archived"
    ),
    Reason.SLOW_DOWN: "nothing to do if it passes; otherwise lower engine.in_flight or set engine.requests_per_second",
    Reason.SERVER_ERROR: "nothing to do if it passes; otherwise look at the health of the server that answered, on AWS in this region",
    Reason.CONNECTION: (
        "check the network, DNS, proxy and certificates (AWS_CA_BUNDLE) between here and the server, and the region and the"
        " [endpoints] of the job; it is tried again"
    ),
    Reason.TIMEOUT: "check the network and the proxy between here and the server, and the server's health; it is tried again",
    Reason.SHORT_BODY: "nothing to do if it passes: the object is read again",
    Reason.CHECKSUM: "nothing to do if it passes; otherwise suspect this machine's memory, its network, or a proxy on the way",
    Reason.CANNOT_COMPARE: (
        "let the consumer read the replica: s3:GetObject at the destination, kms:Decrypt where it encrypts with a KMS key;"
        " a replica that was archived has to be restored"
    ),
    Reason.CREDENTIALS: (
        "give the consumer fresh credentials where the job looks for them (consumer.profile, consumer.credentials_file or the"
        " default chain): a changed file is read again by itself; a role's session is renewed by the next tick"
    ),
    Reason.WORKER_DIED: (
        "nothing to do if it passes: the next tick starts another; otherwise look for the out-of-memory killer, or report the"
        " error that is quoted here"
    ),
    Reason.NO_BUCKET: (
        "correct the bucket's name in the job; at the destination, create the bucket; at the source, ask its owner where the"
        " trail delivers to"
    ),
    Reason.WRONG_REGION: "correct source.region or destination.region in the job: `syncd check JOB` names the right one",
    Reason.UNSUPPORTED: "use a server that supports this call, or another copy mode",
    Reason.UNEXPECTED: "look at the answer quoted here, at [endpoints] in the job, and for a proxy on the way; it is tried again",
    Reason.CONCURRENT_WRITE: (
        "nothing to do if it passes: another writer of the same key was under way, and the next tick tries again; otherwise"
        " find what else writes to this bucket, such as a second syncd or a replication rule"
    ),
    Reason.KEY_TOO_LONG: (
        "give the job a shorter destination.prefix: with it this key is longer than the destination takes (S3: 1,024 bytes);"
        " `syncd ledger quarantine accept KEY` lets go of the object"
    ),
    Reason.CONFLICT: "compare the two objects; `syncd ledger quarantine accept KEY` keeps the replica and ends the matter",
    Reason.KEY_NOT_UTF8: (
        "ask the owner of the source to copy the object to a key that is UTF-8: each byte that is not stands as %XX here;"
        " `syncd ledger quarantine accept KEY` leaves it out for good"
    ),
    Reason.TOO_LARGE: (
        "raise what the detail names (source.max_object, or engine.memory, which must hold three parts), if the object is one"
        " to pay for; `syncd ledger quarantine accept KEY` leaves it out for good"
    ),
    Reason.RETRY_REQUESTED: "nothing to do: the next tick tries the object again, as was asked for",
    Reason.NOT_HELD: "copy the key from `syncd ledger quarantine list`; one that is not listed needs nothing done",
    Reason.ROOT_CALLER: "use an IAM user or role of the consumer's account: AWS lets no root user assume a role",
    Reason.WRONG_ACCOUNT: "correct consumer.account_id, or point the job at credentials of that account",
    Reason.NO_CREDENTIALS: (
        "put credentials where the job looks for them (consumer.profile, consumer.credentials_file, or the default chain:"
        " environment, ~/.aws, the role of the machine or container), readable by whoever runs syncd, or correct where it looks"
    ),
    Reason.REGION_DISABLED: (
        "have the account of the role activate STS in this region (IAM console, Account settings, Endpoints); or correct"
        " source.region, if the bucket is in another one"
    ),
    Reason.SESSION_TOO_LONG: "lower source.role.duration, or have the owner of the role raise its maximum session duration",
    Reason.POLICY_TOO_LARGE: 'name fewer accounts in source.accounts, or "*": the session policy has a prefix for each',
    Reason.POLICY_MALFORMED: (
        "check source.bucket, source.prefix and destination.prefix in the job for characters that a policy does not take, and"
        " report it: the session policy is made of them"
    ),
    Reason.INVALID_PARAMETER: (
        "correct the key of [source.role] that is the parameter named here: arn is RoleArn, session_name RoleSessionName,"
        " external_id ExternalId, duration DurationSeconds"
    ),
    Reason.CONFIGURATION: (
        "correct the job's file, as is told here key by key; a daemon that runs reads it again by itself, and the other jobs"
        " run meanwhile"
    ),
    Reason.LISTING_BUDGET: (
        "nothing to do if it passes: the next tick lists again; raise listing.budget if the source is large and slow, or ask"
        " its owner or its server why listings take so long"
    ),
    Reason.TOO_MANY_HELD: (
        "`syncd ledger quarantine list` shows what is held and why: give the permission that most of it wants for, have it"
        " restored, or leave its folder out with source.ignore, by which it counts no more; the next tick goes on"
    ),
    Reason.SOURCE_EMPTY: "ask the owner of the source whether logs were deleted or the trail moved; check bucket and prefix in the job",
    Reason.LEDGER_NEWER: (
        "run the newer syncd, or point state_dir at an empty directory: the state is rebuilt from the destination"
    ),
    Reason.DISK_FULL: "make room on the disk that holds state_dir; the next tick goes on where this one ended",
    Reason.LEDGER_CORRUPT: (
        "nothing to do if it passes: a tick moves the file aside and rebuilds the state from the destination; otherwise look at"
        " the disk, and for another syncd that has the file open"
    ),
    Reason.LEDGER_UNWRITABLE: (
        "let the user that runs syncd write state_dir and the files in it, on a file system that is not read-only"
    ),
    Reason.ALREADY_RUNNING: "wait for the other process, which is named, to end",
}


def remedy_of(reason: str) -> str:
    """What the operator can do about it."""
    return REMEDIES.get(reason, REMEDIES[Reason.UNEXPECTED])
