"""The metrics of an owner or a worker of spread catch-ups, for Prometheus."""

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from syncd.model.reports import Counts, SpreadProgress

ENDED, FAILED, REFUSED, ABANDONED = ENDS = ("done", "failed", "refused", "abandoned")
"""The ends of a task at a worker: told, not done here, not its own, or lost to another worker."""
_JOB = "syncd_job"


class SpreadMetrics:
    """The tasks of one process. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: Counter[str] = Counter()
        self._counts = Counts()
        self._progress: dict[str, SpreadProgress] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics as text for Prometheus."""
        return generate_latest(self._registry)

    def take_end(self, end: str, counts: Counts | None = None) -> None:
        """Count a task that a worker has ended."""
        with self._lock:
            self._ends[end] += 1
            self._counts += counts if counts is not None else Counts()

    def take_progress(self, job: str, progress: SpreadProgress) -> None:
        """Note how far an owner is with a job."""
        with self._lock:
            self._progress[job] = progress

    def collect(self) -> Iterator[Metric]:
        """Return every metric. prometheus-client calls it by this name."""
        with self._lock:
            ends, counts, progress = dict(self._ends), self._counts, dict(self._progress)
        if progress:
            yield from _of_owner(progress)
            return
        tasks = CounterMetricFamily("syncd_work_tasks", "Tasks that this worker has ended.", labels=["outcome"])
        for end in ENDS:
            tasks.add_metric([end], ends.get(end, 0))
        objects = CounterMetricFamily("syncd_work_objects", "Objects of tasks that are done.", labels=["result"])
        objects.add_metric(["copied"], counts.copied)
        objects.add_metric(["already_there"], counts.already_there)
        yield tasks
        yield objects
        yield CounterMetricFamily(
            "syncd_work_copied_bytes", "Bytes copied in tasks that are done.", counts.copied_bytes
        )


def _of_owner(progress: dict[str, SpreadProgress]) -> Iterator[Metric]:
    tasks = GaugeMetricFamily(
        "syncd_spread_tasks",
        "Tasks of the spread catch-up under way. Dead ones are done by the owner itself.",
        labels=[_JOB, "state"],
    )
    known = GaugeMetricFamily("syncd_spread_objects", "Objects in these tasks, estimated.", labels=[_JOB])
    done = GaugeMetricFamily("syncd_spread_objects_done", "Objects in tasks that are done.", labels=[_JOB])
    for job, found in progress.items():
        tasks.add_metric([job, "open"], found.tasks - found.ended - found.dead)
        tasks.add_metric([job, "done"], found.ended)
        tasks.add_metric([job, "dead"], found.dead)
        known.add_metric([job], found.objects)
        done.add_metric([job], found.objects_done)
    yield from (tasks, known, done)
