"""A server process that never outlives its parent.

`serving()` runs this same file as a small guard process, which starts the server and holds the read end of a pipe.
The pipe breaks when the parent leaves the context, exits, or is killed by any signal. Then the guard ends the server
and removes its directory. prctl(PR_SET_PDEATHSIG) would follow the thread that forked rather than the process, and
would leave the directory behind.

This file also runs on its own, without the package, so it imports only the standard library.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

_LOG_TAIL_BYTES = 2_000
_POLL_SECONDS = 0.02
_REMOVAL_SECONDS = 30.0


class ServerError(Exception):
    """A server that ended, or did not answer in time. The text ends with its last output."""


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    is_ready: Callable[[], bool],
    start_seconds: float = 30.0,
    grace_seconds: float = 5.0,
) -> Iterator[None]:
    """Run `command` in `directory` for as long as the context lasts.

    `directory` must exist. It becomes the server's working directory and is removed at the end. The server gets
    SIGTERM at the end, and SIGKILL `grace_seconds` later.

    Raises:
        ServerError: the server ended, or was not ready within `start_seconds`.
    """
    with tempfile.TemporaryFile() as log:
        guard = subprocess.Popen(  # noqa: S603 the command is the caller's own
            [sys.executable, "-I", "-S", __file__, str(directory), str(grace_seconds), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            _await_ready(guard, is_ready, start_seconds, log)
            yield
        finally:
            if guard.stdin is not None:
                guard.stdin.close()
            guard.wait(grace_seconds + _REMOVAL_SECONDS)


def _await_ready(
    guard: "subprocess.Popen[bytes]", is_ready: Callable[[], bool], start_seconds: float, log: IO[bytes]
) -> None:
    for _ in range(round(start_seconds / _POLL_SECONDS)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = guard.wait(_POLL_SECONDS)
            raise ServerError(f"the server ended with exit code {code} while starting\n{_tail(log)}".rstrip())
        if is_ready():
            return
    raise ServerError(f"the server did not answer within {start_seconds:.0f} s\n{_tail(log)}".rstrip())


def _tail(log: IO[bytes]) -> str:
    # The server shares this file offset, so read without moving it.
    begin = max(0, os.fstat(log.fileno()).st_size - _LOG_TAIL_BYTES)
    return os.pread(log.fileno(), _LOG_TAIL_BYTES, begin).decode(errors="replace")


def _run(directory: Path, grace_seconds: float, command: Sequence[str]) -> int:
    """Run the server until it ends or standard input closes. Returns its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        server = subprocess.Popen(  # noqa: S603 the command is the caller's own
            command, cwd=directory, stdin=subprocess.DEVNULL, process_group=0
        )
        try:
            threading.Thread(target=_leave_with_standard_input, daemon=True).start()
            return server.wait()
        finally:
            _end(server, grace_seconds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _leave(number: int, _frame: FrameType | None) -> None:
    for repeated in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(repeated, signal.SIG_IGN)
    sys.exit(128 + number)


def _leave_with_standard_input() -> None:
    # sys.stdin would hold its lock while the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end(server: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(grace_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    sys.exit(_run(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
