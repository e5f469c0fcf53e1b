"""docs/capacity.md, reckoned from measured figures: `python tools/capacity.py` writes it, `--check` compares it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).parents[1] / "docs" / "capacity.md"


class Figure(NamedTuple):
    """A measured figure, and the command that measures it."""

    value: float
    unit: str
    what: str
    by: str


# Two cores at 2 GHz or so, shared with others, on loopback and without TLS: ratios say more than absolutes.
TICK_MS = Figure(19.7, "ms of CPU", "a tick of a job with 8 shards and nothing new", "make vendor (600 jobs)")
BASE_MB = Figure(77, "MB", "the daemon without jobs", "make vendor (from 150 and 600 jobs)")
JOB_MB = Figure(0.133, "MB", "a job more in the daemon", "make vendor (from 150 and 600 jobs)")
LISTS = Figure(10, "LISTs", "a tick of a job with 8 shards", "make vendor")
PARENT_US = Figure(46, "us of CPU", "planning and recording an object, in the one process of the job", "make bench")
COPY_US = Figure(240, "us of CPU", "reading and writing an object, in copy processes", "make bench")
ROW_BYTES = Figure(70, "bytes", "an object that is remembered by itself", "make scale")
DAY_BYTES = Figure(100, "bytes", "a sealed day", "make scale")
SPREAD_US = Figure(
    1.65,
    "us of CPU",
    "what spreading costs an object at 20,000 objects a task, on a machine with a load of 25",
    "make spread",
)
TASK_MS = Figure(29, "ms of CPU", "a task, whatever is in it", "make spread")
HINT_MS = Figure(
    760,
    "ms",
    "from an object's arrival to its replica with hints, half of them, at a load of 20",
    "benchmarks/hints.py",
)
FIGURES = (TICK_MS, BASE_MB, JOB_MB, LISTS, PARENT_US, COPY_US, ROW_BYTES, DAY_BYTES, SPREAD_US, TASK_MS, HINT_MS)

EVERY_SECONDS = 300
DAY_SECONDS = 86_400
DOLLARS_A_LIST, DOLLARS_A_GET, DOLLARS_A_PUT, DOLLARS_A_MESSAGE = 0.005 / 1000, 0.0004 / 1000, 0.005 / 1000, 0.4e-6
TASK_OBJECTS, MESSAGES_A_TASK, KEYS_A_LIST = 20_000, 5, 1000
JOBS = (1, 10, 100, 1000, 10_000)
OBJECTS = (10**6, 10**7, 10**8, 10**9)
WORKERS = 20


def page() -> str:
    """The whole page."""
    return "\n".join((*_head(), *_jobs(), *_objects(), *_figures())) + "\n"


def _head() -> Iterator[str]:
    yield from (
        "<!-- Written by tools/capacity.py from the figures at its end. -->",
        "# Capacity",
        "",
        "How much one machine takes, and from where on several help. All of it is reckoned from a few measured figures, which are at",
        "the end; what is measured on other machines has other absolutes and the same shape. No figure is from AWS itself, and none",
        "includes TLS, which may double the CPU of a request.",
    )


def _jobs() -> Iterator[str]:
    yield from (
        "",
        "## Jobs of one daemon",
        "",
        f"Jobs of 8 shards with nothing new, a tick each {EVERY_SECONDS // 60} minutes. With hints the tick may be hourly: then divide CPU, LISTs and dollars by 12.",
        "",
        "| jobs | cores | memory | LISTs a second | LISTs, $ a day | lag, at most | with hints |",
        "|---|---|---|---|---|---|---|",
    )
    for jobs in JOBS:
        ticks = jobs / EVERY_SECONDS
        lists = ticks * LISTS.value
        memory = BASE_MB.value + JOB_MB.value * jobs
        yield (
            f"| {jobs:,} | {ticks * TICK_MS.value / 1000:.3f} | {memory:,.0f} MB | {lists:.2f}"
            f" | {lists * DAY_SECONDS * DOLLARS_A_LIST:,.2f} | {EVERY_SECONDS} s | {HINT_MS.value / 1000:.1f} s |"
        )
    yield from (
        "",
        "One daemon has one GIL, so that a core is its limit. Above some 5,000 jobs, or where one process is too much to lose at a time,",
        "share them by slots (`[fleet]`).",
    )


def _objects() -> Iterator[str]:
    yield from (
        "",
        "## Objects of one catch-up",
        "",
        f"Streamed, 5 kB each on average, once. Spread: {WORKERS} workers of two cores, tasks of {TASK_OBJECTS:,} objects. Hours are of CPU alone:",
        "the network, and S3's 3,500 PUTs a second for a partition, may bind first.",
        "",
        "| objects | alone, core-hours | alone, hours at best | spread, hours at best | GET and PUT, $ | LIST of both sides, $ | SQS, $ | audit, $ | state alone | state spread, 10 years |",
        "|---|---|---|---|---|---|---|---|---|---|",
    )
    for objects in OBJECTS:
        cpu = (PARENT_US.value + COPY_US.value) * objects / 1e6 / 3600
        alone = PARENT_US.value * objects / 1e6 / 3600
        worker_us = PARENT_US.value + COPY_US.value + SPREAD_US.value
        spread = max(worker_us / (2 * WORKERS), SPREAD_US.value) * objects / 1e6 / 3600
        lists = 2 * objects / KEYS_A_LIST * DOLLARS_A_LIST
        messages = objects / TASK_OBJECTS * MESSAGES_A_TASK * DOLLARS_A_MESSAGE
        days = 3650 * DAY_BYTES.value / 1e6
        yield (
            f"| {objects:,} | {cpu:,.1f} | {alone:,.2f} | {spread:,.2f} | {objects * (DOLLARS_A_GET + DOLLARS_A_PUT):,.2f}"
            f" | {lists:,.2f} | {messages:,.4f} | {lists:,.2f} | {objects * ROW_BYTES.value / 1e6:,.0f} MB | {days:,.1f} MB a shard |"
        )
    yield from (
        "",
        "Alone, the one process that plans and records binds, whatever `engine.workers` is. Days are sealed as the catch-up goes on, so that",
        "the state is seldom as large as shown.",
    )


def _figures() -> Iterator[str]:
    yield from ("", "## Figures", "", "| figure | is that of | measured by |", "|---|---|---|")
    for figure in FIGURES:
        yield f"| {figure.value:g} {figure.unit} | {figure.what} | `{figure.by}` |"
    yield from (
        "",
        "Prices are us-east-1's of January 2026: PUT and LIST 0.005, GET 0.0004 per 1,000, SQS 0.40 per million.",
    )


def main() -> int:
    """Write the page, or compare it."""
    if "--check" not in sys.argv:
        PATH.write_text(page())
        return 0
    return 0 if PATH.read_text() == page() else 1


if __name__ == "__main__":
    sys.exit(main())
