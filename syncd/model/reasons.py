"""Reasons: one word for each cause of an object or a job that was not copied, with its remedy.

The words are part of the contract: they appear in JSON documents, in the log and in the labels of metrics.
"""

import re
from enum import StrEnum

from syncd.model.actions import remedy_of_action
from syncd.model.escaping import safe_key


class Reason(StrEnum):
    """The reason that an object or a job was not copied. The value is part of the contract."""

    ACCESS_DENIED = "access_denied"
    CLOCK_SKEWED = "clock_skewed"
    INVALID_CREDENTIALS = "invalid_credentials"
    WRONG_SECRET = "wrong_secret_key"  # noqa: S105  # the name of a reason
    ACCOUNT_PROBLEM = "account_problem"
    KMS_DENIED = "kms_access_denied"
    KMS_DISABLED = "kms_key_disabled"
    KMS_DELETING = "kms_key_pending_deletion"
    KMS_GONE = "kms_key_not_found"
    KMS_UNUSABLE = "kms_key_unusable"
    OBJECT_GONE = "object_gone"
    OBJECT_CHANGED = "object_changed"
    ARCHIVED = "archived"
    REPLICA_LOST = "replica_lost"
    MISSING_AT_SOURCE = "missing_at_source"
    SLOW_DOWN = "slow_down"
    SERVER_ERROR = "server_error"
    CONNECTION = "connection_failed"
    UNTRUSTED = "certificate_untrusted"
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
    RESOURCE_LIMIT = "resource_limit"

    # Of the state file, and of a job that another process has.
    LEDGER_NEWER = "ledger_newer"
    DISK_FULL = "disk_full"
    LEDGER_CORRUPT = "ledger_corrupt"
    LEDGER_UNWRITABLE = "ledger_unwritable"
    ALREADY_RUNNING = "already_running"

    # Of queues.
    NO_QUEUE = "no_such_queue"

    def __repr__(self) -> str:
        """Return the plain word's representation: checksums of the ledger's rows depend on it."""
        return repr(self.value)


OF_EVERY_REQUEST = frozenset({Reason.CLOCK_SKEWED, Reason.INVALID_CREDENTIALS, Reason.WRONG_SECRET})
"""Reasons that concern every request: nothing else that these credentials sign is accepted either."""

OF_A_KEY = frozenset(
    {Reason.KMS_DENIED, Reason.KMS_DISABLED, Reason.KMS_DELETING, Reason.KMS_GONE, Reason.KMS_UNUSABLE}
)
"""Reasons of KMS: S3 allows the call, and the key does not."""

OF_THE_STORE = frozenset({Reason.CONNECTION, Reason.SERVER_ERROR, Reason.SLOW_DOWN, Reason.TIMEOUT, Reason.UNTRUSTED})
"""Reasons that concern the store rather than one object."""

SETTLED = frozenset(
    {
        Reason.CONFLICT,
        Reason.ARCHIVED,
        Reason.KEY_NOT_UTF8,
        Reason.KEY_TOO_LONG,
        Reason.OBJECT_GONE,
        Reason.TOO_LARGE,
        Reason.REPLICA_LOST,
        Reason.MISSING_AT_SOURCE,
    }
)
"""Reasons of an object that no retry cures: it waits for another listing, or for a person."""

