"""Two daemons and one slot: the holder is killed and frozen, then the leases cannot be reached.

    python benchmarks/slots.py [--ttl 8] [--times 5]

Exit 1 where a bound is missed: the other ticks within ttl + 5 s each time, no tick is begun by a process that has not the lease
at that moment, each object is put once; while the leases cannot be reached nobody ticks on after two thirds of ttl, /readyz
and syncd_lease_held say so, and ticks go on when they can be. The server's own log of AssumeRole, with which each tick begins,
tells who ticked: each daemon has a session name of its own. The leases are MiniStack's.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "daemon")]
from builders import ACCOUNTS, REGIONS, Trail  # noqa: E402
from faulty import Call, FaultyS3, Request  # noqa: E402
from servers import ministack_server  # noqa: E402
from service import Running, Service  # noqa: E402
from test_fleet import Cut, Store  # noqa: E402

JOB = "account-z"
SPARE_SECONDS = 5.0
MOST_SECONDS = 60.0


class Slots:
    """Two daemons' folders, their leases, and what the server saw of them."""

    def __init__(self, stack: ExitStack, ttl: int) -> None:
        self.ttl = ttl
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.server = stack.enter_context(FaultyS3())
        ministack = stack.enter_context(ministack_server())
        keys = {"aws_access_key_id": ministack.access_key_id, "aws_secret_access_key": ministack.secret_access_key}
        self.store = Store(ministack, boto3.client("s3", endpoint_url=ministack.url, region_name="us-east-1", **keys))
        self.cut = stack.enter_context(Cut(ministack.url))
        self.daemons: dict[str, Running] = {}
        self.begun: list[tuple[float, str, str]] = []
        """When a tick was begun, by which daemon, and which had the lease."""
        self.services = {name: self._service(folder / name, name) for name in ("one", "two")}
        self.server.faults.add("AssumeRole", Call(self._note))
        self.number = 0

    def _service(self, folder: Path, name: str) -> Service:
        folder.mkdir()
        service = Service(self.server, folder)
        service.configure({"fleet": {"lease": f"s3://{self.store.bucket}/fleet/", "ttl": f"{self.ttl}s"}})
        service.job(JOB, {"source.role.session_name": f"syncd-{name}"})
        return service

    def _note(self, request: Request) -> None:
        owner = str(self.store.lease()["owner"]).split(":")
        pids = {str(daemon.pid): name for name, daemon in self.daemons.items()}
        holder = pids.get(owner[1] if len(owner) > 1 else "", "")
        self.begun.append((time.monotonic(), request.form["RoleSessionName"].removeprefix("syncd-"), holder))

    def start(self, stack: ExitStack, name: str) -> None:
        environment = {**self.store.environment, "AWS_ENDPOINT_URL_S3": self.cut.url}
        self.daemons[name] = stack.enter_context(self.services[name].running(environment))
        self.daemons[name].wait_for("daemon.started")

    def holder(self) -> str:
        return self.begun[-1][1] if self.begun else ""

    def deliver(self) -> str:
        """One new object."""
        self.number += 1
        log = Trail().log(ACCOUNTS[0], REGIONS[0], datetime.now(UTC) - timedelta(minutes=5), self.number)
        (key,) = self.services["one"].deliver(log)
        return key

    def is_there(self, key: str) -> bool:
        return key in self.services["one"].replica(JOB)


def main() -> int:
    arguments = parsed()
    with ExitStack() as stack:
        slots = Slots(stack, arguments.ttl)
        for name in slots.services:
            slots.start(stack, name)
        wait_until(lambda: bool(slots.begun))
        takeovers = []
        for number in range(2 * arguments.times):
            takeovers.append(taken_over(slots, stack, is_killed=number % 2 == 0))
            print(
                f"{'killed' if number % 2 == 0 else 'frozen'}: the other ticked after {takeovers[-1]:.1f} s", flush=True
            )
        ticked, is_alarmed, back = cut_off(slots)
        strangers = [begun for begun in slots.begun if begun[1] != begun[2]]
        puts = Counter(request.key for request in slots.server.requests if request.operation == "PutObject")
        keys = slots.services["one"].replica(JOB)
        source = slots.server.keys(slots.services["one"].world.bucket)
    print(f"{len(slots.begun)} ticks, {len(strangers)} of them by a process without the lease: {strangers[:3]}")
    print(
        f"leases out of reach for {2 * arguments.ttl} s: {ticked} ticks, ticking again {back:.1f} s after they were back"
    )
    bounds = {
        "takeover within ttl + 5 s": max(takeovers) <= arguments.ttl + SPARE_SECONDS,
        "no tick is begun without the lease": not strangers,
        "nobody ticks on while the leases are out of reach": ticked == 0,
        "an alarm meanwhile": is_alarmed,
        "recovery within ttl + 5 s": back <= arguments.ttl + SPARE_SECONDS,
        "everything is there": set(keys) >= set(source),
        "each object is put once": max(puts.values()) == 1,
    }
    for name, holds in bounds.items():
        print(f"{'ok  ' if holds else 'MISS'} {name}")
    return 0 if all(bounds.values()) else 1


def taken_over(slots: Slots, stack: ExitStack, *, is_killed: bool) -> float:
    """Kill or freeze the holder. Returns the seconds until the other began a tick."""
    first = slots.holder()
    other = next(name for name in slots.services if name != first)
    daemon = slots.daemons[first]
    began = time.monotonic()
    daemon.send(signal.SIGKILL if is_killed else signal.SIGSTOP)
    key = slots.deliver()
    wait_until(lambda: slots.holder() == other and slots.begun[-1][0] > began)
    seconds = slots.begun[-1][0] - began
    wait_until(lambda: slots.is_there(key))
    if is_killed:
        daemon.ended()
        slots.start(stack, first)
    else:
        daemon.send(signal.SIGCONT)
        daemon.wait_for("lease.lost", times=len(daemon.told("lease.lost")) + 1)
    return seconds


def cut_off(slots: Slots) -> tuple[int, bool, float]:
    """Two ttl without leases. Returns the ticks begun after two thirds of the first, whether there was an alarm, and the recovery."""
    holder = slots.daemons[slots.holder()]
    slots.cut.close_for_all()
    cut_at = time.monotonic()
    time.sleep(2 * slots.ttl)
    ticked = sum(at > cut_at + slots.ttl * 2 / 3 for at, *_ in slots.begun)
    held = [daemon.metric("syncd_lease_held") for daemon in slots.daemons.values()]
    is_alarmed = held == [0, 0] and holder.get("/readyz")[0] == 503 and bool(holder.told("lease.unavailable"))
    key = slots.deliver()
    slots.cut.open_again()
    again = time.monotonic()
    wait_until(lambda: slots.is_there(key))
    return ticked, is_alarmed, time.monotonic() - again


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing happened for {MOST_SECONDS:.0f} s")
        time.sleep(0.05)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ttl", type=int, default=8)
    parser.add_argument("--times", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
