"""The metrics for Prometheus. Each daemon has a registry of its own, the process has none.

Counts are plain values for each job, turned into samples on request. So the series of a removed job vanish with it, and a
thousand jobs cost a thousand small objects.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from operator import attrgetter
from typing import NamedTuple

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
from syncd.daemon import logs
from syncd.daemon.hints.shapes import Word
from syncd.daemon.web.gauges import JOB, Gauges
from syncd.model.objects import SkipReason
from syncd.model.reasons import Reason
from syncd.model.reports import BEYOND, LAG_BOUNDS, SHOWN, Counts, TickReport
from syncd.tick.recorder import Recorder

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FORESEEN = {
    "outcome": ("ok", "partial", "failed", "interrupted", "already-running"),
    "operation": ("AssumeRole", "ListObjectsV2", "GetObject", "PutObject"),
}
"""Words of labels that each job comes to use."""
_MOST_FORESEEN = 100
"""Up to so many jobs each has a zero for every reason: for a thousand jobs these would be ten megabytes."""
DURATION_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


@dataclass(slots=True)
class _JobTotals:
    """Totals of one job since the daemon started."""

    counts: Counts = field(default_factory=Counts)
    overruns: int = 0
    crashes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    running: tuple[Recorder, ...] = ()
    """The recorders of running ticks."""

    def with_running(self) -> Counts:
        """Return the totals, including the live counts of running ticks."""
        return sum((_live(recorder) for recorder in self.running), self.counts)

    def take(self, report: TickReport) -> None:
        """Add a tick that ended."""
        self.counts += report
        self.outcomes[report.outcome] += 1
        if report.error is not None:
            self.errors[report.error.reason] += 1


class _Series(NamedTuple):
    """The series of one metric: one of each job, or one of all jobs together."""

    labels: Sequence[str]
    totals: Mapping[tuple[str, ...], _JobTotals]


_NOTHING = _JobTotals()


class Metrics:
    """The totals of ticks since the start, and the gauges of now.

    Shared: any thread may call it. The lock guards all totals. `gauges` is called outside it.
    """

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges
        self._lock = threading.Lock()
        self._jobs: dict[str, _JobTotals] = {}
        self._together = _JobTotals()
        self._durations = [0] * (len(DURATION_BOUNDS) + 1)
        self._duration_seconds = 0.0
        self._reloads: Counter[str] = Counter()
        self._hints: Counter[str] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics as text for Prometheus."""
        return generate_latest(self._registry)

    def take_progress(self, job: str, recorder: Recorder) -> None:
        """Count what a running tick has done so far, since some take hours."""
        with self._lock:
            self._of(job).running = (recorder,)

    def take_report(self, report: TickReport) -> None:
        """Count a tick that ended."""
        with self._lock:
            totals = self._of(report.job)
            totals.running = ()
            totals.take(report)
            self._together.take(report)
            if report.outcome != "already-running":
                self._take_duration(report.duration_seconds)

    def take_crash(self, job: str) -> None:
        """Count a tick that ended in a defect of syncd, with all it did."""
        with self._lock:
            totals = self._of(job)
            for recorder in totals.running:
                self._together.counts += _live(recorder)
            totals.counts = totals.with_running()
            totals.running = ()
            totals.crashes += 1
            self._together.crashes += 1

    def take_overrun(self, job: str) -> None:
        """Count a tick that was due before the job's last one had ended."""
        with self._lock:
            self._of(job).overruns += 1
            self._together.overruns += 1

    def take_reload(self, result: str) -> None:
        """Count a reload of the configuration: `done` or `refused`."""
        with self._lock:
            self._reloads[result] += 1

    def take_hint(self, result: str) -> None:
        """Count a message of a queue of hints, by what became of it."""
        with self._lock:
            self._hints[result] += 1

    def forget(self, job: str) -> None:
        """Remove the series of a removed job."""
        with self._lock:
            self._jobs.pop(job, None)

    def collect(self) -> Iterator[Metric]:
        """Return every metric. prometheus-client calls it by this name."""
        gauges = self._gauges()
        with self._lock:
            # Each job has its counters from the first scrape on, or an increase from none to one would not be seen.
            of_jobs: dict[tuple[str, ...], _JobTotals] = {
                (health.job,): self._jobs.get(health.job, _NOTHING) for health in gauges.healths
            }
            of_jobs |= {(job,): totals for job, totals in self._jobs.items()}
            running = tuple(recorder for totals in self._jobs.values() for recorder in totals.running)
            together: dict[tuple[str, ...], _JobTotals] = {(): replace(self._together, running=running)}
            by_job, at_once = _Series([JOB], of_jobs), _Series([], together)
            families = list(_families(lambda metric: by_job if gauges.shows(metric) else at_once))
            families.append(self._duration())
            reloads = CounterMetricFamily("syncd_reloads", "Times the configuration was read again.", labels=["result"])
            for result in ("done", "refused"):
                reloads.add_metric([result], self._reloads[result])
            hints = CounterMetricFamily(
                "syncd_hints", "Messages received from queues of hints, by what became of them.", labels=["result"]
            )
            for result in Word if gauges.queues else ():
                hints.add_metric([result], self._hints[result])
        yield InfoMetricFamily("syncd_build", "The version that runs.", value={"version": __version__})
        yield from families
        yield reloads
        yield hints
        yield CounterMetricFamily(
            "syncd_log_lines_dropped",
            "Lines of the log that were dropped, since stderr is stuck, too slow or closed.",
            value=logs.STDERR.dropped,
        )
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


