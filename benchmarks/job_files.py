"""Ten thousand job files in one daemon: what watching them takes of a core, and how soon an edit of one is in force.

    python benchmarks/job_files.py [--jobs 10000] [--seconds 60]

Exit 1 where a bound is missed: 2 % of a core while nothing changes, and 5 s from an edit to the line of the log that tells of
it, both for a file that is rewritten in its place and for one that another is renamed to. The jobs tick once a year, so that
the daemon has nothing else to do. Its CPU is the kernel's figure for its process, and CPU seconds of a reload are shown beside,
since others may use this machine.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "daemon")]
from service import Running, Service  # noqa: E402

MOST_SHARE = 0.02
MOST_RELOAD_SECONDS = 5.0
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
EDITS = 3


def main() -> int:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = written(folder, arguments.jobs)
        service = Service.__new__(Service)
        service.folder, service.config = folder, folder / "syncd.toml"
        with service.running() as daemon:
            daemon.wait_for("daemon.started", seconds=300)
            time.sleep(10)
            before, began = cpu_seconds(daemon), time.monotonic()
            time.sleep(arguments.seconds)
            share = (cpu_seconds(daemon) - before) / (time.monotonic() - began)
            told = [edited(daemon, files[number], renames=bool(number % 2)) for number in range(2 * EDITS)]
            daemon.stopped()
    print(f"{arguments.jobs} job files   {share:.1%} of a core while nothing changes")
    for number, (seconds, cpu) in enumerate(told):
        way = "renamed to" if number % 2 else "in place"
        print(f"edit {way:>10}  in force after {seconds:.1f} s, {cpu:.1f} s of CPU meanwhile")
    bounds = {
        "2 % of a core": share <= MOST_SHARE,
        "an edit is in force within 5 s": max(seconds for seconds, _ in told) <= MOST_RELOAD_SECONDS,
    }
    for bound, holds in bounds.items():
        print(f"{'ok  ' if holds else 'MISS'} {bound}")
    return 0 if all(bounds.values()) else 1


def written(folder: Path, count: int) -> list[Path]:
    (folder / "jobs.d").mkdir()
    (folder / "syncd.toml").write_text(
        f'state_dir = "{folder}/state"\njobs = ["jobs.d/*.toml"]\n[http]\nlisten = "127.0.0.1:0"\n'
    )
    (folder / "credentials").write_text("[default]\naws_access_key_id = AKX\naws_secret_access_key = s\n")
    day = datetime.now(UTC) - timedelta(days=30)
    paths = []
    for number in range(count):
        account = f"{100_000_000_000 + number}"
        path = folder / "jobs.d" / f"customer-{number:05d}.toml"
        path.write_text(
            f'name = "customer-{number:05d}"\ncron = "0 0 {day.day} {day.month} *"\n'
            f'[consumer]\naccount_id = "999999999999"\ncredentials_file = "{folder}/credentials"\n'
            f'[source]\naccount_id = "{account}"\nbucket = "trail-{number:05d}"\nregion = "us-east-1"\n'
            f'[source.role]\narn = "arn:aws:iam::{account}:role/Syncd"\nexternal_id = "customer-{number}"\n'
            f'[destination]\nbucket = "replica"\nprefix = "customer-{number:05d}/"\nregion = "us-east-1"\n'
        )
        paths.append(path)
    return paths


def edited(daemon: Running, path: Path, *, renames: bool) -> tuple[float, float]:
    """Seconds until an edit is in force, and the CPU of the daemon meanwhile."""
    times = len(daemon.told("configuration.reloaded"))
    text = path.read_text() + f"# {times}\n"
    text = text.replace("[destination]\n", f'[destination]\ntags = {{edit = "{times}"}}\n') if times == 0 else text
    before, began = cpu_seconds(daemon), time.monotonic()
    target = path.with_suffix(".new") if renames else path
    target.write_text(text)
    if renames:
        target.rename(path)
    wait_until(lambda: len(daemon.told("configuration.reloaded")) > times)
    return time.monotonic() - began, cpu_seconds(daemon) - before


def cpu_seconds(daemon: Running) -> float:
    user, system = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * TICK_SECONDS


def wait_until(holds: Callable[[], bool], *, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
