"""`syncd demo`: everything against an embedded AWS, with nothing to configure and nothing left behind."""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from syncd.cli.demo.embedded import embedded_aws
from syncd.cli.demo.kept import keeping
from syncd.cli.demo.play.proof import Proved
from syncd.cli.demo.play.steps import Built, Compared, Delivered, Interrupted, Raced, Step, Ticked, Tried
from syncd.cli.demo.play.story import play
from syncd.cli.demo.screen import DemoScreen, console
from syncd.job import exit_codes
from syncd.job.report import report_document


def run(*, keep: bool, as_json: bool) -> int:
    """Run the demo. Returns 0 if all checks passed, 1 if one failed, 128 + N after signal N.

    Raises:
        EmbeddedError: the embedded AWS is not installed, or does not start.
    """
    screen = DemoScreen(None if as_json else console(), program())
    try:
        with _signals_raised(), tempfile.TemporaryDirectory(prefix=keeping.PREFIX) as directory, embedded_aws() as aws:
            code = _told(aws.url, Path(directory), screen, keep=keep, as_json=as_json)
        if keep:
            screen.stopped()
    except Interrupted as interruption:
        screen.interrupted()
        return interruption.exit_code
    return code


def _told(url: str, directory: Path, screen: DemoScreen, *, keep: bool, as_json: bool) -> int:
    began_at = time.monotonic()
    screen.begun(url)
    steps: list[Step] = []
    tell = _log_to(directory / "demo.log")
    with screen.working() as doing:
        for step in play(url, directory, tell=tell, doing=doing):
            screen.show(step)
            steps.append(step)
    seconds = time.monotonic() - began_at
    holds = all(step.holds for step in steps)
    screen.ended(holds=holds, seconds=seconds, is_kept=keep)
    told = document(steps, seconds=seconds)
    if not keep:
        _print(told, as_json=as_json)
        return exit_codes.of_demo(holds=holds)
    built = next(step for step in steps if isinstance(step, Built))
    kept = keeping.prepared(built.world, built.config)

    def announce() -> None:
        _print(told | {"kept": {"url": url, "page": kept.page, "config": str(kept.config)}}, as_json=as_json)
        screen.kept(kept)

    keeping.serve(kept, tell=tell, on_started=announce)
    return exit_codes.of_demo(holds=holds)


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"kept": None} | told) + "\n")
        sys.stdout.flush()


def document(steps: Sequence[Step], *, seconds: float) -> dict[str, Any]:
    """Return the JSON of `demo`."""
    return {
        "holds": all(step.holds for step in steps),
        "seconds": round(seconds, 1),
        "delivered": [{"what": step.what, "objects": step.objects} for step in steps if isinstance(step, Delivered)],
        "ticks": [
            {"what": step.title, "holds": step.holds, "jobs": [report_document(report) for report in step.reports]}
            for step in steps
            if isinstance(step, Ticked)
        ],
        "markers": [
            {
                "delivered": step.delivered,
                "polls": step.polls,
                "lost_by_marker": list(step.marker_lost),
                "lost_by_syncd": list(step.syncd_lost),
                "holds": step.holds,
            }
            for step in steps
            if isinstance(step, Raced)
        ],
        "compared": [
            {
                "job": step.job,
                "source": step.source,
                "destination": step.destination,
                "objects": step.objects,
                "bytes": step.size_bytes,
                "differences": list(step.differences),
                "holds": step.holds,
            }
            for step in steps
            if isinstance(step, Compared)
        ],
        "refused": [
            {"what": step.what, "at": step.operation, "holds": step.holds, "job": report_document(step.report)}
            for step in steps
            if isinstance(step, Tried)
        ],
        "proved": [
            {"what": step.title, "holds": step.holds, "jobs": list(step.documents)}
            for step in steps
            if isinstance(step, Proved)
        ],
    }


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Raise Interrupted on SIGTERM and SIGINT, so that everything is stopped and removed."""

    def interrupt(number: int, _: Any) -> None:
        raise Interrupted(exit_codes.of_signal(number))

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_to(path: Path) -> Callable[..., None]:
    """Log the jobs' events to a file, because they would clutter the screen."""
    guard = Lock()

    def tell(event: str, **facts: Any) -> None:
        with guard, path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"event": event, **facts}, default=str) + "\n")

    return tell


def program() -> str:
    """Return the command that runs `syncd` here."""
    return "syncd" if shutil.which("syncd") else str(Path(sys.executable).parent / "syncd")
