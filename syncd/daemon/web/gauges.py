"""The gauges for Prometheus: the state at one moment, read from the job board."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

from syncd.config.job import Engine, JobEngine, Prices, RefusedJob
from syncd.daemon.web.gauge_rows import ESSENTIAL, LIMITS, OF_RUNNING
from syncd.job.health.health import JobHealth, is_fresh
from syncd.job.health.word import Health, health_word
from syncd.model.escaping import safe_line

MOST_JOBS_IN_FULL = 1000
"""With more jobs than these, `auto` shows what is essential: all metrics of ten thousand jobs are tens of megabytes."""
_ZERO_LEFT_OUT = (
    "syncd_last_tick_failed",
    "syncd_paused_seconds",
    "syncd_unproved_spans",
    "syncd_proved_until_timestamp_seconds",
)
"""Gauges whose zeros are left out of what is essential."""
JOB = "syncd_job"
"""The label with the job's name. Prometheus uses `job` for the scrape job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The state at one moment, as gauges."""

    now: float
    healths: Sequence[JobHealth]
    paused: Mapping[str, float] = field(default_factory=dict)
    """Seconds left of each paused job's pause."""
    running: Sequence[str] = ()
    """The jobs whose ticks are running."""
    stalled: int = 0
    """The number of them without progress for long."""
    ledger_bytes: int = 0
    is_configuration_stale: bool = False
    """The files were edited and the edit was refused, for all jobs or for one."""
    refused: Mapping[str, RefusedJob] = field(default_factory=dict)
    """Jobs whose files cannot be used."""
    queues: Mapping[str, bool] = field(default_factory=dict)
    """Queues of hints, and whether each can be received from."""
    has_lease: bool = False
    """A slot's lease is renewed in time."""
    slots: int = 0
    """Slots among which the jobs are shared. 0 without `[fleet]`."""
    known: Mapping[str, int] = field(default_factory=dict)
    """About how many objects each job has at the destination."""
    prices: Prices = field(default_factory=Prices)
    engine: Engine = field(default_factory=Engine)
    """The limits of all jobs together."""
    job_engines: Mapping[str, JobEngine] = field(default_factory=dict)
    """Each job's own."""
    job_metrics: str = "all"
    """`[http] job_metrics`."""

    @property
    def shown(self) -> str:
        """Which metrics of each job are shown: `all`, `essential` or `none`."""
        if self.job_metrics == "auto":
            return "all" if len(self.healths) <= MOST_JOBS_IN_FULL else "essential"
        return self.job_metrics

    def shows(self, metric: str) -> bool:
        """Return true if a metric has a series of each job."""
        return self.shown == "all" or (self.shown == "essential" and metric in ESSENTIAL)

    def collect(self) -> Iterator[Metric]:
        """Return every gauge that is shown."""
        yield from self._limits()
        yield self._price()
        yield self._by_health()
        if self.shows("syncd_running_objects_known"):
            yield from self._running()
        for name, help_text, value in _OF_DAEMON:
            yield GaugeMetricFamily(name, help_text, value=value(self))
        left_out = _ZERO_LEFT_OUT if self.shown == "essential" else ()
        for name, help_text, of_job in _OF_JOB:
            if self.shows(name):
                family = GaugeMetricFamily(name, help_text, labels=[JOB])
                for health in self.healths:
                    if (number := of_job(health, self)) or name not in left_out:
                        family.add_metric([health.job], number)
                yield family
        yield from (
            family
            for family in (self._refusals(), self._health(), self._kinds(), self._held())
            if self.shows(family.name)
        )

    def _limits(self) -> Iterator[Metric]:
        """Return the limits that are set."""
        for key, name, help_text in LIMITS:
            overall = GaugeMetricFamily(f"syncd_limit_{name}", f"Limit of all jobs together: {help_text}.", labels=[])
            of_job = GaugeMetricFamily(f"syncd_job_limit_{name}", f"A job's own limit: {help_text}.", labels=[JOB])
            if (limit := getattr(self.engine, key)) is not None:
                overall.add_metric([], limit)
            for job, engine in self.job_engines.items():
                if (limit := getattr(engine, key)) is not None:
                    of_job.add_metric([job], limit)
            yield overall
            if self.shows(of_job.name):
                yield of_job

    def _price(self) -> Metric:
        about = "A price in US dollars, as in [prices]: of one request, or of a gigabyte to another region."
        family = GaugeMetricFamily("syncd_price_dollars", about, labels=["of"])
        for of, price in (("write", self.prices.writes / 1000), ("read", self.prices.reads / 1000)):
            family.add_metric([of], price)
        family.add_metric(["transfer_gb"], self.prices.transfer_gb)
        return family

    def _refusals(self) -> Metric:
        family = GaugeMetricFamily(
            "syncd_job_refused",
            "1 for a job whose file cannot be used: it does not run, or runs as before the edit.",
            labels=[JOB],
        )
        for job in self.refused:
            family.add_metric([job], 1.0)
        return family

    def _kinds(self) -> Metric:
        family = GaugeMetricFamily(
            "syncd_kind_complete_until_timestamp_seconds",
            "The horizon of a job's shards of one kind: everything with an earlier stamp is at the destination.",
            labels=[JOB, "kind"],
        )
        for health in self.healths:
            for kind, instant in health.kinds.items():
                family.add_metric([health.job, safe_line(kind, _LONGEST_KIND)], instant)
        return family

    def _by_health(self) -> Metric:
        """Return the number of jobs of each health, of all jobs at once whatever is shown of each."""
        family = GaugeMetricFamily(
            "syncd_jobs_by_health", "Jobs by their health, as `status` says it.", labels=["health"]
        )
        counts = Counter(health_word(health, self.now) for health in self.healths)
        for word in Health:
            family.add_metric([word], counts[word])
        return family

    def _health(self) -> Metric:
        family = GaugeMetricFamily(
            "syncd_job_health", "1 for the health of the job, as `status` says it.", labels=[JOB, "health"]
        )
        for health in self.healths:
            family.add_metric([health.job, health_word(health, self.now)], 1.0)
        return family

    def _running(self) -> Iterator[Metric]:
        """Return the progress of the ticks under way. Other jobs have no series."""
        for name, help_text, of_progress in OF_RUNNING:
            family = GaugeMetricFamily(name, help_text, labels=[JOB])
            for health in self.healths:
                if health.running is not None and (value := of_progress(health.running)) is not None:
                    family.add_metric([health.job], value)
            yield family

    def _held(self) -> Metric:
        family = GaugeMetricFamily(
            "syncd_quarantined_objects",
            "Objects known and not at the destination, by reason.",
            labels=[JOB, "reason"],
        )
        for health in self.healths:
            for reason, count in health.held_reasons.items():
                family.add_metric([health.job, reason], count)
        return family


