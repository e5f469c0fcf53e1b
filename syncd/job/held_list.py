"""The document of `ledger quarantine list`, written object by object so that its length costs no memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from syncd.config.job import Job
from syncd.job.health.state import quarantined
from syncd.job.report import held_document
from syncd.job.upkeep import ledger_error
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerError


def held_entries(jobs: Sequence[Job], ledger_file: LedgerFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the job and the document of each object that is held, in the order of keys.

    Raises:
        LedgerError: the state cannot be read.
    """
    with ledger_file.open_readonly() as reader:
        for job in jobs:
            for item in quarantined(job, reader):
                yield job.name, held_document(item)


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
                for index, item in enumerate(quarantined(job, reader)):
                    write(f"{', ' if index else ''}{json.dumps(held_document(item))}")
                write("]}")
                is_open = False
    except LedgerError as raised:
        error = ledger_error(raised)
    rest: dict[str, Any] = {"error": error} | (besides if error is None else {})
    write(f"{']}' if is_open else ''}], {json.dumps(rest)[1:]}\n")
    return error is None
