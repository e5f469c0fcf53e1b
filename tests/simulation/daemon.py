"""A state directory: how it is opened, lost and damaged."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes_ledger import MemoryLedgerFile

from syncd.ledger.ledger import LedgerFile
from syncd.model.objects import Replica
from syncd.model.reports import TickReport


@dataclass(kw_only=True)
class Daemon:
    """One state directory, in memory or on disk."""

    now: Callable[[], float]
    folder: Path | None = None
    memory: MemoryLedgerFile = field(default_factory=MemoryLedgerFile)
    starts: dict[Replica, float] = field(default_factory=dict)
    last: TickReport | None = None

    def file(self) -> Any:
        """The state file, as a new process finds it."""
        return LedgerFile(self.folder, now=self.now) if self.folder else self.memory

    def lose(self) -> None:
        """The state file is gone."""
        if self.folder is not None:
            for path in self.folder.glob("ledger.sqlite3*"):
                path.unlink()
        else:
            self.memory.lose()

    def lose_everything(self) -> None:
        """The whole directory is gone, with the decisions in it."""
        self.starts.clear()
        if self.folder is not None:
            shutil.rmtree(self.folder)
            self.folder.mkdir()
        else:
            self.memory = MemoryLedgerFile()

    def damage(self, how: str, luck: float) -> None:
        """Some bits are turned; a ledger in memory is lost."""
        path = self.folder / "ledger.sqlite3" if self.folder else None
        if path is None or not path.exists():
            self.lose()
        elif how == "rows":
            _damage_rows(path, luck)
        else:
            content = bytearray(path.read_bytes())
            first = int(luck * len(content)) // 4096 * 4096
            content[first : first + 2000] = b"\xa5" * len(content[first : first + 2000])
            path.write_bytes(content)


def _damage_rows(path: Path, luck: float) -> None:
    tables = {"quarantine": "size_bytes = size_bytes + 1", "cursors": "listed_at = listed_at + 1"}
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, change in tables.items():
            with suppress(sqlite3.OperationalError):
                rows = [row for (row,) in connection.execute(f"SELECT rowid FROM {table} ORDER BY 1")]
                if rows:
                    connection.execute(f"UPDATE {table} SET {change} WHERE rowid = ?", (rows[int(luck * len(rows))],))
