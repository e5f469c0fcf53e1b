"""The most memory that a running program and its workers held, as the kernel remembers it."""

import contextlib
import threading
from pathlib import Path
from typing import Self


class Peak:
    """Looks at a process and its children until the end of the block."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def parent_mib(self) -> int:
        return self._peaks.get(self._pid, 0) // 1024

    @property
    def worker_mib(self) -> int:
        return max((kib for pid, kib in self._peaks.items() if pid != self._pid), default=0) // 1024

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            for pid in (self._pid, *_children(self._pid)):
                with contextlib.suppress(OSError, IndexError, ValueError):
                    status = Path(f"/proc/{pid}/status").read_text()
                    self._peaks[pid] = int(status.partition("VmHWM:")[2].split()[0])


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []
