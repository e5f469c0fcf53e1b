"""The `ledger` verbs: rebuild the state, export it, retry or accept single objects."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from threading import Event
from typing import Any, NamedTuple

from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.job.run import rebuild_job
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model import reasons
from syncd.model.errors import AlreadyRunning, LedgerCorrupt, LedgerError
from syncd.model.escaping import safe_key
from syncd.model.keys.trail import wanted_by
from syncd.model.objects import Quarantined
from syncd.model.reasons import Reason
from syncd.tick.scope import replica_of, scope_of

_HELD_AT_A_TIME = 500
_KEYS_A_LIST = 1000


def rebuild(jobs: Sequence[Job], installation: Installation) -> dict[str, Any]:
    """Rebuild the state of these jobs from the destination. Returns the JSON of `ledger rebuild`."""
    return {"jobs": [_rebuilt(job, installation) for job in jobs]}


def _rebuilt(job: Job, installation: Installation) -> dict[str, Any]:
    document: dict[str, Any] = {"job": job.name, "shards": 0, "replicas": 0, "would": None, "error": None}
    try:
        report = rebuild_job(job, installation, stop=Event())
    except AlreadyRunning as error:
        document["error"] = {"reason": "already_running", "detail": error.holder, "remedy": "wait for it to end"}
    except LedgerError as error:
        document["error"] = ledger_error(error)
    else:
        document["shards"] = report.shards
        document["replicas"] = report.already_there
        if (failed := report.error) is not None:
            document["error"] = {"reason": failed.reason, "detail": failed.detail, "remedy": failed.remedy}
    return document


def rehearse(jobs: Sequence[Job], ledger_file: LedgerFile) -> dict[str, Any]:
    """Return the JSON of `ledger rebuild --dry-run`: what a rebuild would forget, and what it would list."""
    return {"jobs": [_rehearsed(job, ledger_file) for job in jobs]}


def _rehearsed(job: Job, ledger_file: LedgerFile) -> dict[str, Any]:
    document: dict[str, Any] = {"job": job.name, "shards": 0, "replicas": 0, "would": None, "error": None}
    try:
        with ledger_file.open_readonly() as reader:
            view = reader.view(replica_of(job))
            shards, objects = len(view.shards()), sum(view.remembered_counts())
            kept = {"quarantined": view.held_counts().objects, "accepted": len(view.accepted())}
    except LedgerError as error:
        return {**document, "error": ledger_error(error)}
    # Both sides are listed, each shard in pages of its own.
    lists = 2 * (shards + objects // _KEYS_A_LIST)
    return {**document, "shards": shards, "would": {"forget": objects, "list": lists, "keep": kept}}


def ledger_error(error: LedgerError) -> dict[str, str]:
    """Return the `error` of a document if the state cannot be used."""
    return {"reason": error.reason, "detail": str(error), "remedy": error.remedy}


def export(jobs: Sequence[Job], ledger_file: LedgerFile) -> Iterator[dict[str, object]]:
    """Yield every row of these jobs, one document each."""
    with ledger_file.open_readonly() as reader:
        for job in jobs:
            yield from reader.export(job.name)


class Chosen(NamedTuple):
    """The quarantined objects that a verb is for."""

    key: str | None = None
    """A key, or a pattern such as `*/2026/11/24/*`; None for all."""
    reason: str | None = None
    """The reason of all of them; None for any."""

    def keys(self, job: Job, ledger: ReplicaLedger) -> list[str]:
        """Return the keys that are held. A key that is held as it stands is no pattern."""
        if self.key is not None:
            # A lone surrogate cannot be in the ledger, which stores UTF-8.
            if not _is_unicode(self.key):
                return []
            if (entry := ledger.held(self.key)) is not None:
                return [self.key] if self._has_reason(entry) else []
        is_wanted, found, last = wanted_by(scope_of(job)), [], ""
        while page := ledger.held_after(last, _HELD_AT_A_TIME):
            found += [entry.object.key for entry in page if is_wanted(entry.shard) and self._is_chosen(entry)]
            last = page[-1].object.key
        return found

    def _is_chosen(self, entry: Quarantined) -> bool:
        return self._has_reason(entry) and (self.key is None or fnmatchcase(entry.object.key, self.key))

    def _has_reason(self, entry: Quarantined) -> bool:
        return self.reason in (None, entry.reason)


def accept(jobs: Sequence[Job], ledger_file: LedgerFile, chosen: Chosen) -> dict[str, Any]:
    """Keep the replicas of conflicts, or release objects gone from the source."""
    return _for_each(jobs, ledger_file, chosen, lambda ledger, keys: ledger.accept(*keys))


def retry(jobs: Sequence[Job], ledger_file: LedgerFile, chosen: Chosen) -> dict[str, Any]:
    """Make the next tick retry objects, for whatever reason they failed."""
    return _for_each(jobs, ledger_file, chosen, lambda ledger, keys: ledger.retry(*keys))


def _for_each(
    jobs: Sequence[Job], ledger_file: LedgerFile, chosen: Chosen, do: Callable[[ReplicaLedger, Sequence[str]], int]
) -> dict[str, Any]:
    done: list[str] = []
    details: dict[str, str] = {}
    objects = 0
    for job in jobs:
        with ledger_file.open(replica_of(job), job.name) as ledger:
            if ledger.moved_aside is not None:
                raise LedgerCorrupt(f"{ledger_file.path} was damaged, and is now {ledger.moved_aside}")
            keys = chosen.keys(job, ledger)
            held = ledger.held(keys[0]) if keys == [chosen.key] else None
            details |= {job.name: held.detail} if held is not None and held.detail else {}
            dealt_with = do(ledger, keys) if keys else 0
            objects += dealt_with
            done += [job.name] if dealt_with else []
    return {
        "key": chosen.key,
        "jobs": done,
        "objects": objects,
        "details": details,
        "error": None if done else _not_held(chosen),
    }


def _is_unicode(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_held(chosen: Chosen) -> dict[str, str]:
    reason = Reason.NOT_HELD
    what = "nothing" if chosen.key is None else safe_key(chosen.key)
    why = f" for {chosen.reason}" if chosen.reason else ""
    return {
        "reason": reason,
        "detail": f"{what} is in no job's quarantine{why}",
        "remedy": reasons.remedy_of(reason),
    }
