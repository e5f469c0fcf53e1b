"""Faults of the program's own life: signals, its workers, its output, a second one, and the clock."""

import calendar
import contextlib
import fcntl
import os
import random
import signal
import time
from collections.abc import Iterator
from subprocess import TimeoutExpired

from faulty import Status
from waiting import wait_until

from injection.fault import LOOKING, STREAM, WRITING, Fault, Inject, Met
from injection.program_run import Run
from injection.scene import Scene, preloaded

_DAY = 86400
_BEGUN_SECONDS = 180.0
_COPIES = ("GetObject", "CopyObject")


def signalled(number: int) -> Inject:
    """A signal in the middle of copies."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        sent: list[int] = []
        moment = random.Random(number).randint(2, 20)

        def send(started: Run) -> None:
            wait_until(
                lambda: scene.stage.requests(*_COPIES) >= moment or not started.is_alive,
                seconds=_BEGUN_SECONDS,
                what="copies",
            )
            if started.is_alive:
                started.signal(number)
                sent.append(number)
                started.code()

        scene.during.append(send)
        yield lambda: sent
        wait_until(lambda: scene.stage.is_deserted, what="the end of what was in flight")

    return inject


@contextlib.contextmanager
def _worker_killed(scene: Scene) -> Iterator[Met]:
    killed: list[int] = []

    def kill(started: Run) -> None:
        wait_until(
            lambda: scene.stage.requests(*_COPIES) >= 3 or not started.is_alive, seconds=_BEGUN_SECONDS, what="copies"
        )
        for pid in started.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    scene.during.append(kill)
    yield lambda: killed


@contextlib.contextmanager
def _suspended(scene: Scene) -> Iterator[Met]:
    stopped: list[int] = []

    def suspend(started: Run) -> None:
        wait_until(
            lambda: scene.stage.requests(*_COPIES) >= 3 or not started.is_alive, seconds=_BEGUN_SECONDS, what="copies"
        )
        for pid in (started.pid, *started.workers()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        with contextlib.suppress(TimeoutExpired):
            started.code(seconds=5)
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    scene.during.append(suspend)
    yield lambda: stopped


@contextlib.contextmanager
def _second(scene: Scene) -> Iterator[Met]:
    """Another tick of the same jobs works at the same time."""
    met: list[int] = []

    def tick(_: Run) -> None:
        with scene.start("tick") as second:
            second.code()
            met.append(1)

    scene.during.append(tick)
    yield lambda: met


@contextlib.contextmanager
def _stuck_log(scene: Scene) -> Iterator[Met]:
    """Nobody reads the log, and its pipe is full."""
    near, far = os.pipe()
    fcntl.fcntl(far, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(far, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(far, b"#" * 1024)
    os.set_blocking(far, True)
    scene.stage.configure({"log.level": "debug"})
    scene.stderr = far
    yield lambda: True
    scene.stderr = None
    scene.stage.configure({})
    # Whoever still holds the pipe goes on waiting: it is emptied no sooner than the end.
    scene.closing.callback(os.close, near)
    os.close(far)


@contextlib.contextmanager
def _no_reader(scene: Scene) -> Iterator[Met]:
    """Whoever read the log has gone."""
    near, far = os.pipe()
    os.close(near)
    scene.stderr = far
    yield lambda: True
    scene.stderr = None
    os.close(far)


@contextlib.contextmanager
def _latin(scene: Scene) -> Iterator[Met]:
    scene.environment |= {"LANG": "", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    yield lambda: True
    scene.environment.clear()


def _skewed(scene: Scene) -> None:
    """S3 refuses requests whose clock is more than 15 minutes off."""

    def is_off(request: object) -> bool:
        stamp = getattr(request, "headers", {}).get("x-amz-date", "")
        if not stamp:
            return False
        asked = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
        return abs(asked - time.time()) > 900

    skewed = Status(
        403, "RequestTimeTooSkewed", "The difference between the request time and the server's is too large."
    )
    scene.server.faults.add(is_off, skewed)


def jumping(seconds: int, *, at_once: bool) -> Inject:
    """The clock is off by so much: from the beginning, or once copies are under way; then it is right again."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        _skewed(scene)
        with preloaded(scene, ahead_seconds=seconds if at_once else 0) as preload:
            jumped = [seconds] if at_once else []

            def jump(started: Run) -> None:
                wait_until(
                    lambda: scene.stage.requests(*_COPIES) >= 3 or not started.is_alive,
                    seconds=_BEGUN_SECONDS,
                    what="copies",
                )
                preload.set(ahead_seconds=seconds)
                jumped.append(seconds)
                with contextlib.suppress(TimeoutExpired):
                    started.code(seconds=1)

            if not at_once:
                scene.during.append(jump)
            yield lambda: jumped
            preload.set()

    return inject


_SKEWED = frozenset({"clock_skewed", "source_empty"})
_HOURS = (("an hour", 3600), ("a day", _DAY), ("ten years", 3650 * _DAY))
PROCESS = (
    Fault("SIGKILL in the middle of copies", signalled(signal.SIGKILL), ends_it=True),
    Fault("SIGTERM in the middle of copies", signalled(signal.SIGTERM), ends_it=True),
    Fault("a worker is killed", _worker_killed, frozenset({"worker_died"}), is_for_all=True),
    Fault("the machine is suspended", _suspended, frozenset({"connection_failed", "timeout"})),
    Fault(
        "a second one works at the same time",
        _second,
        frozenset({"already_running"}),
        is_for_all=True,
        codes=frozenset({0, 3, 11}),
    ),
    Fault("the log is stuck", _stuck_log, verbs=WRITING + LOOKING, modes=STREAM),
    Fault("nobody reads the log any more", _no_reader, verbs=WRITING + LOOKING, modes=STREAM),
    Fault("a locale that is not UTF-8", _latin, verbs=WRITING + LOOKING, modes=STREAM),
    *(
        Fault(
            f"the clock jumps {what} {direction}",
            jumping(sign * seconds, at_once=False),
            _SKEWED,
            ("tick", "run"),
            STREAM,
            is_for_all=True,
        )
        for what, seconds in _HOURS
        for direction, sign in (("ahead", 1), ("back", -1))
    ),
    Fault(
        "the program starts in 1970 and is then told the time",
        jumping(-int(time.time()) + 3600, at_once=True),
        _SKEWED,
        # A catch-up is refused: its first day would be in the future.
        ("tick", "run"),
        is_for_all=True,
    ),
)
