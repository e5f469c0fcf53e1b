"""The state file among processes: made, checked, migrated and moved aside by one at a time.

Whoever has the file open holds `ledger.lock` shared; whoever makes, migrates or moves it holds that alone, and
`ledger.gate` before it, so that those who come in the meantime wait and a busy daemon cannot keep it out for ever.
The file itself is opened by SQLite alone: closing any other descriptor of it would drop SQLite's own locks
(fcntl(2), "Advisory record locking").
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import NamedTuple

from syncd.ledger.locks import (
    create_private,
    create_private_directory,
    lock_now,
    lock_patiently,
    open_private,
    require_plain,
)
from syncd.ledger.repair import Entries, salvageable, take_over
from syncd.ledger.schema import (
    ENDINGS,
    NotReady,
    Schema,
    check_pages,
    connect,
    connect_readonly,
    connect_to_nothing,
    make_ready,
    require_version,
    translated,
)
from syncd.model.errors import LedgerCorrupt, LedgerError

ALONE_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LARGEST_CHECKED_BYTES = 64 * 1024 * 1024
_ATTEMPTS = 4
DAMAGED_FILES_KEPT = 2

Identity = tuple[int, int]
"""Device and inode: what tells a file from one that takes its name later."""


def identity_of(path: Path) -> Identity | None:
    """The identity of the file of this name; None where there is none. OSError where it cannot be told."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class OpenState(NamedTuple):
    """The state file, open, and held against being moved."""

    connection: sqlite3.Connection
    descriptor: int | None
    """Of the shared lock, closed after the connection; None where it could not be had, and it is only read."""
    identity: Identity | None
    """None for nothing, in the place of a file that is missing, and is only read."""
    turn: AbstractContextManager[bool]
    """Held while writing: threads of one process wait in a queue here, where SQLite would let each ask and sleep."""
    moved_aside: Path | None = None
    """Where a corrupt file went that stood in its place."""
    salvaged: int = 0
    """How many of its entries were taken over: starts, quarantine, acceptances."""

    def close(self) -> None:
        """Close the file and let go of it, in this order."""
        try:
            self.connection.close()
        finally:
            _close(self.descriptor)


