"""The quarantine, read out: all of it, a page at a time, so that its length costs no memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from syncd.config.job import Job
from syncd.job.report import held_document
from syncd.job.upkeep import ledger_error
from syncd.ledger.ledger import LedgerFile, Reader
from syncd.model.errors import LedgerError
from syncd.tick.scope import replica_of

_AT_A_TIME = 500


def held_entries(jobs: Sequence[Job], ledger_file: LedgerFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the job and the document of each object that is held, in the order of keys.

    Raises:
        LedgerError: the state cannot be read.
    """
    with ledger_file.open_readonly() as reader:
        for job in jobs:
            for document in _documents(job, reader):
                yield job.name, document


def write_held(
    jobs: Sequence[Job], ledger_file: LedgerFile, write: Callable[[str], object], besides: dict[str, Any]
) -> bool:
    """Write the JSON of `ledger quarantine list`, which ends with what is `besides`. Returns False if the state failed.

    What was written by then stays, and the document ends with the error.
    """
    write('{"jobs": [')
    is_open, error = False, None
    try:
        with ledger_file.open_readonly() as reader:
            for number, job in enumerate(jobs):
                write(f'{", " if number else ""}{{"job": {json.dumps(job.name)}, "objects": [')
                is_open = True
                for index, document in enumerate(_documents(job, reader)):
                    write(f"{', ' if index else ''}{json.dumps(document)}")
                write("]}")
                is_open = False
    except LedgerError as raised:
        error = ledger_error(raised)
    rest: dict[str, Any] = {"error": error} | (besides if error is None else {})
    write(f"{']}' if is_open else ''}], {json.dumps(rest)[1:]}\n")
    return error is None


def _documents(job: Job, reader: Reader) -> Iterator[dict[str, Any]]:
    """Yield what is held, without keeping the state open for as long as somebody takes to read it."""
    view, last = reader.view(replica_of(job)), ""
    while page := view.held_after(last, _AT_A_TIME):
        for item in page:
            yield held_document(item)
        last = page[-1].object.key
