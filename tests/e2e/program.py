"""The installed program, run as its users run it."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forked import Forked, can_fork

PROGRAM = str(Path(sys.executable).parent / "syncd")
LONGEST_SECONDS = 90.0


@dataclass(frozen=True)
class Ran:
    """What a run came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    @property
    def job(self) -> Any:
        """The entry of the only job in the document."""
        (job,) = self.document["jobs"]
        return job

    @property
    def logged(self) -> list[Any]:
        """The log's events, from stderr, where every line must be one."""
        return [json.loads(line) for line in self.stderr.splitlines()]


class Running:
    """A run under way."""

    def __init__(self, process: "subprocess.Popen[str] | Forked") -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Of the program itself."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Sends a signal to the program itself, not to what it may have started."""
        self._process.send_signal(number)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def ended(self, *, seconds: float = LONGEST_SECONDS) -> Ran:
        """Waits for its end; raises subprocess.TimeoutExpired."""
        stdout, stderr = self._process.communicate(timeout=seconds)
        assert self._process.returncode is not None
        return Ran(self._process.returncode, stdout, stderr)


@contextlib.contextmanager
def running(arguments: tuple[str, ...], *, folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """Starts it in `folder`; what is still running at the end is killed.

    It is forked from a process that has loaded it already, unless the environment is one that a start reads.
    """
    if can_fork(environment):
        forked = Forked([PROGRAM, *arguments], folder=folder, environment=environment)
        try:
            yield Running(forked)
        finally:
            forked.kill()
            forked.wait()
            forked.close()
        return
    with subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()
