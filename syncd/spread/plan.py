"""The plan of a spread catch-up: tasks, requests and dollars, by a sample of each shard and month."""

from collections import Counter
from collections.abc import Sequence
from threading import Event

from syncd.config.job import Job
from syncd.copy.cost import MESSAGES, estimate, requests_of
from syncd.copy.terms import Bounds
from syncd.job.copies import ways_of
from syncd.job.installation import Installation
from syncd.job.planning import PlanLedger, PlannedCopies, planned_way
from syncd.job.wiring import Run, RunRequest
from syncd.model.errors import Interrupted, JobFailed, LedgerError
from syncd.model.objects import LogObject, Shard, Transfer
from syncd.model.reports import JobError, TickReport, job_error
from syncd.spread.cut import Density, measured, tasks_of
from syncd.tick.scope import replica_of

_KEYS_A_LIST = 1000
_MESSAGES_A_TASK = 5
"""A task is sent, received and deleted, and so is its result. Most of these go ten at a time."""


def plan_spread(
    job: Job, request: RunRequest, installation: Installation, *, stop: Event
) -> tuple[TickReport, PlannedCopies]:
    """Plan a spread catch-up of one job. Nothing is written anywhere. Errors of the job are in the report."""
    copies = PlannedCopies()
    run = Run(job, request, installation, stop, lambda _: None)
    try:
        with installation.ledger_file.open_readonly() as reader:
            view = reader.view(replica_of(job))
            way = planned_way(ways_of(job), view.mode_verdict())
            densities = measured(run.task(), run.ports(PlanLedger(view), lambda *_: copies))
    except Interrupted:
        return run.ended("interrupted", None), copies
    except JobFailed as error:
        return run.ended("failed", job_error(error, job.name)), copies
    except LedgerError as error:
        return run.ended("failed", JobError(reason=error.reason, detail=str(error), remedy=error.remedy)), copies
    except BaseException as error:  # noqa: BLE001 - an error of one job must not end the others
        return run.crashed(error), copies
    settings = installation.settings
    tasks = tasks_of(densities, request="", task_objects=settings.work.task_objects)
    objects, size_bytes = _sums(densities)
    bounds = Bounds(job.destination.multipart_above, job.destination.part_size)
    usual = Transfer(Shard(""), LogObject("", "", size_bytes // max(objects, 1), 0.0), "")
    copying = Counter({name: count * objects for name, count in requests_of(usual, way.mode, bounds).items()})
    report = run.ended("ok", None)
    # Both sides are listed, and each task ends in a page of its own.
    lists = 2 * (objects // _KEYS_A_LIST + len(tasks))
    looking = Counter(report.requests) + Counter({"ListObjectsV2": lists, MESSAGES: _MESSAGES_A_TASK * len(tasks)})
    return report, PlannedCopies(
        mode=way.mode.value,
        objects=objects,
        size_bytes=size_bytes,
        requests=copying,
        tasks=len(tasks),
        estimate=estimate(
            way,
            looking=looking,
            copying=copying,
            size_bytes=size_bytes,
            crosses_regions=job.source.region != job.destination.region,
            prices=settings.prices,
            objects_per_second=None,
        ),
    )


def _sums(densities: Sequence[Density]) -> tuple[int, int]:
    """Return how many objects the shards may have, and their bytes."""
    objects = round(sum(count for density in densities for _, count in density.estimates()))
    sampled = sum(density.sampled for density in densities)
    return objects, objects * sum(density.sampled_bytes for density in densities) // max(sampled, 1)
