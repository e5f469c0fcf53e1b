"""The sentences of the generated reference that are not in the code itself."""

from collections.abc import Mapping

from syncd.model.objects import SkipReason

EXIT_CODES: Mapping[int | str, str] = {
    0: "Done, or nothing to do. `run`: ended cleanly on SIGTERM or SIGINT.",
    1: "Failed: the whole run, or every job.",
    2: (
        "The command line or the configuration is wrong, and nothing was run: syncd.toml, the file of a named job, or with "
        "`--strict` any job's file; or all jobs' files are invalid."
    ),
    3: "Some jobs or some objects failed, a conflict was found, or some jobs' files are invalid.",
    4: "`status`: a job needs attention. `check`: a permission is missing, or a job's file is invalid.",
    5: "`run`: the state cannot be written.",
    11: "Every named job is already running elsewhere.",
    "130, 143": "`tick`, `catch-up` or `demo` was interrupted by SIGINT or SIGTERM.",
}

_SKIPPED = ", ".join(f"`{reason}`" for reason in SkipReason)
_STATE_ERROR = "Why the state could not be used: `reason`, `detail` and `remedy`; null if it could."
_REFUSED = (
    "If a verb over all jobs finds any, the jobs whose files are invalid: `job` (its name, or else its file), `file` and "
    "`error`."
)
_ERROR = "Why the job had to stop: `reason`, `detail` and `remedy`; null if it did not."

TICK_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "outcome": "`ok`, `partial` (some objects failed, or a conflict), `failed`, `interrupted` or `already-running`.",
    "mode": "How objects are copied: `stream` or `server-side`; null if nothing was copied.",
    "hinted": "Objects that hints named; the tick then listed these and no others, unless one was in a new shard.",
    "listed": "Objects that the source listed; an object in two listings of a tick counts twice.",
    "copied": "Objects written to the destination.",
    "copied_bytes": "Their size in bytes.",
    "already_there": "Objects that were found at the destination with the same content.",
    "restored": "Objects that had vanished from the destination, and were copied again.",
    "conflicts": "Objects that the destination has with different content, which was kept: `key` and `detail`.",
    "conflict_count": "The number of conflicts.",
    "skipped": f"Objects that needed no copy, by reason: {_SKIPPED}.",
    "failed": "Objects that were not copied: `key`, `reason` and `detail`.",
    "failed_count": "The number of failed objects.",
    "is_capped": "True if `failed` or `conflicts` was cut to its first hundred.",
    "uncovered": "Folders of the source that the job neither covers nor ignores; the horizon waits for them.",
    "late_beyond_allowance": "Objects that arrived later than `lateness` allows, after the horizon had passed them.",
    "lateness_suggested_seconds": "If there were any: the `lateness` that would have waited for them.",
    "requests": "Requests made, by name of the operation.",
    "complete_from": "Every object with a stamp from here ...",
    "complete_until": "... to here that the source listed is at the destination. null: not known yet.",
    "proved_until": 'Up to when digests prove the replica, with `verify = "continuous"`; null for nothing.',
    "unproved": "What the verification after this tick found altered or missing: `key`, `reason` and `detail`.",
    "duration_seconds": "The duration of the tick.",
    "error": _ERROR,
}

