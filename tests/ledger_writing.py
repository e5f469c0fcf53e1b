"""A process that writes a ledger: `python ledger_writing.py DIRECTORY WRITER WHAT MORE`; see `main`.

It records batches of 20 objects and says each batch's number once it is recorded, so that whoever started it can kill
it at any moment and knows what must be remembered.
"""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from builders_ledger import NOW, copied, key, replica

from syncd.ledger.decisions import Decisions
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.ledger.replica.access import replica_key
from syncd.model.errors import LedgerFull

BATCH = 20


def batch(writer: str, number: int) -> list[str]:
    return [key("2026-11-24", f"{writer}-{number:06}-{index:02}") for index in range(BATCH)]


def write(ledger: ReplicaLedger, writer: str, number: int) -> None:
    ledger.record([copied(name) for name in batch(writer, number)], [], now=NOW, lateness={300: 1})
    print(number, flush=True)


def write_some(ledger: ReplicaLedger, writer: str, how_many: int) -> None:
    for number in range(how_many):
        write(ledger, writer, number)


def write_until_full(ledger: ReplicaLedger, writer: str) -> int:
    for number in count():
        try:
            write(ledger, writer, number)
        except LedgerFull:
            print("full", flush=True)
            return number
    raise AssertionError


def limit_files(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def no_room(size: int = 1) -> Iterator[None]:
    """While no file of this process can grow beyond a size."""
    limit_files(size)
    try:
        yield
    finally:
        limit_files(resource.RLIM_INFINITY)


def open_when_full(file: LedgerFile, writer: str) -> None:
    try:
        file.open(replica(), writer).close()
    except LedgerFull:
        print("full", flush=True)


def decide(directory: Path, writer: str, how_many: int) -> None:
    decisions = Decisions(directory)
    for number in range(how_many):
        key = f"{writer}-{number}"
        decisions.keep_accepted(replica_key(replica()), writer, key, etag="e", storage_class="STANDARD", at=NOW)


def main(directory: str, writer: str, what: str, more: str) -> None:
    file = LedgerFile(Path(directory), now=lambda: NOW)
    match what:
        case "decide":
            decide(Path(directory), writer, int(more))
        case "batches":
            with file.open(replica(), writer) as ledger:
                write_some(ledger, writer, int(more))
        case "until-full":
            with file.open(replica(), writer) as ledger:
                limit_files(int(more))
                next_number = write_until_full(ledger, writer)
                limit_files(resource.RLIM_INFINITY)
                write(ledger, writer, next_number)
        case "until-full-disk":
            with file.open(replica(), writer) as ledger:
                next_number = write_until_full(ledger, writer)
                Path(more).unlink()
                write(ledger, writer, next_number)
        case "open-when-full":
            limit_files(int(more))
            open_when_full(file, writer)
            limit_files(resource.RLIM_INFINITY)
            with file.open(replica(), writer) as ledger:
                write(ledger, writer, 0)
        case "open-on-full-disk":
            open_when_full(file, writer)
            Path(more).unlink()
            with file.open(replica(), writer) as ledger:
                write(ledger, writer, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
