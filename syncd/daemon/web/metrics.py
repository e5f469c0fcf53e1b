"""The metrics for Prometheus. Each daemon has a registry of its own, the process has none.

Counts are plain values for each job, turned into samples on request. So the series of a removed job vanish with it, and a
thousand jobs cost a thousand small objects.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from syncd import __version__
from syncd.daemon.web.gauges import JOB, Gauges
from syncd.model.reasons import Reason
from syncd.model.reports import BEYOND, LAG_BOUNDS, TickReport
from syncd.tick.recorder import Recorder

CONTENT_TYPE = CONTENT_TYPE_LATEST
DURATION_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


@dataclass(slots=True)
class _JobCounts:
    """The counts of one job since the daemon started."""

    listed: int = 0
    copied: int = 0
    copied_bytes: int = 0
    already_there: int = 0
    conflicts: int = 0
    late_beyond_allowance: int = 0
    copied_late: int = 0
    retried: int = 0
    restored: int = 0
    overruns: int = 0
    crashes: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    lags: Counter[str] = field(default_factory=Counter)
    lag_seconds: float = 0.0
    running: Recorder | None = None
    """The counts of the tick that is running. Its thread writes them; each attribute is read on its own."""

    def so_far(self) -> tuple[int, int, int, int]:
        """Return listed, copied, copied bytes and already there of the tick that is running."""
        it = self.running
        return (it.listed, it.copied, it.copied_bytes, it.already_there) if it else (0, 0, 0, 0)


class Metrics:
    """The counts from reports of ticks, and the gauges of the moment.

    Shared: any thread may call it. The lock guards all counts. `gauges` is called outside it.
    """

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges
        self._lock = threading.Lock()
        self._jobs: dict[str, _JobCounts] = {}
        self._durations = [0] * (len(DURATION_BOUNDS) + 1)
        self._duration_seconds = 0.0
        self._reloads: Counter[str] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics as text for Prometheus."""
        return generate_latest(self._registry)

    def take_progress(self, job: str, recorder: Recorder) -> None:
        """Count what a running tick has done so far, since some take hours."""
        with self._lock:
            self._of(job).running = recorder

    def take_report(self, report: TickReport) -> None:
        """Count a tick that ended."""
        with self._lock:
            counts = self._of(report.job)
            counts.running = None
            counts.listed += report.listed
            counts.copied += report.copied
            counts.copied_bytes += report.copied_bytes
            counts.already_there += report.already_there
            counts.conflicts += report.conflict_count
            counts.late_beyond_allowance += report.late_beyond_allowance
            counts.copied_late += report.copied_late
            counts.retried += report.retried
            counts.restored += report.restored
            counts.failed.update(report.failed_by_reason)
            counts.skipped.update(report.skipped)
            counts.requests.update(report.requests)
            counts.outcomes[report.outcome] += 1
            if report.error is not None:
                counts.errors[report.error.reason] += 1
            counts.lags.update(report.lags)
            counts.lag_seconds += report.lag_seconds
            if report.outcome != "already-running":
                self._take_duration(report.duration_seconds)

    def take_crash(self, job: str) -> None:
        """Count a tick that ended in a defect of syncd, with all it did."""
        with self._lock:
            counts = self._of(job)
            listed, copied, copied_bytes, already_there = counts.so_far()
            counts.running = None
            counts.listed += listed
            counts.copied += copied
            counts.copied_bytes += copied_bytes
            counts.already_there += already_there
            counts.crashes += 1

    def take_overrun(self, job: str) -> None:
        """Count a tick that was due before the job's last one had ended."""
        with self._lock:
            self._of(job).overruns += 1

    def take_reload(self, result: str) -> None:
        """Count a reload of the configuration: `done` or `refused`."""
        with self._lock:
            self._reloads[result] += 1

    def forget(self, job: str) -> None:
        """Remove the series of a removed job."""
        with self._lock:
            self._jobs.pop(job, None)

    def collect(self) -> Iterator[Metric]:
        """Return every metric. prometheus-client calls it by this name."""
        gauges = self._gauges()
        with self._lock:
            families = [*_totals(self._jobs), *_by_label(self._jobs), _in_flight(self._jobs), _lag(self._jobs)]
            families.append(self._duration())
            reloads = CounterMetricFamily("syncd_reloads", "Times the configuration was read again.", labels=["result"])
            for result in ("done", "refused"):
                reloads.add_metric([result], self._reloads[result])
        yield InfoMetricFamily("syncd_build", "The version that runs.", value={"version": __version__})
        yield from families
        yield reloads
        yield from gauges.collect()

    def _of(self, job: str) -> _JobCounts:
        return self._jobs.setdefault(job, _JobCounts())

    def _take_duration(self, seconds: float) -> None:
        bucket = next((number for number, bound in enumerate(DURATION_BOUNDS) if seconds <= bound), -1)
        self._durations[bucket] += 1
        self._duration_seconds += seconds

    def _duration(self) -> Metric:
        family = HistogramMetricFamily("syncd_tick_duration_seconds", "How long ticks took, of all jobs together.")
        counts = dict(zip((*map(str, DURATION_BOUNDS), BEYOND), self._durations, strict=True))
        family.add_metric([], _cumulative(DURATION_BOUNDS, counts), self._duration_seconds)
        return family


