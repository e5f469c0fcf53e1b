"""What spreading a catch-up costs beside copying: CPU of the owner, and of a worker's calls to SQS, an object.

    python benchmarks/spread_overhead.py [--json]

Exit 1 where a bound is missed: together 10 us an object at 2,000 objects a task, 2 us at 20,000, and the last hundred of 200
results cost the owner at most a fifth more than the first. A worker copies for real. The owner's CPU is the kernel's figure
for its process, of 200 tasks less that of 10: what both have in common is its start and its end, which no task pays. A
worker's CPU is that of its calls for one task, made 300 times.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from bench import BIN, responder  # noqa: E402
from servers import ministack_server  # noqa: E402
from spread import DAY, prepared  # noqa: E402

from syncd.aws.queues import Queues  # noqa: E402

OBJECTS_A_DAY = 2000
"""Of the responder."""
VISIBILITY_SECONDS = 60
CALLS = 300
STEEPEST = 1.2
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Series(NamedTuple):
    """A catch-up of few tasks, and one of many."""

    task_objects: int
    few: int
    many: int
    most_us: float


class Run(NamedTuple):
    """One catch-up: CPU of its owner."""

    tasks: int
    seconds: float
    at_result: Sequence[float]
    """CPU seconds when each result was recorded."""


class Cost(NamedTuple):
    """CPU of a series."""

    task_objects: int
    tasks: int
    start_seconds: float
    task_ms: float
    growth: float
    """The cost of the last half of the results beside that of the first."""
    owner_us: float
    worker_us: float

    @property
    def together(self) -> float:
        """Microseconds an object."""
        return self.owner_us + self.worker_us


ALL = (Series(2000, 10, 200, 10.0), Series(20_000, 2, 12, 2.0))


def main() -> int:
    arguments = parsed()
    costs = [measured(series) for series in ALL]
    if arguments.json:
        print(json.dumps([{**cost._asdict(), "together_us": cost.together} for cost in costs]))
    else:
        print("objects a task  tasks  start s  task ms  growth  owner us  worker's SQS us  together  at most")
        for series, cost in zip(ALL, costs, strict=True):
            print(
                f"{cost.task_objects:>14}  {cost.tasks:>5}  {cost.start_seconds:>7.2f}  {cost.task_ms:>7.1f}"
                f"  {cost.growth:>6.2f}  {cost.owner_us:>8.2f}  {cost.worker_us:>15.2f}  {cost.together:>8.2f}"
                f"  {series.most_us:>7.1f}"
            )
    dear = any(cost.together > series.most_us for series, cost in zip(ALL, costs, strict=True))
    return 1 if dear or costs[0].growth > STEEPEST else 0


def measured(series: Series) -> Cost:
    days_a_task = series.task_objects // OBJECTS_A_DAY
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        objects = (series.few + series.many) * series.task_objects
        url = stack.enter_context(responder(folder / "responder", objects, 512, "remember"))
        sqs = stack.enter_context(ministack_server())
        config, environment = prepared(folder, url, sqs, series.task_objects, visibility_seconds=VISIBILITY_SECONDS)
        worker = subprocess.Popen(
            [str(BIN / "syncd"), "work", "--config", str(config)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(worker.wait)
        stack.callback(worker.kill)
        between = date.fromisoformat(DAY) + timedelta(days=series.few * days_a_task)
        end = between + timedelta(days=series.many * days_a_task - 1)
        few = owned(config, environment, "--from", DAY, "--to", f"{between - timedelta(days=1)}")
        many = owned(config, environment, "--from", f"{between}", "--to", f"{end}")
        os.environ.update({name: value for name, value in environment.items() if name.startswith("AWS_")})
        call_seconds = sqs_seconds(f"{sqs.url}/{sqs.access_key_id}/dead")
    task_seconds = (many.seconds - few.seconds) / (many.tasks - few.tasks)
    first, middle, last = (many.at_result[number] for number in (0, len(many.at_result) // 2, -1))
    return Cost(
        series.task_objects,
        many.tasks,
        few.seconds - few.tasks * task_seconds,
        task_seconds * 1e3,
        (last - middle) / max(middle - first, TICK_SECONDS),
        task_seconds / series.task_objects * 1e6,
        call_seconds / series.task_objects * 1e6,
    )


def owned(config: Path, environment: dict[str, str], *window: str) -> Run:
    """CPU of an owner without its copy processes."""
    process = subprocess.Popen(
        [str(BIN / "syncd"), "catch-up", "--spread", "--json", *window, "--config", str(config)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    tasks, at_result, told = 0, [], {}
    for line in process.stderr:
        told = json.loads(line)
        tasks = int(told["tasks"]) if told["event"] == "spread.started" else tasks
        if told["event"] == "task.done":
            at_result.append(so_far(process.pid))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the owner ended with {os.waitstatus_to_exitcode(status)}: {told}")
    return Run(tasks, usage.ru_utime + usage.ru_stime, at_result)


def so_far(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * TICK_SECONDS


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
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
