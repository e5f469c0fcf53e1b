"""SIGKILL at random moments of tick, catch-up and run, one life after the other over the same state and replica."""

import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import TimeoutExpired

from builders import ACCOUNTS, REGIONS, Delivery, Trail
from waiting import wait_until

from injection.fault import WRITING
from injection.program_run import Run
from injection.scene import Harm, Scene, scene

_NEW = 6
_MOST_REQUESTS = 60
_LONGEST_LIFE = 2.5
_NONE = Harm(0, 0, 0)


@dataclass
class Killed:
    """What a series of kills came to."""

    seed: int
    mode: str
    kills: Counter[str] = field(default_factory=Counter)
    """By verb."""
    harm: Harm = _NONE
    recovery_seconds: float = 0.0
    """From the last kill until one tick had made the replica whole."""
    problems: list[str] = field(default_factory=list)


def series(seed: int, kills: int, mode: str) -> Killed:
    """So many kills of one installation, then one tick that has to make it whole."""
    came, chance = Killed(seed, mode), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="syncd-kills-") as folder, scene(Path(folder), mode) as stage:
        new = _deliveries(seed)
        for number in range(kills):
            verb = WRITING[(seed + number) % len(WRITING)]
            while not _life(stage, verb, chance, new):
                pass
            came.kills[verb] += 1
        killed_at = time.monotonic()
        # What the workers of the dead had sent lands, or does not.
        wait_until(lambda: stage.stage.is_deserted, what="the end of what was in flight")
        with stage.start("tick") as tick:
            code = tick.code()
        came.recovery_seconds = time.monotonic() - killed_at
        came.harm = stage.harm()
        if code != 0:
            came.problems.append(f"the tick after the kills ended with {code}: {tick.stderr[-400:]}")
        if not stage.stage.state_is_sound():
            came.problems.append("the state is not sound")
        with stage.start("catch-up") as last:
            last.code()
        copied = sum(job["copied"] for job in last.jobs().values())
        if copied:
            came.problems.append(f"a catch-up after it copied {copied}")
        if not stage.is_neighbour_whole:
            came.problems.append("the other job's replica is not whole")
    return came


def _deliveries(seed: int) -> Iterator[Delivery]:
    """New logs without an end, each with a stamp of the last half hour, as a trail delivers."""
    trail, now = Trail(seed=seed + 100), datetime.now(UTC)
    number = 0
    while True:
        stamp = now - timedelta(minutes=30 - number % 30)
        yield trail.log(ACCOUNTS[number % 2], REGIONS[0], stamp, number, late=timedelta(minutes=1))
        number += 1


def _life(stage: Scene, verb: str, chance: random.Random, new: Iterator[Delivery]) -> bool:
    """Whether it was killed before it had ended by itself."""
    stage.stage.deliver(next(new) for _ in range(chance.randint(0, _NEW)))
    stage.server.forget_requests()
    # By what the server has seen, or by time alone: before the first request, too, something is written.
    requests = chance.randint(1, _MOST_REQUESTS) if chance.random() < 0.7 else 0
    seconds = chance.uniform(0, 0.04) if requests else chance.uniform(0, _LONGEST_LIFE)
    with stage.start(verb) as started:
        if requests:
            _await(stage, started, requests)
        with suppress(TimeoutExpired):
            started.code(seconds=seconds)
        if not started.is_alive:
            return False
        started.signal(signal.SIGKILL)
        return started.code() == -signal.SIGKILL


def _await(stage: Scene, started: Run, requests: int) -> None:
    def is_reached() -> bool:
        return len(stage.server.requests) >= requests or not started.is_alive

    # A daemon that has nothing to do may not get that far for long: then it is killed idle.
    with suppress(TimeoutError):
        wait_until(is_reached, seconds=10.0)
