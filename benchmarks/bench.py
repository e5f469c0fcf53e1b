"""What copying costs: syncd and its peers, in turn, against the same server in the same run.

    make bench                          everything, a few minutes
    python benchmarks/bench.py --quick  fewer objects and rounds

Each command is a process of its own, timed from its start to its end with the kernel's own accounting of CPU and
memory, its children's included. The runs alternate, and medians are compared: absolute times mean little on a shared
machine. The responder answers from memory and stores nothing, so that what is measured is the client; SeaweedFS, a
real store, is the second server.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(os.environ.get("BENCH_BIN", Path(sys.executable).parent))
ACCOUNT, CONSUMER = "111122223333", "222222222222"


@dataclass(frozen=True)
class Run:
    """One command, once."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass
class Contender:
    """One command, as often as it was run."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    fresh: Path | None = None
    runs: list[Run] = field(default_factory=list)

    def run(self) -> None:
        if self.fresh is not None:
            shutil.rmtree(self.fresh, ignore_errors=True)
        began = time.monotonic()
        process = subprocess.Popen(
            self.command,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{self.name} ended with {os.waitstatus_to_exitcode(status)}: {told.decode()[-2000:]}")
        peak = usage.ru_maxrss / 1024
        self.runs.append(Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak))

    def median(self, of: str) -> float:
        return statistics.median(getattr(run, of) for run in self.runs)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def responder(folder: Path, objects: int, size: int) -> Iterator[str]:
    """The responder with so many objects of one size; its URL."""
    program = folder / "responder"
    subprocess.run(["cc", "-O2", "-w", "-o", program, HERE / "responder.c"], check=True)
    etag = hashlib.md5(
        bytes((index * 7 + 13) & 255 for index in range(min(size, 256))) * (size // 256) or b""
    ).hexdigest()
    port = free_port()
    process = subprocess.Popen([program, str(port), str(objects), str(size), etag])
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{url}/__stats"):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def counted(url: str) -> dict[str, int]:
    """What the responder has answered since it was last asked."""
    with urllib.request.urlopen(f"{url}/__stats") as answer:
        found: dict[str, int] = json.load(answer)
        return found


def syncd(folder: Path, url: str, name: str, *, copy: str, workers: int, verb: Sequence[str]) -> Contender:
    """Ours, with a state of its own."""
    home = folder / name.replace(" ", "-").replace(",", "")
    (home / "jobs.d").mkdir(parents=True)
    (home / "credentials").write_text("[default]\naws_access_key_id = AKX\naws_secret_access_key = s\n")
    (home / "syncd.toml").write_text(
        f'state_dir = "{home}/state"\njobs = ["jobs.d/*.toml"]\n[log]\nlevel = "error"\n[http]\nlisten = ""\n'
        f"[engine]\nworkers = {workers}\n"
    )
    (home / "jobs.d" / "bench.toml").write_text(
        f'name = "bench"\nstart = "beginning"\n[consumer]\naccount_id = "{CONSUMER}"\n'
        f'credentials_file = "{home}/credentials"\n[source]\naccount_id = "{ACCOUNT}"\nbucket = "src"\n'
        f'region = "us-east-1"\naccounts = ["{ACCOUNT}"]\nregions = ["us-east-1"]\nkinds = ["CloudTrail"]\n'
        f'[source.role]\narn = "arn:aws:iam::{ACCOUNT}:role/Test"\n[destination]\nbucket = "dst"\n'
        f'region = "us-east-1"\ncopy = "{copy}"\n[endpoints]\ns3 = "{url}"\nsts = "{url}"\n'
    )
    command = [str(BIN / "syncd"), *verb, "--json", "--config", str(home / "syncd.toml")]
    fresh = home / "state" if verb[0] == "catch-up" else None
    return Contender(name, command, fresh=fresh)


def peers(url: str) -> dict[str, Contender]:
    """The tools that people come from."""
    keys = {"AWS_ACCESS_KEY_ID": "AKX", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
    keys["AWS_DEFAULT_REGION"] = "us-east-1"
    remote = {
        f"RCLONE_CONFIG_{name}_{key}": value
        for name in ("SRC", "DST")
        for key, value in {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ACCESS_KEY_ID": name,
            "SECRET_ACCESS_KEY": "s",
            "REGION": "us-east-1",
            "ENDPOINT": url,
            "FORCE_PATH_STYLE": "true",
            "LIST_VERSION": "2",
        }.items()
    } | {"RCLONE_CONFIG": "/nonexistent"}
    s5cmd = [str(BIN / "s5cmd"), "--endpoint-url", url, "--numworkers", "64"]
    rclone = [
        str(BIN / "rclone"),
        "copy",
        "--transfers",
        "16",
        "--checkers",
        "16",
        "--s3-no-check-bucket",
        "--s3-no-head",
    ]
    rclone += ["--s3-no-head-object", "--no-traverse"]
    return {
        "s5cmd cp": Contender("s5cmd cp", [*s5cmd, "cp", "s3://src/*", "s3://dst/"], keys),
        "s5cmd sync": Contender("s5cmd sync", [*s5cmd, "sync", "s3://src/*", "s3://dst/"], keys),
        "rclone, two remotes": Contender("rclone, two remotes", [*rclone, "src:src", "dst:dst"], remote),
        "aws s3 sync": Contender(
            "aws s3 sync",
            [str(BIN / "aws"), "--endpoint-url", url, "s3", "sync", "s3://src", "s3://dst", "--only-show-errors"],
            keys,
        ),
    }


def alternate(contenders: Sequence[Contender], rounds: int) -> None:
    """One round after the other, each contender once in each."""
    for _ in range(rounds):
        for contender in contenders:
            contender.run()


def table(title: str, contenders: Sequence[Contender], against: Contender, objects: int) -> None:
    """Medians, and their ratios to one of the contenders."""
    print(f"\n{title}")
    print(f"{'':34}{'objects/s':>11}{'µs CPU each':>13}{'peak MB':>9}{'rate ratio':>12}{'CPU ratio':>11}")
    for contender in contenders:
        seconds, cpu = contender.median("seconds"), contender.median("cpu_seconds")
        print(
            f"{contender.name:34}{objects / seconds:>11,.0f}{cpu / objects * 1e6:>13.0f}"
            f"{contender.median('peak_mb'):>9.0f}{against.median('seconds') / seconds:>12.2f}"
            f"{cpu / against.median('cpu_seconds'):>11.2f}"
        )


def small_objects(folder: Path, *, objects: int, rounds: int, with_slow: bool) -> None:
    verb = ["catch-up", "--from", "2026-01-01"]
    with responder(folder, objects, 2048) as url:
        ours = [
            syncd(folder, url, "syncd server-side, one worker", copy="server-side", workers=1, verb=verb),
            syncd(folder, url, "syncd server-side, two workers", copy="server-side", workers=2, verb=verb),
        ]
        theirs = peers(url)
        fast = [*ours, theirs["s5cmd cp"]]
        alternate(fast, rounds)
        if with_slow:
            alternate([theirs["s5cmd sync"]], 1)
            fast.append(theirs["s5cmd sync"])
        table(
            f"Server-side, {objects:,} objects of 2 KB, the process's start included", fast, theirs["s5cmd cp"], objects
        )
        counted(url)
        ours[0].run()
        print(f"requests of one run: {counted(url)}")

        ours = [
            syncd(folder, url, "syncd stream, one worker", copy="stream", workers=1, verb=verb),
            syncd(folder, url, "syncd stream, two workers", copy="stream", workers=2, verb=verb),
        ]
        contenders = [*ours, theirs["rclone, two remotes"]]
        alternate(contenders, rounds)
        table(
            f"Streaming between two credentials, {objects:,} objects of 2 KB",
            contenders,
            theirs["rclone, two remotes"],
            objects,
        )
        counted(url)
        ours[0].run()
        print(f"requests of one run: {counted(url)}")


def large_objects(folder: Path, *, objects: int, rounds: int) -> None:
    verb = ["catch-up", "--from", "2026-01-01"]
    with responder(folder, objects, 50 * 1024 * 1024) as url:
        ours = syncd(folder, url, "syncd stream, 50 MB", copy="stream", workers=1, verb=verb)
        theirs = peers(url)["rclone, two remotes"]
        alternate([ours, theirs], rounds)
        table(f"Streaming {objects} objects of 50 MB", [ours, theirs], theirs, objects)


def idle_tick(folder: Path, *, objects: int, rounds: int) -> None:
    """What a tick costs when nothing is new, beside what the peers do to find that out."""
    with responder(folder, objects, 2048) as url:
        first = syncd(folder, url, "syncd tick, nothing new", copy="server-side", workers=1, verb=["tick"])
        first.run()
        first.runs.clear()
        counted(url)
        theirs = peers(url)["s5cmd sync"]
        alternate([first], rounds)
        lists = counted(url)["list"] / rounds
        print(f"\nAn idle tick with {objects:,} objects of history")
        print(f"{'syncd tick':34}{first.median('cpu_seconds'):>8.2f} s CPU {lists:>8.0f} LISTs")
        theirs.run()
        print(f"{'s5cmd sync':34}{theirs.median('cpu_seconds'):>8.2f} s CPU {counted(url)['list']:>8.0f} LISTs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as name:
        folder = Path(name)
        small_objects(folder, objects=8_000 if quick else 40_000, rounds=2 if quick else 5, with_slow=not quick)
        large_objects(folder, objects=20, rounds=1 if quick else 3)
        (folder / "idle").mkdir()
        idle_tick(folder / "idle", objects=8_000 if quick else 40_000, rounds=3)


if __name__ == "__main__":
    main()
