"""What the generated reference says of things whose code holds no sentence about them."""

from collections.abc import Mapping

from syncd.model.objects import SkipReason

EXIT_CODES: Mapping[int | str, str] = {
    0: "Done, or nothing to do. `run`: ended cleanly on SIGTERM or SIGINT.",
    1: "Failed: the whole run, or every job.",
    2: (
        "The command line or the configuration is wrong, and nothing was run: syncd.toml, the file of a job that was named, "
        "or with `--strict` that of any; or no job's file can be used."
    ),
    3: "Some jobs or some objects failed, a conflict was found, or one job's file of several cannot be used.",
    4: "`status`: a job is stale or unhealthy. `check`: a permission is missing, or a job's file cannot be used.",
    5: "`run`: the state cannot be written.",
    11: "Every named job is already running elsewhere.",
    "130, 143": "`tick`, `catch-up` or `demo` was interrupted by SIGINT or SIGTERM.",
}

_SKIPPED = ", ".join(f"`{reason}`" for reason in SkipReason)
_STATE_ERROR = "Why the state could not be used: `reason`, `detail` and `remedy`; null where it could."
_REFUSED = (
    "If there are any, the jobs whose files cannot be used, of a verb over all jobs: `job` (its name, else its file), "
    "`file` and `error`."
)
_ERROR = "Why the job could not go on: `reason`, `detail` and `remedy`; null where it could."

TICK_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "outcome": "`ok`, `partial` (some objects failed, or a conflict), `failed`, `interrupted` or `already-running`.",
    "mode": "How objects are copied: `stream` or `server-side`; null where it did not come to that.",
    "listed": "Objects that the source listed; one that two listings of a tick name counts twice.",
    "copied": "Objects written to the destination.",
    "copied_bytes": "Their size in bytes.",
    "already_there": "Objects that were found at the destination with the same content.",
    "restored": "Objects that had vanished from the destination, and were copied again.",
    "conflicts": "Objects that are at the destination with other content, which was kept: `key` and `detail`.",
    "conflict_count": "How many there are.",
    "skipped": f"Objects that needed no copy, by reason: {_SKIPPED}.",
    "failed": "Objects that were not copied: `key`, `reason` and `detail`.",
    "failed_count": "How many there are.",
    "is_capped": "Whether `failed` or `conflicts` was cut to its first hundred.",
    "uncovered": "Folders of the source that the job neither covers nor ignores; the horizon waits for them.",
    "late_beyond_allowance": "Objects that came later than `lateness` allows, after the horizon had passed them.",
    "lateness_suggested_seconds": "Where there were any: the `lateness` that would have waited for them.",
    "requests": "Requests made, by name of the operation.",
    "complete_from": "Every object with a stamp from here ...",
    "complete_until": "... to here that the source listed is at the destination. null: not known yet.",
    "duration_seconds": "How long it took.",
    "error": _ERROR,
}

PLAN_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "outcome": "`ok`, or `failed` where no plan could be made.",
    "mode": "How they would be copied, as far as is known; `stream` or `server-side`.",
    "listed": "Objects that the source listed.",
    "objects": "Objects that would be copied.",
    "bytes": "Their size in bytes.",
    "skipped": "Objects that would need no copy, by reason.",
    "requests": "Requests that the next tick would make, by name of the operation; tags of objects are not reckoned with.",
    "cost_usd": "What these would cost by the prices in `[prices]`, in US dollars; null where there is no plan.",
    "seconds": "How long copying would take at `objects_per_second`, and at no more than 125 MB/s; null where there is no plan.",
    "objects_per_second": "The rate of small objects that `seconds` assumes; a large one counts by its requests.",
    "audit_lists_a_day": "Listings of the destination, of 1,000 keys each, that its audit takes in a day; see `[listing] audit`.",
    "requests_made": "Requests that were made for this plan.",
    "error": _ERROR,
}

