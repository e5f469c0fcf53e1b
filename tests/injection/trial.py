"""One trial: a fault is injected while a verb works, then healed, and what became of both jobs is looked at."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from waiting import wait_until

from injection.fault import LOOKING, Fault, Met, Result
from injection.program_run import Run
from injection.scene import HIT, NEIGHBOUR, Harm, Scene, scene

_LONGEST_SECONDS = 200.0
_TRIES = 4
_REFUSED = 2


class Trial:
    """A fault, a verb and a scene."""

    def __init__(self, fault: Fault, verb: str, stage: Scene) -> None:
        self.fault, self.verb, self.scene = fault, verb, stage
        self.problems: list[str] = []
        self.recovery_seconds = 0.0

    def attempt(self) -> Harm:
        """The harm; problems are noted."""
        with ExitStack() as healing:
            is_met = healing.enter_context(self.fault.inject(self.scene))
            if self.verb == "run":
                self._daemon(is_met, healing.close)
            else:
                self._once(is_met, healing.close)
        if not self.scene.is_neighbour_whole:
            self.problems.append("the other job's replica is not whole")
        if not self.scene.stage.state_is_sound():
            self.problems.append("the state is not sound")
        return self.scene.harm()

    def _once(self, is_met: Met, heal: Callable[[], None]) -> None:
        with self.scene.start(self.verb) as started:
            self._meanwhile(started)
            code = started.code()
        self._was_met(is_met)
        if not self.fault.ends_it:
            self._look_at(started, code)
        if self.verb in LOOKING and self.scene.stage.watched(HIT).writes:
            self.problems.append(f"{self.verb} has written")
        heal()
        self._recover()

    def _daemon(self, is_met: Met, heal: Callable[[], None]) -> None:
        with self.scene.start("run") as started:
            self._meanwhile(started)
            known = self.fault.told
            self._await(
                started,
                lambda: is_met() and (self.scene.is_whole or started.logged_reasons & known or self.scene.stderr),
                "neither told nor got over",
            )
            self._was_met(is_met)
            heal()
            healed_at = time.monotonic()
            self._await(started, lambda: self._is_whole, "healed and not whole")
            self.recovery_seconds = time.monotonic() - healed_at
            if started.is_alive:
                started.signal(signal.SIGTERM)
                self._ended_as(started, started.code(seconds=60))
            else:
                # The daemon may refuse to go on, and whoever supervises it starts it again.
                if not self.fault.ends_it and started.code() not in self.fault.codes:
                    self.problems.append(f"the daemon ended by itself with {started.code()}")
                self._recover()

    def _await(self, started: Run, condition: Callable[[], object], otherwise: str) -> None:
        """Until this is so, or the daemon has ended; a problem if neither comes."""
        try:
            wait_until(lambda: not started.is_alive or condition(), seconds=_LONGEST_SECONDS)
        except TimeoutError:
            missing = f"{self.scene.missing} are missing"
            self.problems.append(f"{otherwise}, {missing}: {started.stderr[-600:]!r}")

    def _ended_as(self, started: Run, code: int) -> None:
        if code != 0:
            self.problems.append(f"the daemon ended with {code}")
        self._no_traceback(started)
        self._named(started.stderr)

    def _meanwhile(self, started: Run) -> None:
        for act in self.scene.during:
            act(started)
        self.scene.during.clear()

    def _was_met(self, is_met: Met) -> None:
        if not is_met():
            self.problems.append("the fault was not met")

    @property
    def _is_whole(self) -> bool:
        return self.scene.is_whole and self.scene.is_neighbour_whole

    def _look_at(self, started: Run, code: int) -> None:
        """Whether the document has every job, and tells of the fault where it has not been got over."""
        self._no_traceback(started)
        self._named(started.stdout + started.stderr)
        if code not in self.fault.codes:
            self.problems.append(f"ended with {code}: {started.stderr[-300:]!r}")
        try:
            jobs = started.jobs()
        except (ValueError, KeyError) as error:
            self.problems.append(f"no document: {error}")
            return
        if {HIT, NEIGHBOUR} - set(jobs):
            self.problems.append(f"the document has only {sorted(jobs)}")
        elif self.verb == "check":
            without = [check for check in jobs[HIT]["checks"] if check["status"] == "failed" and not check["remedy"]]
            self.problems += [f"check fails without a remedy: {check}" for check in without]
        else:
            self._reports(jobs[HIT], jobs[NEIGHBOUR])

    def _reports(self, hit: dict[str, object], other: dict[str, object]) -> None:
        reasons = {failed["reason"] for failed in hit.get("failed", ())}  # type: ignore[attr-defined]
        if isinstance(error := hit["error"], dict):
            reasons.add(error["reason"])
        if reasons - self.fault.told:
            self.problems.append(f"told as {sorted(reasons)}: {str(hit['error'] or hit['failed'])[:300]}")
        if not reasons and self.verb not in LOOKING and not self.scene.is_whole and not self.fault.is_for_all:
            self.problems.append(f"not told, and {self.scene.missing} are missing: {hit['outcome']}")
        if other["outcome"] != "ok" and not self.fault.is_for_all:
            self.problems.append(f"the other job: {other['outcome']}, {str(other['error'])[:200]}")
        if hit["outcome"] == "failed" and self.verb in ("tick", "catch-up"):
            with self.scene.start("status") as status:
                if status.code() != 4:
                    self.problems.append(f"status ends with {status.code()} after a failed job")

    def _no_traceback(self, started: Run) -> None:
        if "Traceback" in started.stderr:
            self.problems.append(f"a traceback: {started.stderr[-200:]!r}")

    def _named(self, text: str) -> None:
        wanted = self.fault.words if self.verb in self.fault.named_by else ()
        missing = [word for word in wanted if word not in text]
        if missing:
            self.problems.append(f"not named: {', '.join(missing)}")

    def _recover(self) -> None:
        """The same verb again, as operators would, until the replica is whole."""
        healed_at = time.monotonic()
        verb = "catch-up" if self.verb == "catch-up" else "tick"
        for _ in range(_TRIES):
            if self._is_whole:
                break
            with self.scene.start(verb) as again:
                code = again.code()
                if code == _REFUSED:
                    break
        self.recovery_seconds = time.monotonic() - healed_at
        if not self._is_whole:
            self.problems.append(f"not whole after {verb} x {_TRIES}: {again.stdout[-400:]} {again.stderr[-200:]}")


def attempt(fault: Fault, verb: str, mode: str) -> Result:
    """A trial on a scene of its own."""
    with tempfile.TemporaryDirectory(prefix="syncd-faults-") as folder, scene(Path(folder), mode) as stage:
        trial = Trial(fault, verb, stage)
        try:
            harm = trial.attempt()
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            trial.problems.append(str(error))
            harm = stage.harm()
        return Result(fault.name, verb, mode, harm, trial.recovery_seconds, tuple(trial.problems))
