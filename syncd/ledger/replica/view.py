"""One replica as the ledger remembers it, for reading."""

from syncd.ledger.replica.access import ReplicaRows
from syncd.ledger.replica.cursors import CursorView
from syncd.ledger.replica.objects import ObjectView
from syncd.ledger.replica.quarantine import QuarantineView
from syncd.ledger.replica.tasks import TaskView


class LedgerView(CursorView, ObjectView, QuarantineView, TaskView):
    """One replica's cursors, objects and quarantine. Belongs to one thread."""

    def __init__(self, rows: ReplicaRows) -> None:
        self._rows = rows

    @property
    def damaged_rows(self) -> int:
        """The number of rows read so far whose checksum is wrong, which count as forgotten."""
        return self._rows.damaged

    @property
    def damaged_shards(self) -> list[str]:
        """The prefixes of shards that `shards` left out because their rows are damaged, sorted."""
        return sorted(self._rows.damaged_shards)
