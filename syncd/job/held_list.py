"""The whole quarantine as `ledger quarantine list` prints it, read in pages to save memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from syncd.config.job import Job
from syncd.job.health.state import quarantined
from syncd.job.ledger_verbs import ledger_error
from syncd.job.report import held_document
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerError


def held_entries(jobs: Sequence[Job], ledger_file: LedgerFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the job and the document of each quarantined object, in key order.

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
    """Write the JSON of `ledger quarantine list`, followed by `besides`. Returns False if the state failed.

    The document then ends with the error, after what was written before it.
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
