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
from syncd.model.reports import BEYOND, LAG_BOUNDS, SHOWN, Counts, TickReport
from syncd.tick.recorder import Recorder

CONTENT_TYPE = CONTENT_TYPE_LATEST
DURATION_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


@dataclass(slots=True)
class _JobTotals:
    """Totals of one job since the daemon started."""

    counts: Counts = field(default_factory=Counts)
    overruns: int = 0
    crashes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    running: Recorder | None = None
    """The recorder of the running tick."""

    def with_running(self) -> Counts:
        """Return the totals, including the live counts of the running tick."""
        if self.running is None:
            return self.counts
        so_far = self.running.counts
        return self.counts + Counts(**{name: getattr(so_far, name) for name, shown in SHOWN.items() if shown.is_live})


class Metrics:
    """The totals of ticks since the start, and the gauges of now.

    Shared: any thread may call it. The lock guards all totals. `gauges` is called outside it.
    """

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges
        self._lock = threading.Lock()
        self._jobs: dict[str, _JobTotals] = {}
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
            totals = self._of(report.job)
            totals.running = None
            totals.counts += report
            totals.outcomes[report.outcome] += 1
            if report.error is not None:
                totals.errors[report.error.reason] += 1
            if report.outcome != "already-running":
                self._take_duration(report.duration_seconds)

    def take_crash(self, job: str) -> None:
        """Count a tick that ended in a defect of syncd, with all it did."""
        with self._lock:
            totals = self._of(job)
            totals.counts = totals.with_running()
            totals.running = None
            totals.crashes += 1

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

    def _of(self, job: str) -> _JobTotals:
        return self._jobs.setdefault(job, _JobTotals())

    def _take_duration(self, seconds: float) -> None:
        bucket = next((number for number, bound in enumerate(DURATION_BOUNDS) if seconds <= bound), -1)
        self._durations[bucket] += 1
        self._duration_seconds += seconds

    def _duration(self) -> Metric:
        family = HistogramMetricFamily("syncd_tick_duration_seconds", "How long ticks took, of all jobs together.")
        counts = dict(zip((*map(str, DURATION_BOUNDS), BEYOND), self._durations, strict=True))
        family.add_metric([], _cumulative(DURATION_BOUNDS, counts), self._duration_seconds)
        return family


def _totals(jobs: Mapping[str, _JobTotals]) -> Iterator[Metric]:
    """Return the counters with the label `job` alone."""
    counts = {job: totals.with_running() for job, totals in jobs.items()}
    for name, shown in SHOWN.items():
        if shown.metric and not shown.label:
            family = CounterMetricFamily(shown.metric, shown.help_text, labels=[JOB])
            for job, counted in counts.items():
                family.add_metric([job], getattr(counted, name))
            yield family
    for metric, help_text, value in _TOTALS:
        family = CounterMetricFamily(metric, help_text, labels=[JOB])
        for job, totals in jobs.items():
            family.add_metric([job], value(totals))
        yield family


def _by_label(jobs: Mapping[str, _JobTotals]) -> Iterator[Metric]:
    """Return the counters with a label beside `job`."""
    for name, shown in SHOWN.items():
        if shown.metric and shown.label:
            by_job = {job: getattr(totals.counts, name) for job, totals in jobs.items()}
            yield _labelled(shown.metric, shown.help_text, shown.label, by_job)
    outcomes = {job: totals.outcomes for job, totals in jobs.items()}
    yield _labelled("syncd_ticks", "Ticks that ended, by outcome.", "outcome", outcomes)
    errors = {job: totals.errors for job, totals in jobs.items()}
    yield _labelled("syncd_tick_errors", "Ticks that could not go on, by reason.", "reason", errors)


def _labelled(metric: str, help_text: str, label: str, by_job: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(metric, help_text, labels=[JOB, label])
    for job, counts in by_job.items():
        for word, count in counts.items():
            family.add_metric([job, word], count)
    return family


def _in_flight(jobs: Mapping[str, _JobTotals]) -> Metric:
    family = GaugeMetricFamily(
        "syncd_objects_in_flight", "Objects handed to the copy workers and not yet at their end.", labels=[JOB]
    )
    for job, totals in jobs.items():
        family.add_metric([job], totals.running.in_flight if totals.running else 0)
    return family


def _lag(jobs: Mapping[str, _JobTotals]) -> Metric:
    family = HistogramMetricFamily(
        "syncd_lag_seconds",
        "Time from an object's LastModified at the source to its copy, of new objects.",
        labels=[JOB],
    )
    for job, totals in jobs.items():
        family.add_metric([job], _cumulative(LAG_BOUNDS, totals.counts.lags), totals.counts.lag_seconds)
    return family


def _cumulative(bounds: Sequence[float], counts: Mapping[str, int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound in (*bounds, inf):
        total += counts.get(BEYOND if bound == inf else str(bound), 0)
        buckets.append(("+Inf" if bound == inf else str(float(bound)), float(total)))
    return buckets


def _throttles(totals: _JobTotals) -> int:
    return totals.counts.failed_by_reason.get(Reason.SLOW_DOWN, 0) + totals.errors[Reason.SLOW_DOWN]


_TOTALS: Sequence[tuple[str, str, Callable[[_JobTotals], int]]] = (
    ("syncd_throttles", "Objects and ticks given up since S3 or STS said SlowDown.", _throttles),
    ("syncd_tick_overruns", "Ticks that were due while the last one was running.", lambda it: it.overruns),
    ("syncd_tick_crashes", "Ticks that ended in a defect of syncd.", lambda it: it.crashes),
)
