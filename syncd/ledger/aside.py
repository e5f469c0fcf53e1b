"""Damaged state files: replaced by a new file, renamed, and removed when there are too many."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from syncd.ledger.folder.locks import create_private
from syncd.ledger.repair import Entries, salvageable, take_over
from syncd.ledger.schema import Schema, make_ready
from syncd.ledger.sqlite import ENDINGS, connect, connect_readonly, translated

DAMAGED_FILES_KEPT = 2


def replace_damaged(path: Path, *, schema: Schema, now: Callable[[], float]) -> tuple[Path, int]:
    """Replace a damaged file by a new one, and salvage the entries that no listing can find again.

    The caller holds the file exclusively. Returns the damaged file's new path, and how many entries were salvaged.
    """
    salvaged = _make_fresh(path, schema)
    target = _free_name(path, now())
    rename(path, target)
    rename(fresh_of(path), path)
    _prune(path, target)
    return target, salvaged


def fresh_of(path: Path) -> Path:
    """Return the path at which the replacement of a damaged file is prepared."""
    return sibling(path, ".new")


def sibling(path: Path, ending: str) -> Path:
    """Return a path with a suffix appended to the file's name."""
    return path.with_name(path.name + ending)


def rename(path: Path, target: Path) -> None:
    """Rename a file and its companions, the log first: a log must never lie beside another file than its own."""
    for ending in reversed(ENDINGS):
        with suppress(FileNotFoundError):
            sibling(path, ending).rename(sibling(target, ending))


def _make_fresh(path: Path, schema: Schema) -> int:
    """Write the new file beside the damaged one before anything is moved, since the disk may be full.

    Returns how many entries were salvaged.
    """
    fresh = fresh_of(path)
    _remove(fresh)
    os.close(create_private(fresh))
    # Translated inside as well: a full disk shows in the sizes of files that are gone once all is closed.
    with (
        _removed_on_error(fresh),
        translated(fresh),
        closing(connect(fresh, mode="rw")) as connection,
        translated(fresh),
    ):
        make_ready(connection, fresh, schema)
        salvaged = take_over(connection, _salvageable(path))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return salvaged


def _salvageable(path: Path) -> Entries:
    try:
        with closing(connect_readonly(path)) as damaged:
            return salvageable(damaged)
    except (sqlite3.Error, UnicodeDecodeError):
        return []


def _free_name(path: Path, instant: float) -> Path:
    stamp = datetime.fromtimestamp(instant, UTC).strftime("%Y%m%dT%H%M%SZ")
    first = sibling(path, f".corrupt-{stamp}")
    target, number = first, 1
    while target.exists():
        number += 1
        target = sibling(first, f"-{number}")
    return target


def _prune(path: Path, newest: Path) -> None:
    """Remove all but the newest damaged files, as each may be as large as the state. Errors are ignored."""
    found = {_without_ending(damaged) for damaged in path.parent.glob(f"{path.name}.corrupt-*")}
    older = sorted(found - {newest}, key=_age_of_name)
    for old in older[: len(older) - DAMAGED_FILES_KEPT + 1]:
        with suppress(OSError):
            _remove(old)


def _without_ending(path: Path) -> Path:
    name = path.name
    for ending in ENDINGS[1:]:
        name = name.removesuffix(ending)
    return path.with_name(name)


def _age_of_name(path: Path) -> tuple[str, int, str]:
    """Return a sort key by age for damaged files: `...corrupt-20261124T080000Z-10` is newer than `...Z-2`."""
    stamp, _, number = path.name.partition(".corrupt-")[2].partition("-")
    return stamp, int(number) if number.isdecimal() else 0, path.name


def _remove(path: Path) -> None:
    """Remove a file and its companions if they exist."""
    for ending in ENDINGS:
        sibling(path, ending).unlink(missing_ok=True)


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _remove(path)
        raise