REMEDIES: dict[str, str] = {
    Reason.ACCESS_DENIED: (
        "add the missing permission to the policy of the principal named here, or meet the condition of the Deny that blocks it:"
        " `syncd check JOB` names the statement, its account and its document; a bucket of another account than the one in the"
        " job gets the same error"
    ),
    Reason.CLOCK_SKEWED: (
        "set this machine's clock by NTP (chrony or systemd-timesyncd; a container uses its host's): `timedatectl` shows"
        " if it is synchronized"
    ),
    Reason.INVALID_CREDENTIALS: (
        "give the principal named here an access key that is valid on the server it was sent to: this one was deleted,"
        " deactivated or mistyped, has another key's session token, or belongs to another partition or server"
    ),
    Reason.WRONG_SECRET: (
        "correct the secret access key of the principal named here: it does not match its access key ID;"
        " if it does match, look for a proxy on the way that alters requests"
    ),
    Reason.ACCOUNT_PROBLEM: (
        "check the bucket's name in the job; if it is right, ask AWS Support or the owner of the account: it, or the bucket,"
        " was suspended or closed"
    ),
    Reason.KMS_DENIED: (
        "let the principal named here use the key, by its own policy and by the key's: kms:Decrypt at the source,"
        " kms:GenerateDataKey and kms:Decrypt at the destination"
    ),
    Reason.KMS_DISABLED: (
        "have the owner of the key enable it (`aws kms enable-key --key-id KEY-ID`): until then nobody reads or writes what it"
        " encrypts; the next tick tries again"
    ),
    Reason.KMS_DELETING: (
        "urgent: have the owner of the key cancel its deletion now (`aws kms cancel-key-deletion --key-id KEY-ID`, then"
        " `aws kms enable-key --key-id KEY-ID`): 7 to 30 days after it was scheduled the key is gone, and with it everything that"
        " it encrypts"
    ),
    Reason.KMS_GONE: (
        "ask the owner of the bucket which key this is: it was deleted, or its ID, account or region is wrong; what a deleted key"
        " encrypted is lost, and `syncd ledger quarantine accept KEY --job JOB` gives up such an object; at the destination, correct"
        " destination.kms_key_id or the bucket's default encryption"
    ),
    Reason.KMS_UNUSABLE: (
        "have the owner of the key look at its state (`aws kms describe-key --key-id KEY-ID`): its material must be imported, its"
        " key store connected, and its usage ENCRYPT_DECRYPT"
    ),
    Reason.CRASHED: "report this with the traceback in the log; the other jobs went on, and the next tick tries again",
    Reason.REPLICA_LOST: (
        "find who deleted replicas at the destination, and restore them from a version or a backup if there is one:"
        " neither side has these objects any more; `syncd ledger quarantine accept KEY --job JOB` gives them up for good"
    ),
    Reason.MISSING_AT_SOURCE: "restore it at the source; `syncd ledger quarantine accept KEY` gives it up for good",
    Reason.OBJECT_GONE: (
        "ask the owner of the source who deleted it, or if logs expire; `syncd ledger quarantine accept KEY --job JOB` gives up an"
        " object that will not come back and holds back the horizon until then"
    ),
    Reason.OBJECT_CHANGED: "nothing to do: the next tick lists the object again",
    # A restored copy keeps its storage class (S3 User Guide, "Restoring an archived object").
    Reason.ARCHIVED: (
        "ask the owner of the source to restore the object, then `syncd ledger quarantine retry KEY --job JOB`: S3 keeps listing it"
        " as archived"
    ),
    Reason.SLOW_DOWN: "nothing to do if it passes; otherwise lower engine.in_flight or set engine.requests_per_second",
    Reason.SERVER_ERROR: "nothing to do if it passes; otherwise check the health of the server that answered, or of AWS in this region",
    Reason.CONNECTION: (
        "check the network, DNS and proxy (HTTPS_PROXY, NO_PROXY) between here and the server, and the region and the"
        " [endpoints] of the job; the next tick tries again"
    ),
    Reason.UNTRUSTED: (
        "have the certificate of the server or of the proxy trusted here: AWS_CA_BUNDLE names a PEM file of all authorities to"
        " trust; if it expired or is of another host, its operator must renew it; else find who stands between"
    ),
    Reason.TIMEOUT: "check the network and the proxy between here and the server, and the server's health; the next tick tries again",
    Reason.SHORT_BODY: "nothing to do if it passes: the next tick reads the object again",
    Reason.CHECKSUM: (
        "nothing to do if it passes; otherwise suspect this machine's memory, its network, or a proxy on the way; a"
        " server beside AWS may refuse unsigned bodies so: `syncd check JOB` tries that (endpoints.payload)"
    ),
    Reason.CANNOT_COMPARE: (
        "let the consumer read the replica: s3:GetObject at the destination, and kms:Decrypt if it encrypts with a KMS key;"
        " a replica that was archived must be restored"
    ),
    Reason.CREDENTIALS: (
        "give the consumer fresh credentials where the job looks for them (consumer.profile, consumer.credentials_file or the"
        " default chain): a changed file is read again automatically, and the next tick renews a role's session"
    ),
    Reason.WORKER_DIED: (
        "nothing to do if it passes: the next tick starts another; otherwise look for the out-of-memory killer, or report the"
        " error that is quoted here"
    ),
    Reason.NO_BUCKET: (
        "correct the bucket's name in the job; at the destination, create the bucket; at the source, ask its owner"
        " which bucket the trail delivers to"
    ),
    Reason.WRONG_REGION: "correct source.region or destination.region in the job: `syncd check JOB` names the right one",
    Reason.UNSUPPORTED: "use a server that supports this call, or another copy mode",
    Reason.UNEXPECTED: "check the answer quoted here and [endpoints] in the job, and look for a proxy on the way; the next tick tries again",
    Reason.CONCURRENT_WRITE: (
        "nothing to do if it passes: a concurrent write of the same key was in progress, and the next tick tries again;"
        " otherwise find what else writes to this bucket, such as a second syncd or a replication rule"
    ),
    Reason.KEY_TOO_LONG: (
        "give the job a shorter destination.prefix: with it this key is longer than the destination allows (S3: 1,024 bytes);"
        " `syncd ledger quarantine accept KEY --job JOB` gives up the object for good"
    ),
    Reason.CONFLICT: "compare the two objects; `syncd ledger quarantine accept KEY --job JOB` keeps the replica and ends the conflict",
    Reason.KEY_NOT_UTF8: (
        "ask the owner of the source to copy the object to a key that is UTF-8: bytes that are not are shown as %XX here;"
        " `syncd ledger quarantine accept KEY --job JOB` leaves it out for good"
    ),
    Reason.TOO_LARGE: (
        "raise what the detail names (source.max_object, or engine.memory, which must hold three parts), if the object is worth"
        " its cost; `syncd ledger quarantine accept KEY --job JOB` leaves it out for good"
    ),
    Reason.RETRY_REQUESTED: "nothing to do: the next tick tries the object again, as requested",
    Reason.NOT_HELD: "copy the key from `syncd ledger quarantine list`; a key that is not listed needs no action",
    Reason.ROOT_CALLER: "use an IAM user or role of the consumer's account: AWS does not let a root user assume a role",
    Reason.WRONG_ACCOUNT: "correct consumer.account_id, or point the job at credentials of that account",
    Reason.NO_CREDENTIALS: (
        "put credentials where the job looks for them (consumer.profile, consumer.credentials_file, or the default chain:"
        " environment, ~/.aws, the role of the machine or container), readable by the user that runs syncd, or correct where the job looks"
    ),
    Reason.REGION_DISABLED: (
        "have the account of the role activate STS in this region (IAM console, Account settings, Endpoints); or correct"
        " source.region, if the bucket is in another region; or ask STS of another one: source.role.sts_region"
    ),
    Reason.SESSION_TOO_LONG: "lower source.role.duration, or have the owner of the role raise its maximum session duration",
    Reason.POLICY_TOO_LARGE: (
        "have the consumer's credentials carry fewer or shorter session tags, and give fewer in source.role.tags, since they"
        " take the same room as the session policy, of which the shortest was tried; or, if the role itself allows no more than"
        ' the job needs, let syncd leave it out: source.role.session_policy = "off"'
    ),
    Reason.POLICY_MALFORMED: (
        "check source.bucket, source.prefix and destination.prefix in the job for characters that a policy does not allow, and"
        " report it: the session policy is built from them"
    ),
    Reason.INVALID_PARAMETER: (
        "correct the key of [source.role] that sets the parameter named here: arn is RoleArn, session_name RoleSessionName,"
        " external_id ExternalId, duration DurationSeconds"
    ),
    Reason.CONFIGURATION: (
        "correct the keys named here in the job's file; a running daemon reads it again automatically, and the other jobs"
        " run meanwhile"
    ),
    Reason.LISTING_BUDGET: (
        "nothing to do if it passes: the next tick lists again; raise listing.budget if the source is large and slow, or ask"
        " its owner, or the server's operator, why listings take so long"
    ),
    Reason.TOO_MANY_HELD: (
        "`syncd ledger quarantine list JOB` shows the objects and their reasons: grant the permission that most of them lack, have"
        " them restored, or exclude their folder with source.ignore, so that they no longer count; the next tick goes on"
    ),
    Reason.SOURCE_EMPTY: "ask the owner of the source if logs were deleted or the trail moved; check bucket and prefix in the job",
    Reason.LEDGER_NEWER: (
        "run the newer syncd, or point state_dir at an empty directory: the state is rebuilt from the destination"
    ),
    Reason.DISK_FULL: "free space on the disk that holds state_dir; the next tick continues where this one ended",
    Reason.LEDGER_CORRUPT: (
        "nothing to do if it passes: a tick moves the file aside and rebuilds the state from the destination; otherwise check"
        " the disk, and look for another syncd that has the file open"
    ),
    Reason.LEDGER_UNWRITABLE: (
        "let the user that runs syncd write state_dir and the files in it, on a file system that is not read-only"
    ),
    Reason.RESOURCE_LIMIT: (
        "raise the limit that is named here: open files (`ulimit -n`, LimitNOFILE= of a service), processes and threads"
        " (`ulimit -u`, TasksMax=, a container's pids limit), or memory; or give the daemon fewer jobs; the next tick tries again"
    ),
    Reason.ALREADY_RUNNING: "wait for the other process, which is named, to end",
    Reason.NO_QUEUE: "correct the queue's URL in syncd.toml, its region included, or create the queue",
}


def remedy_of(reason: str, *, job: str = "", key: str = "", detail: str = "") -> str:
    """Return the remedy of a reason, with the job's name and the object's key filled in if given.

    `detail` tells of which action permission was lacking, if that is not the call's own.
    """
    action = re.search(_BESIDE, detail) if reason == Reason.ACCESS_DENIED else None
    beside = remedy_of_action(action[1]) if action is not None else ""
    return filled_in(beside or REMEDIES.get(reason, REMEDIES[Reason.UNEXPECTED]), job=job, key=key)


def filled_in(remedy: str, *, job: str = "", key: str = "") -> str:
    """Replace JOB and KEY in the commands of a remedy with names, as far as they are given."""
    names = {"JOB": job, "KEY": safe_key(key) if key else ""}
    return re.sub(_PLACEHOLDER, lambda found: names[found[0]] or found[0], remedy)


# A detail keeps the words of a denial only if the action is not the call's own (`aws.answers.said`).
_BESIDE = r"not authorized to perform: (\S+)"

_PLACEHOLDER = r"(?<= )(?:JOB|KEY)(?=[ `])"
