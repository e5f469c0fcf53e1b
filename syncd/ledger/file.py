"""The state file, shared by processes: created, checked, migrated and moved aside by one of them at a time.

Whoever has the file open holds `ledger.lock` shared. Whoever creates, migrates or moves it holds that lock exclusively,
and `ledger.gate` before it, so that newcomers wait and a busy daemon cannot block it forever.
Only SQLite opens the file itself: closing any other descriptor of it would drop SQLite's own locks
(fcntl(2), "Advisory record locking").
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import NamedTuple

from syncd.ledger.aside import fresh_of, rename, replace_damaged, sibling
from syncd.ledger.folder.locks import (
    create_private,
    create_private_directory,
    lock_now,
    lock_patiently,
    open_private,
    require_plain,
)
from syncd.ledger.schema import NotReady, Schema, connect_to_nothing, make_ready, require_version
from syncd.ledger.sqlite import ENDINGS, check_pages, connect, connect_readonly, translated
from syncd.model.errors import LedgerCorrupt, LedgerError

ALONE_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LARGEST_CHECKED_BYTES = 64 * 1024 * 1024
_ATTEMPTS = 4

Identity = tuple[int, int]
"""Device and inode. They distinguish a file from a later one of the same name."""


def identity_of(path: Path) -> Identity | None:
    """Return the identity of a file. Returns None if it does not exist, raises OSError if it cannot be read."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class OpenState(NamedTuple):
    """The open state file, protected from being moved."""

    connection: sqlite3.Connection
    descriptor: int | None
    """The shared lock, closed after the connection. None if it could not be taken, when the file is only read."""
    identity: Identity | None
    """None if the file does not exist and an empty ledger is read instead."""
    turn: AbstractContextManager[bool]
    """Held while writing: threads of one process queue here, while SQLite would have each of them poll and sleep."""
    moved_aside: Path | None = None
    """The new path of a corrupt file that was in its place."""
    salvaged: int = 0
    """Entries that were salvaged from that file: starts, quarantine, acceptances."""

    def close(self) -> None:
        """Close the file, then release its lock."""
        try:
            self.connection.close()
        finally:
            _close(self.descriptor)


class StateFile:
    """`STATE_DIR/ledger.sqlite3`. One per process, for any thread."""

    def __init__(self, state_dir: Path, *, now: Callable[[], float], schema: Schema) -> None:
        self.path = state_dir / "ledger.sqlite3"
        self._now = now
        self._schema = schema
        self._checked: set[Identity] = set()
        self._condemned: set[Identity] = set()
        self._turn = Lock()
        self.salvaged = 0
        """Entries that were salvaged from the file that was last moved aside."""

    def open(self) -> OpenState:
        """Open the file. If needed, create it, migrate it, or move a corrupt one aside and create another.

        Raises:
            LedgerNewer: a newer syncd wrote it, and it was not touched.
            LedgerFull, LedgerUnwritable: it cannot be used.
            LedgerCorrupt: it is damaged, and other processes that have it open do not close it.
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
        raise LedgerCorrupt(f"{self.path}: each new file is damaged as soon as it is created")

    def open_readonly(self) -> OpenState:
        """Open the file for reading, or an empty ledger if there is no file.

        Raises:
            LedgerError: as `open`, but nothing is repaired. Also if the file has an older version.
        """
        with translated(self.path):
            self._require_plain()
            identity = identity_of(self.path)
        if identity is None:
            return OpenState(connect_to_nothing(self._schema), None, None, self._turn)
        held = None
        with suppress(OSError):  # a read-only copy of the state can be read as well
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
        """Mark a file as corrupt, so that `move_aside` moves that one and no other."""
        if identity is not None:
            self._condemned.add(identity)

    def move_aside(self) -> Path | None:
        """Replace a corrupt file by a new one, and salvage the entries that no listing can find again.

        The caller has closed the file. Waits up to `ALONE_SECONDS` for others to close it. Returns the new path, or
        None if the file is already gone.

        Raises:
            LedgerCorrupt: others did not close it.
            LedgerFull, LedgerUnwritable: it cannot be moved.
        """
        with translated(self.path), self._gate():
            if identity_of(self.path) not in self._condemned:
                return None
            with self._alone():
                return self._replaced(identity_of(self.path))

    def _replaced(self, identity: Identity | None) -> Path:
        target, self.salvaged = replace_damaged(self.path, schema=self._schema, now=self._now)
        if identity is not None:
            self._condemned.discard(identity)
        return target

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
        """Check the version each time, and every page of a small file once per process.

        Later and larger damage is found by the rows' checksums, and by SQLite in the pages that it reads.
        """
        self._require_version(connection)
        if identity not in self._checked:
            if self.path.stat().st_size < _LARGEST_CHECKED_BYTES:
                check_pages(connection, self.path)
            self._checked.add(identity)

    def _require_version(self, connection: sqlite3.Connection) -> None:
        require_version(connection, self.path, self._schema)

    def _make_ready(self) -> Path | None:
        """Create or migrate the file. Returns the new path of a file that turned out to be corrupt, else None."""
        with translated(self.path), self._gate():
            if self._is_ready():
                # Another process created it meanwhile, and may have it open for the length of a tick.
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
                sibling(self.path, ending).unlink(missing_ok=True)
        fresh = fresh_of(self.path)
        if identity is None and fresh.exists():
            # A move was interrupted after the damaged file was renamed: its replacement is complete.
            rename(fresh, self.path)
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
            return self._replaced(identity)
        return None

    def _filled_identity(self) -> Identity:
        identity = identity_of(self.path)
        if identity is None or self.path.stat().st_size == 0:
            raise NotReady(0)
        return identity

    def _require_plain(self) -> None:
        for ending in ENDINGS:
            require_plain(sibling(self.path, ending))

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
        """Keep everybody else from opening, creating or moving the file. Whoever has it open keeps it."""
        gate = open_private(self.path.with_name("ledger.gate"))
        try:
            lock_patiently(gate, exclusive=True)
            yield
        finally:
            os.close(gate)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the file exclusively. The caller must hold the gate."""
        held = open_private(self.path.with_name("ledger.lock"))
        try:
            for _ in range(int(ALONE_SECONDS / _POLL_SECONDS)):
                if lock_now(held, exclusive=True):
                    break
                Event().wait(_POLL_SECONDS)
            else:
                raise LedgerCorrupt(f"{self.path} must be moved or created, but other processes keep it open")
            yield
        finally:
            os.close(held)


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
