"""What spreading a catch-up costs beside copying: CPU of the owner, and of a worker's calls to SQS, an object.

    python benchmarks/spread_overhead.py [--json]

Exit 1 where a bound is missed: together 10 us an object at 2,000 objects a task, 2 us at 20,000, and a task of 200 costs its
owner at most a fifth more than one of 10. Workers copy for real. The owner's CPU is the kernel's figure for its process.
Its start is measured by itself, as the CPU of a catch-up of a single task, and is not charged to objects. A worker's CPU
is that of its calls for one task, made 300 times.
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


class Series(NamedTuple):
    """Catch-ups of so many tasks each, one after the other."""

    task_objects: int
    tasks: Sequence[int]
    most_us: float


class Run(NamedTuple):
    """One catch-up: CPU of its owner."""

    tasks: int
    seconds: float


class Cost(NamedTuple):
    """CPU of a series."""

    task_objects: int
    start_seconds: float
    task_milliseconds: Sequence[tuple[int, float]]
    """Of each number of tasks, the owner's cost of one, without its start."""
    owner_us: float
    worker_us: float

    @property
    def together(self) -> float:
        """Microseconds an object."""
        return self.owner_us + self.worker_us


ALL = (Series(2000, (1, 10, 200), 10.0), Series(20_000, (1, 10), 2.0))


def main() -> int:
    arguments = parsed()
    costs = [measured(series) for series in ALL]
    if arguments.json:
        print(json.dumps([{**cost._asdict(), "together_us": cost.together} for cost in costs]))
    misses = []
    for series, cost in zip(ALL, costs, strict=True):
        each = ", ".join(f"{milliseconds:.1f} ms of {tasks}" for tasks, milliseconds in cost.task_milliseconds)
        if not arguments.json:
            print(
                f"{series.task_objects} objects a task: start {cost.start_seconds:.2f} s, then a task costs its owner {each}"
            )
            print(
                f"  an object: owner {cost.owner_us:.2f} us, worker's SQS {cost.worker_us:.2f} us,"
                f" together {cost.together:.2f} us, at most {series.most_us:.0f}"
            )
        first, last = cost.task_milliseconds[0][1], cost.task_milliseconds[-1][1]
        misses += ["dearer than allowed"] if cost.together > series.most_us else []
        misses += ["a task costs more when there are many"] if last > STEEPEST * first else []
    print("\n".join(f"MISS {miss}" for miss in misses), file=sys.stderr)
    return 1 if misses else 0


def measured(series: Series) -> Cost:
    days_a_task = series.task_objects // OBJECTS_A_DAY
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        objects = sum(series.tasks) * series.task_objects
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
        runs, begin = [], date.fromisoformat(DAY)
        for tasks in series.tasks:
            following = begin + timedelta(days=tasks * days_a_task)
            window = ("--from", f"{begin}", "--to", f"{following - timedelta(days=1)}")
            runs.append(owned(config, environment, *window))
            begin = following
        os.environ.update({name: value for name, value in environment.items() if name.startswith("AWS_")})
        call_seconds = sqs_seconds(f"{sqs.url}/{sqs.access_key_id}/dead")
    return cost_of(series, runs, call_seconds)


def cost_of(series: Series, runs: Sequence[Run], call_seconds: float) -> Cost:
    alone, *others = runs
    each = [(run.tasks, (run.seconds - alone.seconds) / (run.tasks - alone.tasks)) for run in others]
    last = each[-1][1]
    return Cost(
        series.task_objects,
        alone.seconds - alone.tasks * last,
        [(tasks, seconds * 1e3) for tasks, seconds in each],
        last / series.task_objects * 1e6,
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
    told = [json.loads(line) for line in process.stderr]
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the owner ended with {os.waitstatus_to_exitcode(status)}: {told[-1]}")
    started = next(item for item in told if item["event"] == "spread.started")
    return Run(int(started["tasks"]), usage.ru_utime + usage.ru_stime)


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
