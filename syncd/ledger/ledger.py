"""The ledger: what was copied, what was not, and how far each shard was listed. An index, never the truth."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.ledger.decisions import Decisions
from syncd.ledger.file import StateFile
from syncd.ledger.reader import Counts, Reader, RecordedTick
from syncd.ledger.replica.quarantine import HeldOverview
from syncd.ledger.replica.replica import TICKS_KEPT, Ledger
from syncd.ledger.replica.view import LedgerView
from syncd.ledger.schema import SCHEMA, Schema
from syncd.model.objects import Replica

__all__ = [
    "SCHEMA",
    "TICKS_KEPT",
    "Counts",
    "HeldOverview",
    "Ledger",
    "LedgerFile",
    "LedgerView",
    "Reader",
    "RecordedTick",
    "Schema",
]


class LedgerFile:
    """The state file of all jobs. One for the process; any thread may call it."""

    def __init__(self, state_dir: Path, *, now: Callable[[], float], schema: Schema = SCHEMA) -> None:
        self._file = StateFile(state_dir, now=now, schema=schema)
        self._now = now
        self.decisions = Decisions(state_dir)

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        return self._file.path

    def open(self, replica: Replica, job: str) -> Ledger:
        """One replica's ledger, for the calling thread; what has to be made, migrated or moved aside is.

        Raises:
            LedgerNewer: a newer syncd wrote the file; it was not touched.
            LedgerFull, LedgerUnwritable: it cannot be used.
            LedgerCorrupt: it is damaged, and others have it open who do not let go of it.
        """
        state = self._file.open()
        try:
            return Ledger(
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
        """Entries that were taken over from the file that was moved aside last: starts, quarantine, acceptances."""
        return self._file.salvaged

    def move_aside(self) -> Path | None:
        """Give the file another name, after a LedgerCorrupt out of a ledger that is closed by now.

        Returns where it went; None where another thread or process has seen to it already. The next `open` makes
        an empty one.

        Raises:
            LedgerCorrupt: others have it open who do not let go of it.
            LedgerFull, LedgerUnwritable: it cannot be moved.
        """
        return self._file.move_aside()

    @contextmanager
    def open_readonly(self) -> Iterator[Reader]:
        """All jobs' ledgers, for reading: nothing is made or changed, and where there is no file all is empty.

        Raises:
            LedgerError: the file cannot be read; it is damaged, or written by an older or a newer syncd.
        """
        state = self._file.open_readonly()
        try:
            yield Reader(state.connection, self.path, on_corrupt=lambda: self._file.condemn(state.identity))
        finally:
            state.close()
