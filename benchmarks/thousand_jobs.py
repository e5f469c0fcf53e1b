"""A vendor's thousand jobs in one daemon, nothing new at any of them: the share of a core and the memory it takes.

    python benchmarks/thousand_jobs.py [--jobs 1000] [--every 300] [--rounds 1] [--regions 4] [--scrape 15]

Exit 1 where a target is missed. The jobs share one consumer and have an account, a role, a bucket and an external ID
each, with logs and digests in several regions, all on a server in this process; the daemon is a process of its own, and
its time and memory are the kernel's figures. One round lets every job tick for the first time and copy what is there,
and is not measured. Prometheus is played by a GET of /metrics each `--scrape` seconds.

A run takes (1 + rounds) * every seconds. With another `--every` than 300 the cadence is another, and the figure says so:
half of it doubles the work of a second.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from builders import REGIONS, Trail, deliver, toml
from faulty import FaultyS3

CONSUMER = "999999999999"
DESTINATION = "vendor-replica"
CADENCE_SECONDS = 300
CORE_TARGET = 0.25
MEMORY_TARGET_BYTES = 600_000_000
LOGS_A_SHARD = 3


class Usage(NamedTuple):
    """What the daemon has used so far."""

    cpu_seconds: float
    resident_bytes: int
    peak_bytes: int


def main() -> int:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as folder, FaultyS3() as server:
        config = prepare(server, Path(folder), arguments)
        with daemon(config, server) as (pid, events):
            address = wait(
                lambda: next((item["address"] for item in events if item["event"] == "http.listening"), None)
            )
            wait(lambda: ticks(events) >= arguments.jobs, seconds=2 * arguments.every + 60)
            before, began, counted, listed = usage(pid), monotonic(), ticks(events), server.count("ListObjectsV2")
            scrapes = scrape(str(address), arguments.scrape, arguments.rounds * arguments.every)
            after, seconds = usage(pid), monotonic() - began
            done, lists = ticks(events) - counted, server.count("ListObjectsV2") - listed
            failed = [item for item in events if item["event"] in ("tick.failed", "tick.crashed", "tick.overran")]
    core = (after.cpu_seconds - before.cpu_seconds) / seconds
    print(
        f"{arguments.jobs} jobs of {2 * arguments.regions} shards, each every {arguments.every} s, for {seconds:.0f} s"
    )
    if arguments.every != CADENCE_SECONDS:
        print(f"NOT the cadence of the target: {CADENCE_SECONDS / arguments.every:.1f} times as many ticks a second")
    print(f"ticks          {done} ({done / seconds:.2f}/s), {len(failed)} failed or overran")
    print(f"ListObjectsV2  {lists} ({lists / max(done, 1):.1f} a tick)")
    print(f"scrapes        {len(scrapes)}, {max(scrapes, default=0) / 1000:.0f} kB")
    print(f"one core       {core:.1%} (target: under {CORE_TARGET:.0%})")
    print(f"a tick         {1000 * core * seconds / max(done, 1):.1f} ms of CPU")
    print(
        f"memory         {after.resident_bytes / 1e6:.0f} MB, {after.peak_bytes / 1e6:.0f} MB at its peak (target: under 600 MB)"
    )
    is_met = core < CORE_TARGET and after.peak_bytes < MEMORY_TARGET_BYTES and not failed
    return 0 if is_met else 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--every", type=int, default=CADENCE_SECONDS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--scrape", type=int, default=15)
    return parser.parse_args()


def prepare(server: FaultyS3, folder: Path, arguments: argparse.Namespace) -> Path:
    """The world and the configuration; the path of syncd.toml."""
    server.create_bucket(DESTINATION, account_id=CONSUMER)
    user = server.add_user(CONSUMER)
    credentials = folder / "credentials"
    credentials.write_text(
        f"[default]\naws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret_access_key}\n"
    )
    config = folder / "syncd.toml"
    config.write_text(toml({"state_dir": folder / "state", "http": {"listen": "127.0.0.1:0"}}))
    (folder / "jobs.d").mkdir()
    now = datetime.now(UTC).replace(microsecond=0)
    regions = [
        f"{REGIONS[number % len(REGIONS)][:-1]}{1 + number // len(REGIONS)}" for number in range(arguments.regions)
    ]
    for number in range(arguments.jobs):
        name, account = f"customer-{number:04d}", f"{100_000_000_000 + number}"
        server.create_bucket(f"trail-{number:04d}", account_id=account)
        arn = f"arn:aws:iam::{account}:role/vendor"
        server.add_role(arn, trusts=frozenset({CONSUMER}), external_id=f"customer-{number}")
        trail = Trail(seed=number)
        for region in regions:
            stamps = [now - timedelta(minutes=20 + 5 * age) for age in range(LOGS_A_SHARD)]
            logs = [trail.log(account, region, stamp) for stamp in stamps]
            deliver(server, f"trail-{number:04d}", [*logs, trail.digest(account, region, now - timedelta(hours=1))])
        (folder / "jobs.d" / f"{name}.toml").write_text(toml(job(name, account, number, arn, credentials, arguments)))
    return config


def job(
    name: str, account: str, number: int, arn: str, credentials: Path, arguments: argparse.Namespace
) -> dict[str, object]:
    return {
        "name": name,
        "every": f"{arguments.every}s",
        "consumer": {"account_id": CONSUMER, "credentials_file": credentials},
        "source": {
            "account_id": account,
            "bucket": f"trail-{number:04d}",
            "region": "us-east-1",
            "accounts": [account],
            "role": {"arn": arn, "third_party": True, "external_id": f"customer-{number}"},
        },
        "destination": {"bucket": DESTINATION, "region": "us-east-1", "prefix": f"{name}/"},
    }


@contextlib.contextmanager
def daemon(config: Path, server: FaultyS3) -> Iterator[tuple[int, list[dict[str, object]]]]:
    """The daemon's process ID, and its log as it grows."""
    # By the environment rather than [endpoints], so that addresses are found as they are for AWS.
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    program = str(Path(sys.executable).parent / "syncd")
    events: list[dict[str, object]] = []
    with subprocess.Popen(
        [program, "run", "--config", config], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        lines = process.stderr
        reader = threading.Thread(target=lambda: events.extend(json.loads(line) for line in lines))
        reader.start()
        try:
            yield process.pid, events
        finally:
            process.terminate()
            code = process.wait(timeout=60)
            reader.join()
            print(f"ended with {code}")


def ticks(events: list[dict[str, object]]) -> int:
    """Ticks that came to their end."""
    return sum(item["event"] == "tick.finished" for item in list(events))


def usage(pid: int) -> Usage:
    """The kernel's own figures."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    jiffies = int(fields[11]) + int(fields[12])
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {words[0]: int(words[1]) * 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return Usage(jiffies / os.sysconf("SC_CLK_TCK"), sizes["VmRSS:"], sizes["VmHWM:"])


def scrape(address: str, every: int, seconds: int) -> list[int]:
    """Read the metrics now and then for so long; the size of each answer."""
    sizes: list[int] = []
    pause, ends_at = threading.Event(), monotonic() + seconds
    while monotonic() < ends_at:
        pause.wait(min(every, max(0.0, ends_at - monotonic())))
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            sizes.append(len(answer.read()))
    return sizes


def wait(condition: Callable[[], object], *, seconds: float = 60.0) -> object:
    """What the condition comes to, as soon as it is something."""
    pause, ends_at = threading.Event(), monotonic() + seconds
    while not (found := condition()):
        if monotonic() > ends_at:
            raise TimeoutError(f"not within {seconds:.0f} s")
        pause.wait(0.2)
    return found


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    sys.exit(main())
