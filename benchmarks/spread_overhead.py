"""What spreading a catch-up costs beside copying: CPU of the owner, and of a worker's calls to SQS, an object.

    python benchmarks/spread_overhead.py [--objects 100000] [--json]

Exit 1 where a bound is missed: together 10 us an object at 2,000 objects a task, 2 us at 20,000. The owner's CPU is the
kernel's figure for its process, less that of an owner that has nothing to do. A worker's is that of its calls for one
task, made 300 times.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from bench import BIN, responder  # noqa: E402
from servers import ministack_server  # noqa: E402
from spread import DAY, prepared  # noqa: E402

from syncd.aws.queues import Queues  # noqa: E402

BOUNDS = {2000: 10.0, 20_000: 2.0}
CALLS = 300
ROUNDS = 3


class Cost(NamedTuple):
    """Microseconds of CPU an object."""

    task_objects: int
    tasks: int
    owner: float
    worker: float


def main() -> int:
    arguments = parsed()
    costs = [measured(arguments.objects, task) for task in BOUNDS]
    if arguments.json:
        print(json.dumps([cost._asdict() for cost in costs]))
    else:
        print("objects a task  tasks  owner us  worker's SQS us  together  at most")
        for cost in costs:
            together = cost.owner + cost.worker
            bound = BOUNDS[cost.task_objects]
            print(
                f"{cost.task_objects:>14}  {cost.tasks:>5}  {cost.owner:>8.2f}  {cost.worker:>15.2f}"
                f"  {together:>8.2f}  {bound:>7.1f}"
            )
    return 0 if all(cost.owner + cost.worker <= BOUNDS[cost.task_objects] for cost in costs) else 1


def measured(objects: int, task_objects: int) -> Cost:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(responder(folder / "responder", objects, 512, "remember"))
        sqs = stack.enter_context(ministack_server())
        config, environment = prepared(folder, url, sqs, task_objects)
        worker = subprocess.Popen(
            [str(BIN / "syncd"), "work", "--config", str(config)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(worker.wait)
        stack.callback(worker.kill)
        whole, tasks = owner_seconds(config, environment, "--from", DAY)
        idle = min(
            owner_seconds(config, environment, "--from", "2020-01-01", "--to", "2020-01-02")[0] for _ in range(ROUNDS)
        )
        os.environ.update({name: value for name, value in environment.items() if name.startswith("AWS_")})
        calls = sqs_seconds(f"{sqs.url}/{sqs.access_key_id}/dead")
        return Cost(task_objects, tasks, (whole - idle) / objects * 1e6, calls * tasks / objects * 1e6)


def owner_seconds(config: Path, environment: dict[str, str], *window: str) -> tuple[float, int]:
    """CPU seconds of an owner without its copy processes, and how many tasks it had."""
    process = subprocess.Popen(
        [str(BIN / "syncd"), "catch-up", "--spread", "--json", *window, "--config", str(config)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = [json.loads(line) for line in process.stderr]
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the owner ended with {os.waitstatus_to_exitcode(status)}: {told[-1]}")
    started = next(item for item in told if item["event"] == "spread.started")
    return usage.ru_utime + usage.ru_stime, int(started["tasks"])


def sqs_seconds(queue: str) -> float:
    """CPU seconds of what a worker asks of SQS for one task: receive, send, extend once, delete."""
    queues = Queues()
    body = "x" * 2000
    queues.attributes(queue)
    began = time.process_time()
    for _ in range(CALLS):
        queues.send(queue, [body])
        (message,) = queues.receive(queue, most=1, wait_seconds=1, visibility_seconds=60)
        queues.change_visibility(queue, message, 60)
        queues.delete(queue, [message])
    return (time.process_time() - began) / CALLS


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
