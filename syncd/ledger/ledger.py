"""The ledger: objects copied and not copied, and each shard's cursor. An index, never the truth."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.ledger.decisions import Decisions
from syncd.ledger.file import StateFile
from syncd.ledger.reader import LedgerCounts, Reader, RecordedTick
from syncd.ledger.replica.quarantine import HeldOverview
from syncd.ledger.replica.replica import TICKS_KEPT, ReplicaLedger
from syncd.ledger.replica.view import LedgerView
from syncd.ledger.schema import SCHEMA, Schema
from syncd.model.errors import LedgerUnreadable, LedgerUnwritable
from syncd.model.objects import Replica

__all__ = [
    "SCHEMA",
    "TICKS_KEPT",
    "HeldOverview",
    "LedgerCounts",
    "LedgerFile",
    "LedgerView",
    "Reader",
    "RecordedTick",
    "ReplicaLedger",
    "Schema",
]


class LedgerFile:
    """The state file of all jobs. One per process, for any thread."""

    def __init__(self, state_dir: Path, *, now: Callable[[], float], schema: Schema = SCHEMA) -> None:
        self._file = StateFile(state_dir, now=now, schema=schema)
        self._now = now
        self.decisions = Decisions(state_dir)

    @property
    def path(self) -> Path:
        """The path of the file, which may not exist yet."""
        return self._file.path

    def open(self, replica: Replica, job: str) -> ReplicaLedger:
        """Open one replica's ledger for the calling thread, creating, migrating or replacing the file if needed.

        Raises:
            LedgerNewer: a newer syncd wrote the file, and it was not touched.
            LedgerFull, LedgerUnwritable: it cannot be used.
            LedgerCorrupt: it is damaged, and other processes that have it open do not close it.
        """
        state = self._file.open()
        try:
            return ReplicaLedger(
                state,
                self.path,
                replica,
                job,
                decisions=self.decisions,
                now=self._now,
                on_corrupt=lambda: self._file.condemn(state.identity),
            )
        except BaseException:
            state.close()
            raise

    @property
    def salvaged(self) -> int:
        """The number of entries salvaged from the file last moved aside: starts, quarantine, acceptances."""
        return self._file.salvaged

    def move_aside(self) -> Path | None:
        """Replace the file by a new one, after a LedgerCorrupt from a ledger that is closed now.

        Returns its new path, or None if another thread or process has already moved it.

        Raises:
            LedgerCorrupt: other processes that have it open do not close it.
            LedgerFull, LedgerUnwritable: it cannot be moved.
        """
        return self._file.move_aside()

    @contextmanager
    def open_readonly(self) -> Iterator[Reader]:
        """Open all jobs' ledgers for reading, or an empty ledger if there is no file. Changes nothing.

        Raises:
            LedgerError: the file cannot be read, is damaged, or was written by an older or a newer syncd.
        """
        try:
            state = self._file.open_readonly()
        except LedgerUnwritable as error:
            if _may_read(self.path):
                raise
            raise LedgerUnreadable(str(error)) from error
        try:
            yield Reader(state.connection, self.path, on_corrupt=lambda: self._file.condemn(state.identity))
        finally:
            state.close()


def _may_read(path: Path) -> bool:
    """Return True if this user may enter the folder and read the file, or if it is missing."""
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, PermissionError)
    return os.access(path, os.R_OK, effective_ids=True)