PLAN_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "outcome": "`ok`, or `failed` if no plan could be made.",
    "mode": "How they would be copied, if known: `stream` or `server-side`.",
    "listed": "Objects that the source listed.",
    "objects": "Objects that would be copied.",
    "bytes": "Their size in bytes.",
    "tasks": "The tasks of a spread catch-up (`--spread`); null without it. `objects` and what follows from it are then an estimate by a sample of each shard and month, without the days that workers leave to the owner.",
    "skipped": "Objects that would need no copy, by reason.",
    "requests": "Requests that the next tick would make, by name of the operation; object tags are not counted.",
    "cost_usd": "Their cost at the prices in `[prices]`, in US dollars; null if there is no plan.",
    "seconds": "The time to copy at `objects_per_second` and at most 125 MB/s; null if there is no plan.",
    "objects_per_second": "The rate of small objects that `seconds` assumes; a large one counts by its requests.",
    "audit_lists_a_day": "Listings of 1,000 keys each that the audit of the destination takes per day; see `[listing] audit`.",
    "month": "With `--month`, thirty days at the rate of the last full days: `objects`, `bytes`, `ticks`, `requests` by operation, `cost_usd`, and in `s3_sync` the `requests` and `cost_usd` of `aws s3 sync` run as often as the job ticks; null without it, or if nothing is known of the job yet.",
    "requests_made": "Requests that were made for this plan.",
    "error": _ERROR,
}

STATUS_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "health": (
        "Its health in a word, worst first: `refused` (invalid file), `unknown` (unreadable state), `unproved` (altered or "
        "missing by CloudTrail's digests), `late` (misses its "
        "objective), `failing`, `incomplete` (objects or folders are missing), `starting` (its first tick is under way), "
        "`healthy`."
    ),
    "healthy": "True if it is `healthy` or `starting`.",
    "why": "What is wrong, in sentences.",
    "mode": "How objects were copied in the last tick.",
    "mode_why": 'The verdict of `copy = "auto"`, and why; null if there is none yet.',
    "lateness_histogram": "How late logs were, by LastModified and the name's stamp: counts by bound in seconds, 0 beyond.",
    "configuration_error": (
        "Why the job's file is invalid: `reason`, `detail` and `remedy`; the rest is then that of an unknown job. null if it "
        "is valid."
    ),
    "state_error": (
        "Why the state cannot be read, or the next tick not be recorded (`disk_full`): `reason`, `detail` and `remedy`; null "
        "if both are possible. A tick that was not recorded is not in `last_tick`. If the state cannot be read, the rest is "
        "that of a job that never ticked."
    ),
    "last_tick": "The last tick that was recorded: outcome, end, counts, and its `error`; null if there was none.",
    "hinted_at": "When the last of the recent ticks began that hints have hastened; null if none was.",
    "lag_seconds": "The age of `complete_until`, at least 0; null if it is unknown.",
    "objective_seconds": "The age allowed, beyond `lateness`.",
    "lateness_seconds": "The job's `lateness`.",
    "freshness": (
        "`objective` (`met` or `missed`), how many new `objects` the last ticks copied and the share of them "
        "`within_objective`, percentiles of their lag from LastModified to the copy, the `newest_object` at the source, and "
        "the oldest of the shards' last listings (`oldest_listing`): no new logs is not the same as no listing."
    ),
    "complete_from": "Every object with a stamp from here ...",
    "complete_until": "... to here that the source listed is at the destination. null: not known yet.",
    "verify": "The job's `verify`.",
    "proved_from": 'With `verify = "continuous"`: where the proof begins ...',
    "proved_until": "... and up to when it has no break. It trails `complete_until` by an hour or more. null: nothing is proved.",
    "unproved_count": "Spans that are not proved, since an object is altered or missing, or a digest is.",
    "unproved": "The first hundred: `from`, `to`, `digest`, `problems` (`reason`, `detail`, `key`) and `found_at`.",
    "found": "False while nothing was found under the job's prefixes: a wrong prefix looks like a quiet source.",
    "uncovered": "Folders of the source that the job neither covers nor ignores; the horizon waits for them.",
    "audit": (
        "When the destination was last compared with the keys that are remembered one by one (`audited_at`) and with the days "
        "that are remembered as one row (`sealed_audited_at`), and how many listings of 1,000 keys that takes in a day "
        "(`lists_a_day`)."
    ),
    "quarantine": "Objects that are known and not at the destination: `count`, `conflicts`, and the first `objects`.",
    "spread": (
        "The last spread catch-up: its `tasks`, how many have `ended`, how many are `dead` and wait for the owner, the "
        "`objects` by estimate, and the `objects_done`; null if there was none."
    ),
    "shards": "The progress of each account, kind and region; the first hundred.",
    "shard_count": "The number of shards.",
    "running": (
        "The ticks and catch-ups under way, in any process: `kind`, `began_at` and `at` (seconds since the epoch), objects "
        "`listed`, `copied` and `done`, those `known` to be copied, which are all if `is_total`, `copied_bytes`, `per_second`, "
        "`seconds_left` (an estimate; null if there is none) and `listed_until`, the day that the listing has come to."
    ),
}

