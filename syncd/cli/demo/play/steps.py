"""The steps of the demo, each of which knows if it came out as it should."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from syncd.cli.demo.play.proof import Proved
from syncd.cli.demo.world import World
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport


class Interrupted(Exception):
    """An interruption of the jobs by a signal, with the exit code of `syncd tick`."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Built:
    """A step that created accounts, roles, buckets, and the configuration for them."""

    world: World
    config: Path
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Delivered:
    """A step in which the trail delivered objects."""

    what: str
    objects: int

    @property
    def holds(self) -> bool:
        """True if there were any objects."""
        return self.objects > 0


@dataclass(frozen=True, slots=True)
class Ticked:
    """A step in which every job ticked once."""

    title: str
    remark: str
    reports: Sequence[TickReport]
    expected: Sequence[int]
    """The number of objects that each job should have copied."""
    denied: Collection[str] = ()
    """The jobs whose role may read nothing."""

    @property
    def holds(self) -> bool:
        """True if each job copied exactly the new objects, or was denied, and requested no others."""
        return all(
            report.outcome == ("failed" if report.job in self.denied else "ok")
            and (report.job not in self.denied or is_denied(report, "ListObjectsV2"))
            and report.copied == expected
            and (expected > 0 or not report.requests.keys() & {"GetObject", "PutObject"})
            for report, expected in zip(self.reports, self.expected, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Raced:
    """A step in which a marker and syncd polled for the same deliveries."""

    delivered: int
    polls: int
    marker_lost: Sequence[str]
    """The keys that the marker never copied."""
    syncd_lost: Sequence[str]
    fewest: int
    """The fewest that a marker loses of these deliveries, at whatever moment it polls."""
    most: int
    foreseen: Sequence[str]
    """The keys that a marker with these polls must lose, from the order of the deliveries alone."""

    @property
    def holds(self) -> bool:
        """True if syncd lost nothing, and the marker lost what their order makes it lose."""
        return not self.syncd_lost and len(self.marker_lost) > 0 and self.marker_lost == self.foreseen


@dataclass(frozen=True, slots=True)
class Compared:
    """A step that compared a replica with the objects that its consumer can read."""

    job: str
    source: str
    destination: str
    objects: int
    size_bytes: int
    differences: Sequence[str]

    @property
    def holds(self) -> bool:
        """True if both sides are identical."""
        return self.objects > 0 and not self.differences


@dataclass(frozen=True, slots=True)
class Tried:
    """A step in which a job tried something that must be refused."""

    what: str
    operation: str
    """The request that must be refused."""
    report: TickReport

    @property
    def holds(self) -> bool:
        """True if that request was refused and nothing was read."""
        return is_denied(self.report, self.operation) and self.report.copied == 0


Step: TypeAlias = Built | Delivered | Ticked | Raced | Compared | Tried | Proved


def is_denied(report: TickReport, operation: str) -> bool:
    """Return True if a tick ended with that request, denied, and read nothing."""
    return (
        report.outcome == "failed"
        and report.error is not None
        and report.error.reason == Reason.ACCESS_DENIED
        and operation in report.error.detail
        and report.requests.get(operation, 0) > 0
        and report.requests.get("GetObject", 0) == 0
    )
