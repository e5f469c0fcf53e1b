"""`syncd demo`: the whole product against an AWS of its own, told as a story, with nothing to configure.

The jobs are run by what `syncd tick` runs them with. Nothing is stubbed: the roles are assumed, the refusals are the
server's, and the comparison at the end reads every object of every bucket.
"""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console

from syncd import compare, configfile, demo_screen, session
from syncd.demo_screen import Attempt, Comparison, Delivery, Run
from syncd.embedded import embedded_aws
from syncd.report import DONE, FAILED
from syncd.samples import SampleObject, TrailSpec, late_log, trail
from syncd.wiring import Request
from syncd.world import (
    ACCOUNT_A,
    ACCOUNT_B,
    ACCOUNT_C,
    TRAIL_BUCKET,
    Consumer,
    World,
    build_world,
    deliver,
    root_client,
    write_configuration,
)

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
NEW_REGION = "eu-north-1"
DAYS = 3
LATE = timedelta(hours=20)
_PAUSE = timedelta(hours=1, minutes=5)
"""What passes between the first tick and the next, by the clock that the jobs are given."""
_SIGNALLED = 128


class Interrupted(Exception):  # noqa: N818
    """A signal ended the demo early; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


@dataclass(slots=True)
class Story:
    """What has happened in a demo so far."""

    world: World
    config: Path
    deliveries: list[Delivery] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether everything that the demo claims is so."""
        parts = (self.runs, self.comparisons, self.attempts)
        return all(parts) and all(item.holds for part in parts for item in part)


def run(*, keep: bool, as_json: bool) -> int:
    """Play it, print it, and say by the exit code whether all of it held: 0, else 1; 128 + N after signal N.

    Raises:
        EmbeddedError: the embedded AWS is not installed or does not start.
    """
    screen = demo_screen.DemoScreen(None if as_json else _console())
    began_at = time.monotonic()
    try:
        with _signals_raised(), _workplace() as directory, embedded_aws() as aws:
            screen.begun(aws.url)
            story = _play(aws.url, directory, screen)
            story.seconds = time.monotonic() - began_at
            screen.ended(holds=story.holds, seconds=story.seconds, is_kept=keep)
            if as_json:
                sys.stdout.write(json.dumps(document(story, is_kept=keep)) + "\n")
                sys.stdout.flush()
            if keep:
                screen.kept(story.world, story.config, _program())
                _until_interrupted()
    except Interrupted as error:
        screen.interrupted()
        return _SIGNALLED + error.number
    return DONE if story.holds else FAILED


def document(story: Story, *, is_kept: bool) -> dict[str, Any]:
    """The JSON of `demo`."""
    return {
        "holds": story.holds,
        "seconds": round(story.seconds, 1),
        "deliveries": [{"what": item.what, "objects": item.objects} for item in story.deliveries],
        "runs": [
            {"what": item.what, "holds": item.holds, **session.reports_document(item.reports)} for item in story.runs
        ],
        "comparisons": [
            {
                "job": item.job,
                "source": item.source,
                "destination": item.destination,
                "objects": item.objects,
                "bytes": item.size_bytes,
                "differences": list(item.differences),
                "holds": item.holds,
            }
            for item in story.comparisons
        ],
        "refusals": [
            {"what": item.what, "refused_at": item.operation, "holds": item.holds, **_one_job(item)}
            for item in story.attempts
        ],
        "kept": {"url": story.world.url, "config": str(story.config)} if is_kept else None,
    }


def _one_job(attempt: Attempt) -> dict[str, Any]:
    return {"job": session.reports_document([attempt.report])["jobs"][0]}


def _play(url: str, directory: Path, screen: demo_screen.DemoScreen) -> Story:
    now = datetime.now(UTC)
    world = build_world(url)
    story = Story(world, write_configuration(world, directory))
    screen.world(world)
    spec = TrailSpec(
        TRAIL_BUCKET,
        (ACCOUNT_A, ACCOUNT_B, ACCOUNT_C),
        REGIONS,
        (now - timedelta(days=DAYS)).replace(minute=0, second=0, microsecond=0),
        logs_per_hour=1,
    )
    before = now - _PAUSE
    tell = _log(directory / "demo.log")

    def delivered(what: str, *streams: Iterator[SampleObject] | Sequence[SampleObject]) -> None:
        story.deliveries.append(Delivery(what, sum(deliver(world, stream) for stream in streams)))
        screen.delivered(story.deliveries[-1])

    def ran(what: str, expectation: demo_screen.Expectation, *, ago: timedelta = timedelta(0)) -> None:
        reports = _tick(story.config, tell, ago=ago)
        story.runs.append(Run(what, reports, expectation))
        screen.ran(story.runs[-1])

    delivered(
        f"logs and signed digests of {len(spec.accounts)} accounts, {len(REGIONS)} regions and {DAYS} days",
        trail(spec, before),
    )
    ran("the first tick", demo_screen.COPIES, ago=_PAUSE)
    delivered("logs and digests of the hour since", trail(spec, now, since=before))
    delivered(f"a log that comes {LATE // timedelta(hours=1)} hours late", [_late(spec, now)])
    delivered(
        f"the first ones of {NEW_REGION}, a region never seen before",
        trail(replace(spec, accounts=(ACCOUNT_B,), regions=(NEW_REGION,), begins=before), now),
    )
    ran("an hour later", demo_screen.COPIES)
    ran("once more, at once", demo_screen.NOTHING)
    for comparison in _comparisons(world):
        story.comparisons.append(comparison)
    screen.compared(story.comparisons)
    for attempt in _attempts(world, directory, tell):
        story.attempts.append(attempt)
    screen.attempted(story.attempts)
    return story
