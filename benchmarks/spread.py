"""A spread catch-up whose workers and owner are killed and frozen at random: nothing lost, nothing twice, and at what cost.

    python benchmarks/spread.py [--objects 100000] [--task 2000] [--workers 3] [--kill-every 2] [--freezes 3]
                                [--owner-kills 2] [--seed N]

Exit 1 where a bound is missed. The responder remembers which keys were put, and how; the queues are MiniStack's. Owner,
workers and servers share this machine, so that the time says little: what counts is requests and objects.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from bench import ACCOUNT, BIN, CONSUMER, counted, responder  # noqa: E402
from servers import S3Server, ministack_server  # noqa: E402

DAY = "2026-01-01"
VISIBILITY_SECONDS = 6
IN_FLIGHT = 256
MOST_SECONDS = 120.0
STARTS_A_KILL = 4
LISTS_A_THOUSAND = 2.2


@dataclass
class Trial:
    """What is killed, and how often."""

    folder: Path
    config: Path
    environment: Mapping[str, str]
    random: random.Random
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    kills: int = 0
    freezes: int = 0
    owner_kills: int = 0

    def start(self, *arguments: str, output: Path | None = None) -> "subprocess.Popen[bytes]":
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        return subprocess.Popen(
            [str(BIN / "syncd"), *arguments, "--config", str(self.config)],
            env=self.environment,
            stdout=log if output is None else output.open("wb"),
            stderr=log,
        )

    def owner(self) -> "subprocess.Popen[bytes]":
        return self.start("catch-up", "--spread", "--json", "--from", DAY, output=self.folder / "owner.json")

    def kill_a_worker(self) -> None:
        """Kills one with SIGKILL, and starts another in its place. Its copy process is left to notice."""
        number = self.random.randrange(len(self.workers))
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.start("work")
        self.kills += 1

    def freeze_a_worker(self) -> "subprocess.Popen[bytes]":
        worker = self.random.choice(self.workers)
        worker.send_signal(signal.SIGSTOP)
        self.freezes += 1
        return worker


def main() -> int:
    arguments = parsed()
    # Whatever ends this process ends the others.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = arguments.seed if arguments.seed is not None else random.randrange(10**6)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(responder(folder / "responder", arguments.objects, 512, "remember"))
        sqs = stack.enter_context(ministack_server())
        trial = Trial(folder, *prepared(folder, url, sqs, arguments.task), random.Random(seed))
        queues = client(sqs)
        began = time.monotonic()
        try:
            code = run(trial, arguments)
        finally:
            for worker in trial.workers:
                worker.kill()
                worker.wait()
        seconds = time.monotonic() - began
        spread = counted(url)
        audit = subprocess.run(
            [str(BIN / "syncd"), "catch-up", "--json", "--from", DAY, "--config", str(trial.config)],
            env=trial.environment,
            capture_output=True,
            check=False,
        )
        audited = counted(url)
        waiting = left(queues)
        return told(arguments, seed, trial, code, seconds, spread, audit.returncode, audited, waiting)


def run(trial: Trial, arguments: argparse.Namespace) -> int:
    """Let owner and workers do it, while some of them die. Returns the last owner's exit code."""
    # On a busy machine a worker would be killed before it has begun anything.
    began = time.monotonic()
    trial.start("work", "--until-empty").wait()
    mean = max(arguments.kill_every, STARTS_A_KILL * (time.monotonic() - began))
    trial.workers = [trial.start("work") for _ in range(arguments.workers)]
    owner = trial.owner()
    draw = trial.random.expovariate
    next_kill = time.monotonic() + draw(1 / mean)
    next_freeze = time.monotonic() + 2
    next_owner_kill = time.monotonic() + 2 + draw(1 / 3)
    thaw: list[tuple[float, subprocess.Popen[bytes]]] = []
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = owner.wait(timeout=0.1)
            break
        now = time.monotonic()
        for at, worker in list(thaw):
            if now >= at:
                worker.send_signal(signal.SIGCONT)
                thaw.remove((at, worker))
        if now >= next_kill:
            trial.kill_a_worker()
            next_kill = now + draw(1 / mean)
        if trial.freezes < arguments.freezes and now >= next_freeze:
            thaw.append((now + 2.5 * VISIBILITY_SECONDS, trial.freeze_a_worker()))
            next_freeze = now + 4
        if trial.owner_kills < arguments.owner_kills and now >= next_owner_kill:
            owner.kill()
            owner.wait()
            trial.owner_kills += 1
            owner = trial.owner()
            next_owner_kill = now + 2 + draw(1 / 4)
    for _, worker in thaw:
        worker.send_signal(signal.SIGCONT)
    return code