CHECK_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "ok": "True if nothing failed.",
    "checks": "The steps in order: `check`, `status` (`ok`, `failed`, `warning`, `information`), `detail` and `remedy`.",
}

INIT: Mapping[str, str] = {
    "wrote": "The files that were written.",
    "kept": "The files that existed already, unchanged.",
    "next": "The commands to run next, in order.",
}

ONBOARD: Mapping[str, str] = {
    **INIT,
    "template": "The CloudFormation file.",
    "role": "The ARN of the role that the stack makes.",
    "external_id": "Its external ID.",
    "letter": "The text to send with the file.",
}

POLICIES: Mapping[str, str] = {
    "job": "The job's name.",
    "principal": "The principal that the documents allow: the consumer's user or role; null if it is unknown.",
    "format": "The format of `files`.",
    "documents": (
        "One object per document: `name`, `account_id`, `kind`, `target`, `why`, `added_by_hand` and the `document` itself."
    ),
    "files": "The same as files: `account_id`, `name`, `command` that installs it, and `text`.",
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
    "shards": "Accounts, kinds and regions that were listed.",
    "replicas": "Objects that were found at the destination.",
    "would": "With `--dry-run`: how many objects it would `forget`, about how many listings both sides would take (`list`), and how many objects in quarantine and acceptances would stay (`keep`); else null.",
    "error": _ERROR,
}

QUARANTINE_JOB: Mapping[str, str] = {
    "job": "The job's name.",
    "objects": "All of them: `key`, `reason`, `detail`, `attempts`, `first_at` and `next_at`.",
}

QUARANTINE_DONE: Mapping[str, str] = {
    "key": "The object's key or the pattern, as given; null for all.",
    "jobs": "The jobs that had such objects in quarantine.",
    "objects": "How many objects there were.",
    "error": (
        "Why nothing was done: the state could not be used, or the key is in no job's quarantine (`not_in_quarantine`). Has "
        "`reason`, `detail` and `remedy`; null if it was done."
    ),
    "refused": _REFUSED,
}

DEMO: Mapping[str, str] = {
    "holds": "True if all checks passed; exit code 0 if so, else 1.",
    "seconds": "The duration, without waiting for Ctrl-C.",
    "delivered": "The trail's deliveries, in order: `what` and `objects`.",
    "ticks": "The ticks: `what`, `holds`, and `jobs` as in `tick`.",
    "markers": (
        "The comparison with a marker: `delivered` logs, `polls`, `lost_by_marker` and `lost_by_syncd`, keys each, and `holds`."
    ),
    "compared": "The comparisons: `job`, `source`, `destination`, `objects`, `bytes`, `differences` and `holds`.",
    "refused": "The attempts that must be refused: `what`, `at` which operation, `holds`, and `job` as in `tick`.",
    "proved": (
        "The proofs: of all jobs, of one after its replica was tampered with, and of that one mended: `what`, `holds`, and"
        " `jobs` as in `verify`."
    ),
    "kept": (
        "With --keep: `url` of the embedded AWS, `page` of the status page, and `config`, the configuration file; else null."
    ),
}

DOCUMENTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "tick": ('`{"jobs": [...]}`, one entry per job:', TICK_JOB),
    "catch-up": ("As `tick`.", {}),
    "plan": ('`{"jobs": [...]}`, one entry per job:', PLAN_JOB),
    "status": (
        (
            '`{"jobs": [...]}`, one entry per job. If syncd.toml has `[fleet]`, the jobs are those of the slot that this state'
            " directory has, and `fleet` has `slot`, `members`, `is_held`, `generation`, `owner` and `at`:"
        ),
        STATUS_JOB,
    ),
    "check": (
        (
            '`{"jobs": [...]}`, one entry per job. If syncd.toml has `[hints]`, `[work]` or `[fleet]`, `shared` has the steps of what all jobs share,'
            " as in `checks`:"
        ),
        CHECK_JOB,
    ),
    "work": (
        "One object, when the worker has ended:",
        {
            "exit_code": "Its exit code.",
            "tasks": "The tasks that it has done.",
            "objects": "The objects that it has copied, or found at the destination.",
        },
    ),
    "run": ("One object, when the daemon has ended:", {"exit_code": "Its exit code."}),
    "init": ("One object:", INIT),
    "onboard": ("One object:", ONBOARD),
    "policies": ("One object:", POLICIES),
    "verify": ('With `--against source`, `{"jobs": [...]}`, one entry per job:', COMPARED_JOB),
    "prune-source": ("One object:", PRUNE),
    "ledger rebuild": ('`{"jobs": [...]}`, one entry per job:', REBUILD_JOB),
    "ledger export": (
        "One object:",
        {
            "rows": "Every row, as in the lines without `--json`; only those before an `error`.",
            "refused": _REFUSED,
            "error": _STATE_ERROR,
        },
    ),
    "ledger quarantine list": (
        (
            '`{"jobs": [...], "error": null}`, one entry per job, none if `error` says why the state could not be used; and '
            "`refused` as in `ledger export`:"
        ),
        QUARANTINE_JOB,
    ),
    "ledger quarantine retry": ("One object, or many:", QUARANTINE_DONE),
    "ledger quarantine accept": ("As `ledger quarantine retry`.", {}),
    "demo": (
        (
            "One object; of `break` and `mend`: `trouble`, `job` that shows it (`*` for all), `told`, `page`, and the command"
            " `mend`, null if it is mended. Else:"
        ),
        DEMO,
    ),
    "completion": ("The script.", {}),
    "config schema": ("The schema.", {}),
    "config validate": (
        "One object:",
        {
            "config": "The syncd.toml that was checked.",
            "jobs": "The names of the jobs that can be used as the files are; none if syncd.toml is wrong, or with `--strict` any file.",
            "problems": "Everything that is wrong: `file`, dotted `key` (empty for the whole file) and `message`.",
        },
    ),
}
"""By verb: the shape of its `--json`, and the fields."""

ENVIRONMENT: Mapping[str, str] = {
    "SYNCD_CONFIG": "The configuration file, if `--config` names none.",
    "CREDENTIALS_DIRECTORY, STATE_DIRECTORY, CONFIGURATION_DIRECTORY, RUNTIME_DIRECTORY, HOME, XDG_*, SYNCD_*": (
        "The variables allowed in `credentials_file` and `state_dir`, such as `${CREDENTIALS_DIRECTORY}/aws`. Others might hold "
        "a secret, and paths are printed and logged."
    ),
    "AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_ACCESS_KEY_ID and the like": (
        "The consumer's default chain of credentials, if the job names no profile and no file."
    ),
    "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_STS": "Endpoints, if the job has no `[endpoints]`.",
    "AWS_REGION": "The region of the leases' bucket, and of queues whose URL names none.",
    "AWS_ENDPOINT_URL_SQS": "The endpoint of queues, if it is not the one in their URLs.",
    "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT": "As in every AWS tool.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "As in every AWS tool, for the copies too; of either case. A proxy that is itself reached by TLS (`https://`) is refused for S3.",
    "AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE": (
        "A PEM file of all authorities to trust, for STS, listings and copies. The first that is set holds; a profile's `ca_bundle`"
        " comes after AWS_CA_BUNDLE."
    ),
}