STATUS_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "healthy": "Whether nothing is wrong with it.",
    "why": "What is, in sentences.",
    "mode": "How objects were copied in the last tick.",
    "mode_why": 'What `copy = "auto"` came to, and why; null where that was not found out.',
    "lateness_histogram": "How late logs were, LastModified against the name's stamp: counts by bound in seconds, 0 beyond.",
    "configuration_error": (
        "Why the job's file cannot be used: `reason`, `detail` and `remedy`; the rest is then that of a job of which nothing "
        "is known. null where it can."
    ),
    "state_error": (
        "Why the state cannot be read, or the next tick not be recorded (`disk_full`): `reason`, `detail` and `remedy`; null "
        "where it can and the disk of `state_dir` has room. A tick that was not recorded is not in `last_tick`; where the state cannot even be read, the rest is that of a job that never ticked."
    ),
    "last_tick": "The last tick that was recorded: outcome, when it ended, what it did, and its `error`; null where there was none.",
    "lag_seconds": "How old `complete_until` is, 0 at least; null where that is not known.",
    "objective_seconds": "How old it may be, beyond `lateness`.",
    "lateness_seconds": "The job's `lateness`.",
    "freshness": (
        "`objective` (`met` or `missed`), how many new `objects` the last ticks copied and the share of them "
        "`within_objective`, percentiles of their lag from LastModified to the copy, the `newest_object` at the source, and "
        "when the shard that was listed longest ago was (`oldest_listing`): no news is not the same as not looking."
    ),
    "complete_from": "Every object with a stamp from here ...",
    "complete_until": "... to here that the source listed is at the destination. null: not known yet.",
    "found": "False while nothing was found under the job's prefixes: a wrong prefix looks like a quiet source.",
    "uncovered": "Folders of the source that the job neither covers nor ignores; the horizon waits for them.",
    "audit": (
        "When the destination was last compared with the keys that are remembered one by one (`audited_at`) and with the days "
        "that are remembered as one row (`sealed_audited_at`), and how many listings of 1,000 keys that takes in a day "
        "(`lists_a_day`)."
    ),
    "quarantine": "Objects that are known and not at the destination: `count`, `conflicts`, and the first `objects`.",
    "shards": "How far each account, kind and region is; the first hundred.",
    "shard_count": "How many there are.",
}

CHECK_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "ok": "Whether nothing failed.",
    "checks": "The steps in order: `check`, `status` (`ok`, `failed`, `warning`, `information`), `detail` and `remedy`.",
}

INIT: Mapping[str, str] = {
    "wrote": "The files that were written.",
    "kept": "The files that were there already, and are as they were.",
    "next": "The commands to run next, in their order.",
}

POLICIES: Mapping[str, str] = {
    "job": "The job's name.",
    "principal": "Whom the documents let in: the consumer's user or role; null where that is not known.",
    "format": "How `files` are written.",
    "documents": (
        "One object a document: `name`, `account_id`, `kind`, `target`, `why`, `added_by_hand` and the `document` itself."
    ),
    "files": "The same as files: `account_id`, `name`, `command` that puts it in force, and `text`.",
}

PRUNE: Mapping[str, str] = {
    "job": "The job's name.",
    "deletes": "True with `--delete`; false for a dry run.",
    "older_than_days": "What `--older-than` gave.",
    "until": "The end of the last day that is old enough and within the horizon; null if there is none.",
    "objects": "Objects that may go.",
    "bytes": "Their size in bytes.",
    "deleted": "Objects that were deleted.",
    "days": "The days that may go: `prefix`, `day`, `objects` and `deleted`.",
    "digests_waiting": "Digests that stay, because logs that they name do.",
    "kept_days": "How many days stay although they are old enough.",
    "kept": "The first thousand of them: `prefix`, `day`, `reason`, `detail` and `key`.",
    "failed_count": "Objects that could not be deleted.",
    "failed": "The first thousand of them: `key`, `reason` and `detail`.",
    "conditional": "True if the server minds If-Match on DeleteObject; null if it was not asked.",
    "requests": "Requests made, by name of the operation.",
    "duration_seconds": "How long it took.",
    "error": _ERROR,
}

COMPARED_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "verdict": "`proved`, `unproved`, or `some` if parts of it are proved.",
    "against": "`source`.",
    "covers": "What the verdict covers.",
    "from": "The beginning of the span; null for the beginning of the source.",
    "to": "The end of the span.",
    "proved_until": "Up to when everything is proved without a break; null if nothing is.",
    "complete_from": "Where the ledger's claim begins ...",
    "complete_until": "... and where it ends.",
    "read_data": "True if both sides of each object were read.",
    "objects": "Objects of the source that were compared.",
    "bytes": "Their size in bytes.",
    "evidence": "What proves them, and how many: `etag`, `ledger`, `sealed_day`, `checksum`, `content`.",
    "problems": "How many objects are not proved, by reason.",
    "spans": "The days: `from`, `to`, `verdict`, `objects`, `bytes`, `evidence`, `problems` and `problem_count`.",
    "extra_count": "Objects that only the replica has, and that the ledger does not know.",
    "extra": "The first thousand of them.",
    "gone_at_source": "Replicas of objects that the source has let go of, as the ledger knows.",
    "left_out": "Objects that the job leaves out: older than its start, or accepted by an operator.",
    "not_copied_yet": "Objects beyond the horizon that a tick has yet to copy.",
    "uncovered": "Folders of the source that the job neither covers nor ignores.",
    "requests": "Requests made, by name of the operation.",
    "duration_seconds": "How long it took.",
    "error": _ERROR,
}