class StateFile:
    """`STATE_DIR/ledger.sqlite3`. One for the process; any thread may call it."""

    def __init__(self, state_dir: Path, *, now: Callable[[], float], schema: Schema) -> None:
        self.path = state_dir / "ledger.sqlite3"
        self._fresh = _sibling(self.path, ".new")
        self._now = now
        self._schema = schema
        self._checked: set[Identity] = set()
        self._condemned: set[Identity] = set()
        self._turn = Lock()
        self.salvaged = 0
        """Entries that were taken over from the file that was moved aside last."""

    def open(self) -> OpenState:
        """Open the file; make it, migrate it, or move a corrupt one aside and make another, where that is due.

        Raises:
            LedgerNewer: a newer syncd wrote it; it was not touched.
            LedgerFull, LedgerUnwritable: it cannot be used.
            LedgerCorrupt: it is damaged, and others have it open who do not let go of it.
        """
        moved_aside = None
        for _ in range(_ATTEMPTS):
            try:
                with translated(self.path):
                    create_private_directory(self.path.parent)
                    self._require_plain()
                    opened = self._open_ready()
                    return opened._replace(moved_aside=moved_aside, salvaged=self.salvaged if moved_aside else 0)
            except NotReady:
                moved_aside = self._make_ready() or moved_aside
            except LedgerCorrupt:
                moved_aside = self.move_aside() or moved_aside
        raise LedgerCorrupt(f"{self.path}: it is damaged again as soon as it is made")

    def open_readonly(self) -> OpenState:
        """Open the file for reading, or nothing in its place.

        Raises:
            LedgerError: as `open`, but nothing is mended; also where the file is of an older version.
        """
        with translated(self.path):
            self._require_plain()
            identity = identity_of(self.path)
        if identity is None:
            return OpenState(connect_to_nothing(self._schema), None, None, self._turn)
        held = None
        with suppress(OSError):  # a read-only copy of the state can be looked at as well
            held = self._share()
        try:
            connection = self._connected(connect_readonly, self._require_version, identity)
        except NotReady as unready:
            _close(held)
            if unready.version:
                raise LedgerError(f"{self.path} has the older schema {unready.version}: a tick migrates it") from None
            return OpenState(connect_to_nothing(self._schema), None, None, self._turn)
        except BaseException:
            _close(held)
            raise
        return OpenState(connection, held, identity, self._turn)

    def condemn(self, identity: Identity | None) -> None:
        """Note that a file turned out to be corrupt, so that `move_aside` moves that one and no other."""
        if identity is not None:
            self._condemned.add(identity)

    def move_aside(self) -> Path | None:
        """Give a file that was found corrupt another name; None where it is not in its place any more.

        Whoever calls it has closed what it had open. Waits for others to do the same, for `ALONE_SECONDS`. A new file takes
        its place, with what the old one tells that no listing can.

        Raises:
            LedgerCorrupt: others did not close it.
            LedgerFull, LedgerUnwritable: it cannot be moved.
        """
        with translated(self.path), self._gate():
            if identity_of(self.path) not in self._condemned:
                return None
            with self._alone():
                return self._moved(identity_of(self.path))

    def _moved(self, identity: Identity | None) -> Path:
        """Put a new file in the place of a damaged one, with whatever of it no listing can tell again."""
        self.salvaged = self._make_fresh()
        target = self._free_name()
        _rename(self.path, target)
        _rename(self._fresh, self.path)
        if identity is not None:
            self._condemned.discard(identity)
        self._prune(target)
        return target

    def _make_fresh(self) -> int:
        """Make a file beside the damaged one, whole before anything is moved: the disk may be full.

        Returns how many entries it took over.
        """
        fresh = self._fresh
        _remove(fresh)
        os.close(create_private(fresh))
        # Within as well: that there is no room shows in the sizes of files that are gone once all is closed.
        with (
            _removed_on_error(fresh),
            translated(fresh),
            closing(connect(fresh, mode="rw")) as connection,
            translated(fresh),
        ):
            make_ready(connection, fresh, self._schema)
            salvaged = take_over(connection, self._salvageable())
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return salvaged

    def _salvageable(self) -> Entries:
        try:
            with closing(connect_readonly(self.path)) as damaged:
                return salvageable(damaged)
        except (sqlite3.Error, UnicodeDecodeError):
            return []

    def _prune(self, newest: Path) -> None:
        """Keep the newest damaged files alone: each may be as large as the state. What cannot be removed stays."""
        found = {_without_ending(path) for path in self.path.parent.glob(f"{self.path.name}.corrupt-*")}
        older = sorted(found - {newest}, key=_age_of_name)
        for old in older[: len(older) - DAMAGED_FILES_KEPT + 1]:
            with suppress(OSError):
                _remove(old)

    def _open_ready(self) -> OpenState:
        held = self._share()
        try:
            identity = self._filled_identity()
            connection = self._connected(
                partial(connect, mode="rw"), lambda opened: self._check(opened, identity), identity
            )
        except BaseException:
            _close(held)
            raise
        return OpenState(connection, held, identity, self._turn)

    def _connected(
        self,
        make: Callable[[Path], sqlite3.Connection],
        check: Callable[[sqlite3.Connection], None],
        identity: Identity,
    ) -> sqlite3.Connection:
        try:
            with translated(self.path):
                connection = make(self.path)
                with _closed_on_error(connection):
                    check(connection)
        except LedgerCorrupt:
            self.condemn(identity)
            raise
        return connection

    def _check(self, connection: sqlite3.Connection, identity: Identity) -> None:
        """Look at the version each time, and at every page once in a process, where that takes a moment.

        Later and larger damage is found by the rows' checksums, and by SQLite on the pages that it reads.
        """
        self._require_version(connection)
        if identity not in self._checked:
            if self.path.stat().st_size < _LARGEST_CHECKED_BYTES:
                check_pages(connection, self.path)
            self._checked.add(identity)

    def _require_version(self, connection: sqlite3.Connection) -> None:
        require_version(connection, self.path, self._schema)

    def _make_ready(self) -> Path | None:
        """Make or migrate the file; where that shows it to be corrupt, where it was moved to."""
        with translated(self.path), self._gate():
            if self._is_ready():
                # Somebody made it while this one waited, and may have it open for the length of a tick.
                return None
            with self._alone():
                return self._made_ready()

    def _is_ready(self) -> bool:
        try:
            self._filled_identity()
            with closing(connect_readonly(self.path)) as connection:
                self._require_version(connection)
        except (NotReady, LedgerError, sqlite3.Error):
            return False
        return True

    def _made_ready(self) -> Path | None:
        identity = identity_of(self.path)
        if identity is None or self.path.stat().st_size == 0:
            for ending in ENDINGS[1:]:
                _sibling(self.path, ending).unlink(missing_ok=True)
        if identity is None and self._fresh.exists():
            # A move was cut short after the damaged file had gone: what takes its place is made already.
            _rename(self._fresh, self.path)
        elif identity is None:
            os.close(create_private(self.path))
        try:
            with (
                translated(self.path),
                closing(connect(self.path, mode="rw")) as connection,
                translated(self.path),
            ):
                make_ready(connection, self.path, self._schema)
        except LedgerCorrupt:
            return self._moved(identity)
        return None

    def _filled_identity(self) -> Identity:
        identity = identity_of(self.path)
        if identity is None or self.path.stat().st_size == 0:
            raise NotReady(0)
        return identity

    def _require_plain(self) -> None:
        for ending in ENDINGS:
            require_plain(_sibling(self.path, ending))

    def _free_name(self) -> Path:
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        first = _sibling(self.path, f".corrupt-{stamp}")
        target, number = first, 1
        while target.exists():
            number += 1
            target = _sibling(first, f"-{number}")
        return target

    def _share(self) -> int:
        gate = open_private(self.path.with_name("ledger.gate"))
        try:
            lock_patiently(gate, exclusive=False)
            held = open_private(self.path.with_name("ledger.lock"))
            lock_patiently(held, exclusive=False)
        finally:
            os.close(gate)
        return held

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """While nobody else can open the file, nor make or move it; those who have it open keep it."""
        gate = open_private(self.path.with_name("ledger.gate"))
        try:
            lock_patiently(gate, exclusive=True)
            yield
        finally:
            os.close(gate)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else has the file open. Needs the gate."""
        held = open_private(self.path.with_name("ledger.lock"))
        try:
            for _ in range(int(ALONE_SECONDS / _POLL_SECONDS)):
                if lock_now(held, exclusive=True):
                    break
                Event().wait(_POLL_SECONDS)
            else:
                raise LedgerCorrupt(f"{self.path} has to be moved or made, and others did not close it in time")
            yield
        finally:
            os.close(held)


def _sibling(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _without_ending(path: Path) -> Path:
    name = path.name
    for ending in ENDINGS[1:]:
        name = name.removesuffix(ending)
    return path.with_name(name)


def _age_of_name(path: Path) -> tuple[str, int, str]:
    """Return what the names of damaged files sort by: `...corrupt-20261124T080000Z-10` is newer than `...Z-2`."""
    stamp, _, number = path.name.partition(".corrupt-")[2].partition("-")
    return stamp, int(number) if number.isdecimal() else 0, path.name


def _remove(path: Path) -> None:
    """Remove a file and what belongs to it, if it is there."""
    for ending in ENDINGS:
        _sibling(path, ending).unlink(missing_ok=True)


def _rename(path: Path, target: Path) -> None:
    """Rename a file and what belongs to it, the log first: that must lie beside no file whose pages it is not of."""
    for ending in reversed(ENDINGS):
        with suppress(FileNotFoundError):
            _sibling(path, ending).rename(_sibling(target, ending))


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _remove(path)
        raise


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