def _live(recorder: Recorder) -> Counts:
    return Counts(**{name: getattr(recorder.counts, name) for name, shown in SHOWN.items() if shown.is_live})


def _families(series_of: Callable[[str], _Series]) -> Iterator[Metric]:
    """Return the metrics of jobs, each of every job or of all together."""
    for name, shown in SHOWN.items():
        if shown.metric and shown.label:
            yield _labelled(series_of, shown.metric, shown.help_text, shown.label, attrgetter(f"counts.{name}"))
        elif shown.metric:
            yield _counter(series_of, shown.metric, shown.help_text, _with_running(attrgetter(name)))
    for metric, help_text, of_totals in _TOTALS:
        yield _counter(series_of, metric, help_text, of_totals)
    yield _labelled(series_of, "syncd_ticks", "Ticks that ended, by outcome.", "outcome", attrgetter("outcomes"))
    yield _labelled(
        series_of, "syncd_tick_errors", "Ticks that could not go on, by reason.", "reason", attrgetter("errors")
    )
    yield _handed_over(series_of("syncd_objects_handed_over"))
    yield _lag(series_of("syncd_lag_seconds"))


def _with_running(count: Callable[[Counts], float]) -> Callable[[_JobTotals], float]:
    return lambda totals: count(totals.with_running())


def _counter(
    series_of: Callable[[str], _Series], metric: str, help_text: str, value: Callable[[_JobTotals], float]
) -> Metric:
    series = series_of(metric)
    family = CounterMetricFamily(metric, help_text, labels=series.labels)
    for words, totals in series.totals.items():
        family.add_metric(words, value(totals))
    return family


def _labelled(
    series_of: Callable[[str], _Series],
    metric: str,
    help_text: str,
    label: str,
    counts: Callable[[_JobTotals], Mapping[str, int]],
) -> Metric:
    """Return a counter with one more label. Words that are sure to come have a zero before they do."""
    series = series_of(metric)
    zeros = dict.fromkeys(_foreseen(metric, label, len(series.totals)), 0)
    family = CounterMetricFamily(metric, help_text, labels=[*series.labels, label])
    for words, totals in series.totals.items():
        for word, count in {**zeros, **counts(totals)}.items():
            family.add_metric([*words, word], count)
    return family


def _foreseen(metric: str, label: str, count: int) -> Sequence[str]:
    if label != "reason":
        return _FORESEEN.get(label, ())
    if metric == "syncd_objects_skipped":
        return tuple(SkipReason)
    return tuple(Reason) if count <= _MOST_FORESEEN else ()


def _handed_over(series: _Series) -> Metric:
    family = GaugeMetricFamily(
        "syncd_objects_handed_over",
        "Objects with the copy workers: being copied, or waiting there for one of the syncd_limit_objects_in_flight.",
        labels=series.labels,
    )
    for words, totals in series.totals.items():
        family.add_metric(words, sum(recorder.in_flight for recorder in totals.running))
    return family


def _lag(series: _Series) -> Metric:
    family = HistogramMetricFamily(
        "syncd_lag_seconds",
        "Time from an object's LastModified at the source to its copy, of new objects.",
        labels=series.labels,
    )
    for words, totals in series.totals.items():
        family.add_metric(words, _cumulative(LAG_BOUNDS, totals.counts.lags), totals.counts.lag_seconds)
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
