"""Faults of the disk and of the files that the program keeps."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from injection.fault import LOOKING, STREAM, WRITING, Fault, Inject, Met
from injection.scene import Scene, preloaded

_EVERY = WRITING + LOOKING
_CODES = frozenset({0, 1, 3, 4, 5})
"""A daemon ends with 5 if it cannot write its state."""
_REFUSALS = frozenset({"ledger_unwritable", "disk_full", "already_running", "resource_limit", "worker_died"})


def failing(call: str, error: int) -> Inject:
    """System calls fail: those on the state, or all if the call is of no file."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        where = "-" if call == "fork" else f"{scene.stage.state}"
        with preloaded(scene, rules=f"{call} {error} {where}") as preload:
            yield lambda: preload.hits

    return inject


def damaged(damage: Callable[[Path], object]) -> Inject:
    """After a tick, something is done to each state file; then more logs come."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        with scene.start("tick") as before:
            before.code()
        files = [path for path in scene.stage.state.iterdir() if path.is_file() and path.read_bytes()[:6] == b"SQLite"]
        for path in files:
            damage(path)
        scene.keys.append(scene.deliver_large())
        yield lambda: files

    return inject


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _scribbled(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


DISK = (
    Fault(
        "flock answers ENOLCK",
        failing("flock", errno.ENOLCK),
        _REFUSALS,
        modes=STREAM,
        is_for_all=True,
        codes=_CODES,
    ),
    Fault(
        "locks of byte ranges answer ENOLCK",
        failing("lock", errno.ENOLCK),
        _REFUSALS,
        ("tick", "run"),
        modes=STREAM,
        is_for_all=True,
        codes=_CODES,
    ),
    Fault("the disk is full", failing("write", errno.ENOSPC), _REFUSALS, modes=STREAM, is_for_all=True, codes=_CODES),
    Fault(
        "the disk answers EIO",
        failing("write", errno.EIO),
        _REFUSALS | {"ledger_corrupt"},
        modes=STREAM,
        is_for_all=True,
        codes=_CODES,
    ),
    Fault(
        "the file system is read-only",
        failing("write-open", errno.EROFS),
        _REFUSALS,
        _EVERY,
        modes=STREAM,
        is_for_all=True,
        codes=_CODES,
    ),
    Fault(
        "no file descriptor is left",
        failing("open", errno.EMFILE),
        _REFUSALS,
        _EVERY,
        modes=STREAM,
        is_for_all=True,
        codes=_CODES,
    ),
    Fault("fork answers EAGAIN", failing("fork", errno.EAGAIN), _REFUSALS, modes=STREAM, is_for_all=True, codes=_CODES),
    Fault("the state is missing", damaged(Path.unlink)),
    Fault("the state is empty", damaged(lambda path: path.write_bytes(b""))),
    Fault("the state is cut in half", damaged(_cut), frozenset({"ledger_corrupt"})),
    Fault("a page of the state is scribbled over", damaged(_scribbled), frozenset({"ledger_corrupt"})),
    Fault(
        "the state is no database", damaged(lambda path: path.write_bytes(b"#" * 9000)), frozenset({"ledger_corrupt"})
    ),
)