_LONGEST_KIND = 64

_OF_DAEMON: Sequence[tuple[str, str, Callable[[Gauges], float]]] = (
    (
        "syncd_jobs",
        "Jobs that are scheduled.",
        lambda it: len(it.healths) - sum(not job.is_kept for job in it.refused.values()),
    ),
    (
        "syncd_jobs_late",
        "Jobs that miss their objective.",
        lambda it: sum(not is_fresh(health, it.now) for health in it.healths),
    ),
    ("syncd_ticks_running", "Ticks that are running.", lambda it: len(it.running)),
    ("syncd_ticks_stalled", "Ticks that have made no progress for ten minutes.", lambda it: it.stalled),
    ("syncd_ledger_bytes", "Size of the state file and what belongs to it.", lambda it: it.ledger_bytes),
    ("syncd_lease_held", "1 if this daemon has a slot and renewed its lease in time, else 0.", lambda it: it.has_lease),
    ("syncd_slots", "Slots among which the jobs are shared; 0 without [fleet].", lambda it: it.slots),
    ("syncd_hint_queues", "Queues of hints that are listened to.", lambda it: len(it.queues)),
    (
        "syncd_hint_queues_unavailable",
        "Queues of hints that cannot be received from, or whose messages cannot be deleted.",
        lambda it: sum(not is_well for is_well in it.queues.values()),
    ),
    (
        "syncd_configuration_stale",
        "1 if a file was edited and the edit was refused: that job, or all, run as they were read before.",
        lambda it: it.is_configuration_stale,
    ),
)