REBUILD_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "shards": "Accounts, kinds and regions that were looked at.",
    "replicas": "Objects that were found at the destination.",
    "error": _ERROR,
}

QUARANTINE_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "objects": "All of them: `key`, `reason`, `detail`, `attempts`, `first_at` and `next_at`.",
}

QUARANTINE_DONE: Mapping[str, str] = {
    "key": "The object's key.",
    "jobs": "The jobs that had it in quarantine.",
    "error": (
        "Why nothing was done, the state could not be used or the key is in no job's quarantine (`not_in_quarantine`): "
        "`reason`, `detail` and `remedy`; null where it was."
    ),
    "refused": _REFUSED,
}

DEMO: Mapping[str, str] = {
    "holds": "Whether all of it came out as it should; exit code 0 if so, else 1.",
    "seconds": "How long it took, without waiting for Ctrl-C.",
    "delivered": "What the trail delivered, in order: `what` and `objects`.",
    "ticks": "The ticks: `what`, `holds`, and `jobs` as in `tick`.",
    "compared": "The comparisons: `job`, `source`, `destination`, `objects`, `bytes`, `differences` and `holds`.",
    "refused": "What had to be refused: `what`, `at` which operation, `holds`, and `job` as in `tick`.",
    "kept": "With --keep: `url` of the embedded AWS and `config`, the configuration file; else null.",
}

DOCUMENTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "tick": ('`{"jobs": [...]}`, an entry a job:', TICK_JOB),
    "catch-up": ("As `tick`.", {}),
    "plan": ('`{"jobs": [...]}`, an entry a job:', PLAN_JOB),
    "status": ('`{"jobs": [...]}`, an entry a job:', STATUS_JOB),
    "check": ('`{"jobs": [...]}`, an entry a job:', CHECK_JOB),
    "run": ("One object, when the daemon has ended:", {"exit_code": "What it ended with."}),
    "init": ("One object:", INIT),
    "policies": ("One object:", POLICIES),
    "verify": ('With `--against source`, `{"jobs": [...]}`, an entry a job:', COMPARED_JOB),
    "prune-source": ("One object:", PRUNE),
    "ledger rebuild": ('`{"jobs": [...]}`, an entry a job:', REBUILD_JOB),
    "ledger export": (
        "One object:",
        {
            "rows": "Every row, as the lines without `--json` have them; those before an `error`.",
            "refused": _REFUSED,
            "error": _STATE_ERROR,
        },
    ),
    "ledger quarantine list": (
        (
            '`{"jobs": [...], "error": null}`, an entry a job, none if `error` says why the state could not be used; and `refused` '
            "as of `ledger export`:"
        ),
        QUARANTINE_JOB,
    ),
    "ledger quarantine retry": ("One object:", QUARANTINE_DONE),
    "ledger quarantine accept": ("As `ledger quarantine retry`.", {}),
    "demo": ("One object:", DEMO),
}
"""By verb: the shape of its `--json`, and the fields."""

ENVIRONMENT: Mapping[str, str] = {
    "SYNCD_CONFIG": "The configuration file, where `--config` names none.",
    "CREDENTIALS_DIRECTORY, STATE_DIRECTORY, CONFIGURATION_DIRECTORY, RUNTIME_DIRECTORY, HOME, XDG_*, SYNCD_*": (
        "What `credentials_file` and `state_dir` may name, such as `${CREDENTIALS_DIRECTORY}/aws`, and no other variable: it "
        "might hold a secret, and a path is printed and logged."
    ),
    "AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_ACCESS_KEY_ID and the like": (
        "The consumer's default chain of credentials, where the job names no profile and no file."
    ),
    "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_STS": "Endpoints, where the job has no `[endpoints]`.",
    "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT": "As in every AWS tool.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY, AWS_CA_BUNDLE": "As in every AWS tool, for the copies too.",
}
