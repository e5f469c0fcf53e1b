"""The `ledger` verbs: rebuild the state, export it, retry or accept single objects."""

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any

from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.job.run import rebuild_job
from syncd.ledger.ledger import LedgerFile
from syncd.model import reasons
from syncd.model.errors import AlreadyRunning, LedgerCorrupt, LedgerError
from syncd.model.escaping import safe_key
from syncd.model.reasons import Reason
from syncd.tick.scope import replica_of


def rebuild(jobs: Sequence[Job], installation: Installation) -> dict[str, Any]:
    """Rebuild the state of these jobs from the destination. Returns the JSON of `ledger rebuild`."""
    return {"jobs": [_rebuilt(job, installation) for job in jobs]}


def _rebuilt(job: Job, installation: Installation) -> dict[str, Any]:
    document: dict[str, Any] = {"job": job.name, "shards": 0, "replicas": 0, "error": None}
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


def ledger_error(error: LedgerError) -> dict[str, str]:
    """Return the `error` of a document if the state cannot be used."""
    return {"reason": error.reason, "detail": str(error), "remedy": error.remedy}


def export(jobs: Sequence[Job], ledger_file: LedgerFile) -> Iterator[dict[str, object]]:
    """Yield every row of these jobs, one document each."""
    with ledger_file.open_readonly() as reader:
        for job in jobs:
            yield from reader.export(job.name)


def accept(jobs: Sequence[Job], ledger_file: LedgerFile, key: str) -> dict[str, Any]:
    """Keep the replica of a conflict, or release an object gone from the source."""
    return _for_each(jobs, ledger_file, key, lambda ledger: ledger.accept(key))


def retry(jobs: Sequence[Job], ledger_file: LedgerFile, key: str) -> dict[str, Any]:
    """Make the next tick retry an object, for whatever reason it failed."""
    return _for_each(jobs, ledger_file, key, lambda ledger: ledger.retry(key))


def _for_each(jobs: Sequence[Job], ledger_file: LedgerFile, key: str, do: Callable[[Any], bool]) -> dict[str, Any]:
    done: list[str] = []
    details: dict[str, str] = {}
    # A lone surrogate cannot be in the ledger, which stores UTF-8.
    for job in jobs if _is_unicode(key) else ():
        with ledger_file.open(replica_of(job), job.name) as ledger:
            if ledger.moved_aside is not None:
                raise LedgerCorrupt(f"{ledger_file.path} was damaged, and is now {ledger.moved_aside}")
            held = ledger.held(key)
            done += [job.name] if do(ledger) else []
            details |= {job.name: held.detail} if held is not None else {}
    return {"key": key, "jobs": done, "details": details, "error": None if done else _not_held(key)}


def _is_unicode(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_held(key: str) -> dict[str, str]:
    reason = Reason.NOT_HELD
    return {
        "reason": reason,
        "detail": f"{safe_key(key)} is in no job's quarantine",
        "remedy": reasons.remedy_of(reason),
    }