def told(
    arguments: argparse.Namespace,
    seed: int,
    trial: Trial,
    code: int,
    seconds: float,
    spread: Mapping[str, int],
    audit_code: int,
    audited: Mapping[str, int],
    waiting: Mapping[str, int],
) -> int:
    objects = arguments.objects
    extra = spread["get"] - objects
    rows = day_rows(trial.folder / "state" / "ledger.sqlite3")
    most_lists = LISTS_A_THOUSAND * objects / 1000 + 8
    bounds = {
        "owner's exit code is 0": code == 0,
        "no object is lost": spread["there"] == objects,
        "none is overwritten": spread["overwritten"] == 0,
        "none is put unconditionally": spread["unconditional"] == 0,
        "GETs beyond one an object": extra <= IN_FLIGHT * (trial.kills + trial.freezes),
        "day rows add up": rows == objects,
        "the audit ends with 0": audit_code == 0,
        "the audit reads and writes nothing": audited["get"] == audited["put"] == 0,
        "the audit's LISTs": audited["list"] <= most_lists,
        "queues are empty": not any(waiting.values()),
        "time": seconds <= MOST_SECONDS,
    }
    print(f"seed {seed}: {objects} objects, about {arguments.task} a task, {arguments.workers} workers")
    print(f"killed         {trial.kills} workers, {trial.owner_kills} owners; {trial.freezes} workers frozen")
    print(f"time           {seconds:.1f} s")
    print(f"GET            {spread['get']} ({extra} beyond one an object)")
    print(f"PUT            {spread['put']}, {spread['refused']} of them refused with 412; HEAD {spread['head']}")
    print(f"LIST           {spread['list']}; of the audit {audited['list']}")
    print(f"day rows       {rows} objects")
    print(f"left in queues {dict(waiting)}")
    for name, holds in bounds.items():
        print(f"{'ok  ' if holds else 'MISS'} {name}")
    if code or not all(bounds.values()):
        print((trial.folder / "owner.json").read_text()[-3000:])
        print((trial.folder / "catch-up.log").read_text()[-6000:])
    return 0 if all(bounds.values()) else 1


def prepared(
    folder: Path, url: str, sqs: S3Server, task_objects: int, *, visibility_seconds: int = VISIBILITY_SECONDS
) -> tuple[Path, dict[str, str]]:
    """Write the configuration and make the queues. Returns the file, and the environment of all processes."""
    queues = client(sqs)
    urls = {name: queues.create_queue(QueueName=name)["QueueUrl"] for name in ("tasks", "results", "dead")}
    found = queues.get_queue_attributes(QueueUrl=urls["dead"], AttributeNames=["QueueArn"])["Attributes"]
    policy = {"deadLetterTargetArn": found["QueueArn"], "maxReceiveCount": "10"}
    queues.set_queue_attributes(QueueUrl=urls["tasks"], Attributes={"RedrivePolicy": json.dumps(policy)})
    (folder / "jobs.d").mkdir()
    (folder / "credentials").write_text("[default]\naws_access_key_id = AKX\naws_secret_access_key = s\n")
    config = folder / "syncd.toml"
    config.write_text(
        f'state_dir = "{folder}/state"\njobs = ["jobs.d/*.toml"]\n[http]\nlisten = ""\n'
        f'[work]\ntasks = "{urls["tasks"]}"\nresults = "{urls["results"]}"\ndead = "{urls["dead"]}"\n'
        f'visibility = "{visibility_seconds}s"\ntask_objects = {task_objects}\n'
    )
    (folder / "jobs.d" / "bench.toml").write_text(
        f'name = "bench"\nstart = "beginning"\n[consumer]\naccount_id = "{CONSUMER}"\n'
        f'credentials_file = "{folder}/credentials"\n[source]\naccount_id = "{ACCOUNT}"\nbucket = "src"\n'
        f'region = "us-east-1"\naccounts = ["{ACCOUNT}"]\nregions = ["us-east-1"]\nkinds = ["CloudTrail"]\n'
        f'[source.role]\narn = "arn:aws:iam::{ACCOUNT}:role/Test"\n[destination]\nbucket = "dst"\n'
        f'region = "us-east-1"\ncopy = "stream"\n[endpoints]\ns3 = "{url}"\nsts = "{url}"\n'
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AWS_ACCESS_KEY_ID": sqs.access_key_id,
        "AWS_SECRET_ACCESS_KEY": sqs.secret_access_key,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_SQS": sqs.url,
        "NO_PROXY": "127.0.0.1",
    }
    return config, environment


def client(sqs: S3Server) -> Any:
    return boto3.Session().client(
        "sqs",
        endpoint_url=sqs.url,
        region_name="us-east-1",
        aws_access_key_id=sqs.access_key_id,
        aws_secret_access_key=sqs.secret_access_key,
    )


def left(queues: Any) -> dict[str, int]:
    """How many messages are in each queue, or in a hand."""
    counts = {}
    for name in ("tasks", "results", "dead"):
        url = queues.get_queue_url(QueueName=name)["QueueUrl"]
        found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        counts[name] = sum(int(value) for key, value in found.items() if key.startswith("ApproximateNumberOf"))
    return counts


def day_rows(ledger: Path) -> int:
    """How many objects the owner's sealed days have."""
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        (total,) = connection.execute("SELECT coalesce(sum(count), 0) FROM days").fetchone()
        return int(total)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--task", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kill-every", type=float, default=2.0)
    parser.add_argument("--freezes", type=int, default=3)
    parser.add_argument("--owner-kills", type=int, default=2)
    parser.add_argument("--seed", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
