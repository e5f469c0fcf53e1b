"""A long quarantine, of long keys and long answers, read out and looked at: what it holds in memory at a time."""

import json
import tracemalloc
from pathlib import Path

from builders_ledger import NOW, SHARD, log_object, replica, transfer

from syncd.ledger.ledger import LedgerFile
from syncd.model.objects import Failed

HELD = 4000
MOST_BYTES = 4 * 1024**2
"""A third of what the keys alone would take."""


def filled(folder: Path) -> LedgerFile:
    """A quarantine of twelve megabytes."""
    file = LedgerFile(folder, now=lambda: NOW)
    keys = [f"{SHARD.prefix}{number:05}{'k' * 900}" for number in range(HELD)]
    failures = [Failed(transfer(log_object(key)), "access_denied", "d" * 2000) for key in keys]
    with file.open(replica(), "b") as ledger:
        ledger.record(failures, [], now=NOW)
    return file


def test_reading_out_a_long_quarantine_takes_no_memory(tmp_path: Path) -> None:
    count = 0
    with filled(tmp_path).open_readonly() as reader:
        tracemalloc.start()
        for row in reader.export("b"):
            count += row["type"] == "quarantined"
            assert len(json.dumps(row)) < 10_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == HELD
    assert peak < MOST_BYTES


def test_an_overview_of_a_long_quarantine_keeps_only_what_is_shown(tmp_path: Path) -> None:
    with filled(tmp_path).open_readonly() as reader:
        view = reader.view(replica())
        tracemalloc.start()
        found = view.held_overview(10, lambda _, item: item.last_modified)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert (found.counts.objects, len(found.longest), len(found.stamps)) == (HELD, 10, HELD)
    assert peak < MOST_BYTES