_OF_JOB: Sequence[tuple[str, str, Callable[[JobHealth, Gauges], float]]] = (
    ("syncd_last_tick_timestamp_seconds", "When the job's last tick ended; 0 for never.", lambda it, _: it.finished_at),
    (
        "syncd_last_tick_duration_seconds",
        "How long the job's last tick took.",
        lambda it, _: it.last.duration_seconds if it.last else 0.0,
    ),
    ("syncd_last_tick_failed", "1 if the job's last tick failed.", lambda it, _: it.error is not None),
    (
        "syncd_complete_from_timestamp_seconds",
        "The stamp from which the replica is complete; 0 for the beginning, or for none.",
        lambda it, _: it.complete_from,
    ),
    (
        "syncd_complete_until_timestamp_seconds",
        "The horizon: everything with an earlier stamp is at the destination; 0 for none.",
        lambda it, _: it.complete_until,
    ),
    (
        "syncd_proved_until_timestamp_seconds",
        "Up to when CloudTrail's digests prove the replica; 0 for nothing, or if they are not verified continuously.",
        lambda it, _: it.proof.proved_until,
    ),
    (
        "syncd_known_objects",
        "Objects known at the destination: counted when the daemon starts, then added up.",
        lambda it, gauges: gauges.known.get(it.job, 0),
    ),
    ("syncd_unproved_spans", "Spans that digests do not prove.", lambda it, _: len(it.proof.doubts)),
    (
        "syncd_horizon_age_seconds",
        "How far the horizon trails the present; lateness is part of it.",
        lambda it, now: now.now - it.complete_until if it.complete_until else 0.0,
    ),
    (
        "syncd_objective_seconds",
        "The freshness objective of the job, beyond its lateness.",
        lambda it, _: it.promise.objective,
    ),
    ("syncd_objective_met", "1 if the job meets its objective.", lambda it, now: is_fresh(it, now.now)),
    (
        "syncd_newest_object_timestamp_seconds",
        "The newest LastModified seen at the source; 0 for none.",
        lambda it, _: it.look.newest_arrival,
    ),
    (
        "syncd_oldest_listing_timestamp_seconds",
        "When the least recently listed shard was listed: no news is not the same as not looking.",
        lambda it, _: it.look.listed_at,
    ),
    (
        "syncd_found",
        "1 once any object of the job was listed; 0 if nothing was found yet under its prefixes.",
        lambda it, _: it.has_found,
    ),
    (
        "syncd_uncovered_folders",
        "Folders of the source that the job neither covers nor ignores; the horizon waits for them.",
        lambda it, _: len(it.uncovered),
    ),
    (
        "syncd_audited_timestamp_seconds",
        "When the destination was last compared with all remembered keys; 0 for never.",
        lambda it, _: it.audited_at,
    ),
    (
        "syncd_sealed_audited_timestamp_seconds",
        "When the destination was last compared with all sealed days; 0 for never.",
        lambda it, _: it.sealed_audited_at,
    ),
    ("syncd_shards", "Shards: one organization, account, kind and region each.", lambda it, _: it.shards),
    ("syncd_quiet_shards", "Shards without news for long, listed less often.", lambda it, _: it.look.quiet_shards),
    (
        "syncd_paused_seconds",
        "How long the job still waits after its role was refused.",
        lambda it, now: now.paused.get(it.job, 0.0),
    ),
)
