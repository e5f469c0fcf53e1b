"""The installed program under way, its output in files, so that however much it says, nobody has to read along."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from program import PROGRAM

LONGEST_SECONDS = 240.0
_REASON = re.compile(r'"reason": ?"(\w+)"')


class Run:
    """One run; `stdout` and `stderr` are what it has written so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self.process, self._folder = process, folder

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def code(self, *, seconds: float = LONGEST_SECONDS) -> int:
        """Waits for its end; raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout=seconds)

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout").read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text(errors="replace")

    @property
    def logged_reasons(self) -> set[str]:
        """Every reason that its log holds."""
        return set(_REASON.findall(self.stderr))

    def jobs(self) -> dict[str, Any]:
        """The entries of its document, by job; raises ValueError where there is no document."""
        return {entry["job"]: entry for entry in json.loads(self.stdout)["jobs"]}

    def workers(self) -> list[int]:
        """The processes that it has started."""
        tasks = Path(f"/proc/{self.pid}/task")
        with contextlib.suppress(OSError):
            return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        return []


@contextlib.contextmanager
def run(
    arguments: tuple[str, ...], *, folder: Path, environment: Mapping[str, str], stderr: int | None = None
) -> Iterator[Run]:
    """Starts it; `stderr` is where its log goes instead. What still runs at the end is killed."""
    folder.mkdir(parents=True)
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log if stderr is None else stderr,
        )
    with process:
        try:
            yield Run(process, folder)
        finally:
            if process.poll() is None:
                process.kill()