def _totals(jobs: Mapping[str, _JobCounts]) -> Iterator[Metric]:
    """Collect the counters that have the job as their only label."""
    for name, help_text, value in _TOTALS:
        family = CounterMetricFamily(name, help_text, labels=[JOB])
        for job, counts in jobs.items():
            family.add_metric([job], value(counts))
        yield family


def _by_label(jobs: Mapping[str, _JobCounts]) -> Iterator[Metric]:
    for name, help_text, label, value in _BY_LABEL:
        family = CounterMetricFamily(name, help_text, labels=[JOB, label])
        for job, counts in jobs.items():
            for word, count in value(counts).items():
                family.add_metric([job, word], count)
        yield family


def _in_flight(jobs: Mapping[str, _JobCounts]) -> Metric:
    family = GaugeMetricFamily(
        "syncd_objects_in_flight", "Objects handed to the copy workers and not finished yet.", labels=[JOB]
    )
    for job, counts in jobs.items():
        family.add_metric([job], counts.running.in_flight if counts.running else 0)
    return family


def _lag(jobs: Mapping[str, _JobCounts]) -> Metric:
    family = HistogramMetricFamily(
        "syncd_lag_seconds",
        "Time from an object's LastModified at the source to its copy, of new objects.",
        labels=[JOB],
    )
    for job, counts in jobs.items():
        family.add_metric([job], _cumulative(LAG_BOUNDS, counts.lags), counts.lag_seconds)
    return family


def _cumulative(bounds: Sequence[float], counts: Mapping[str, int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound in (*bounds, inf):
        total += counts.get(BEYOND if bound == inf else str(bound), 0)
        buckets.append(("+Inf" if bound == inf else str(float(bound)), float(total)))
    return buckets


def _throttles(counts: _JobCounts) -> int:
    return counts.failed[Reason.SLOW_DOWN] + counts.errors[Reason.SLOW_DOWN]


_TOTALS: Sequence[tuple[str, str, Callable[[_JobCounts], float]]] = (
    ("syncd_objects_listed", "Objects listed at the source.", lambda it: it.listed + it.so_far()[0]),
    ("syncd_objects_copied", "Objects copied to the destination.", lambda it: it.copied + it.so_far()[1]),
    ("syncd_bytes_copied", "Bytes of the objects copied.", lambda it: it.copied_bytes + it.so_far()[2]),
    (
        "syncd_objects_already_there",
        "Objects found at the destination with the same content.",
        lambda it: it.already_there + it.so_far()[3],
    ),
    ("syncd_objects_conflicted", "Objects found at the destination with other content.", lambda it: it.conflicts),
    ("syncd_objects_found_late", "Objects that arrived later than `lateness`.", lambda it: it.late_beyond_allowance),
    ("syncd_objects_copied_late", "New objects copied later than the objective.", lambda it: it.copied_late),
    ("syncd_object_retries", "Objects that had failed in an earlier tick and were tried again.", lambda it: it.retried),
    (
        "syncd_objects_restored",
        "Objects copied again because they had vanished from the destination.",
        lambda it: it.restored,
    ),
    ("syncd_throttles", "Objects and ticks that failed because S3 or STS answered SlowDown.", _throttles),
    ("syncd_tick_overruns", "Ticks that were due while the last one was running.", lambda it: it.overruns),
    ("syncd_tick_crashes", "Ticks that ended in a defect of syncd.", lambda it: it.crashes),
)

_BY_LABEL: Sequence[tuple[str, str, str, Callable[[_JobCounts], Mapping[str, int]]]] = (
    ("syncd_objects_failed", "Objects not copied, by reason.", "reason", lambda it: it.failed),
    ("syncd_objects_skipped", "Objects listed and not copied on purpose, by reason.", "reason", lambda it: it.skipped),
    (
        "syncd_requests",
        "Requests sent, by operation; what the runtime repeats counts once.",
        "operation",
        lambda it: it.requests,
    ),
    ("syncd_ticks", "Ticks that ended, by outcome.", "outcome", lambda it: it.outcomes),
    ("syncd_tick_errors", "Ticks that failed, by reason.", "reason", lambda it: it.errors),
)
