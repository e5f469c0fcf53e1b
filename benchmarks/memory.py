"""What a run holds in memory, the parent and its workers together, however many objects it copies.

    python benchmarks/memory.py           20 thousand and a million objects, in both modes: five minutes
    python benchmarks/memory.py 1000      as many as are named

Each process counts with its proportional share of what it shares with others (`Pss` of /proc/PID/smaps_rollup), four
times a second; the largest sum counts. Exits with 1 where more objects take more memory, or 250 MB.

Of 50 MB objects each process counts by itself, with the most that it ever held (`VmHWM`): at most 120 MB. What hostile
servers make of it is measured by `make hostile`.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import LARGE_BYTES, responder, syncd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hostile.peak import Peak

LIMIT_MB = 250.0
LARGE_LIMIT_MIB = 114
"""120 MB."""
_LARGE_OBJECTS = 60
_NOISE_MB = 20.0
_EVERY_SECONDS = 0.25


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from family(int(child))


def held_mb(pid: int) -> float:
    """The share of memory that is a process's own; 0.0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def peak_mb(folder: Path, objects: int, copy: str) -> tuple[float, int]:
    """The most that a catch-up of so many objects held, in MB, and how many it copied."""
    with responder(folder, objects, 2048) as url:
        run = syncd(folder, url, "memory", copy=copy, workers=1, verb=["catch-up", "--from", "2020-01-01"])
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        with subprocess.Popen(run.command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, sum(held_mb(pid) for pid in family(process.pid)))
                time.sleep(_EVERY_SECONDS)
            return peak, json.load(process.stdout)["jobs"][0]["copied"]


def large_mib(folder: Path) -> tuple[int, int, int]:
    """The most that the program and a worker held with 50 MB objects, in MiB, and how many were copied."""
    with responder(folder, _LARGE_OBJECTS, LARGE_BYTES) as url:
        run = syncd(folder, url, "memory", copy="stream", workers=1, verb=["catch-up", "--from", "2020-01-01"])
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        with (
            subprocess.Popen(run.command, env=environment, stdout=subprocess.PIPE) as process,
            Peak(process.pid) as peak,
        ):
            copied: int = json.loads(process.communicate()[0])["jobs"][0]["copied"]
        return peak.parent_mib, peak.worker_mib, copied


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [20_000, 1_000_000]
    is_held = True
    print(f"{'':14}{'objects':>12}{'copied':>12}{'peak MB':>10}")
    for copy in ("server-side", "stream"):
        first = 0.0
        for objects in counts:
            with tempfile.TemporaryDirectory(prefix="syncd-memory-") as name:
                peak, copied = peak_mb(Path(name), objects, copy)
            first = first or peak
            is_held = is_held and copied == objects and peak < min(LIMIT_MB, first + _NOISE_MB)
            print(f"{copy:14}{objects:>12,}{copied:>12,}{peak:>10.0f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="syncd-memory-") as name:
        program, worker, copied = large_mib(Path(name))
    is_held = is_held and copied == _LARGE_OBJECTS and max(program, worker) <= LARGE_LIMIT_MIB
    print(f"50 MB objects: {copied} copied, program {program} MiB, worker {worker} MiB")
    sys.exit(0 if is_held else 1)


if __name__ == "__main__":
    main()
