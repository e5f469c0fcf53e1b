"""The verb `work`, and the option that spreads a catch-up over workers."""

import contextlib
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncd.cli.options import config_option, json_option, load, strict_option
from syncd.cli.privileges import look_for_garbage
from syncd.cli.terminal.help import examples
from syncd.daemon import logs
from syncd.model.errors import ConfigError, Problem

if TYPE_CHECKING:
    from syncd.cli.terminal.bars import Bars
    from syncd.config.job import Configuration, Work
    from syncd.job.verbs import OnePlan, OneRun
    from syncd.spread.metrics import SpreadMetrics

spread_option = click.option(
    "--spread", is_flag=True, help="Let `syncd work` on any number of machines do the days that are sealed."
)


def require_queues(configuration: "Configuration", what: str) -> "Work":
    """Return the queues of spread catch-ups. Raises ConfigError if there are none."""
    if not configuration.settings.work.is_given:
        message = f"is missing, and {what} needs it; give the URLs of the queues in [work], as `syncd policies --work` makes them"
        raise ConfigError([Problem(str(configuration.files[0]), "work.tasks", message)])
    return configuration.settings.work


@contextlib.contextmanager
def one_run(configuration: "Configuration", bars: "Bars | None", *, is_spread: bool) -> "Iterator[OneRun]":
    """Yield what runs one job: the ordinary run, or the owner of a spread catch-up, whose metrics are served meanwhile."""
    if not is_spread:
        from syncd.job.run import run_job

        yield run_job
        return
    from syncd.model.reports import SpreadProgress
    from syncd.spread.owner import spread_job

    with metrics_served(configuration) as metrics:

        def show_tasks(job: str, progress: SpreadProgress) -> None:
            metrics.take_progress(job, progress)
            if bars is not None:
                bars.show_tasks(job, progress)

        yield partial(spread_job, jobs={job.name: job for job in configuration.jobs}, show_tasks=show_tasks)


@contextlib.contextmanager
def metrics_served(configuration: "Configuration") -> "Iterator[SpreadMetrics]":
    """Serve /metrics and /healthz at `[work] metrics_listen`, if it is given. Copying goes on without it."""
    from syncd.spread.metrics import SpreadMetrics

    metrics, settings = SpreadMetrics(), configuration.settings
    if not settings.work.metrics_listen:
        yield metrics
        return
    from syncd.daemon.log.repeats import RepeatedProblems
    from syncd.daemon.web.messages import Reply
    from syncd.daemon.web.metrics import CONTENT_TYPE
    from syncd.daemon.web.port import StatusPort

    def answer(path: str, _query: object) -> Reply | None:
        if path == "/metrics":
            return Reply(metrics.exposition(), CONTENT_TYPE)
        return Reply(b'{"alive": true}\n', "application/json") if path == "/healthz" else None

    problems = RepeatedProblems(logs.event_logger(), now=time.time, monotonic=time.monotonic)
    port = StatusPort(answer, problems, reserved=("/healthz",))
    port.follow(settings.http.model_copy(update={"listen": settings.work.metrics_listen}))
    try:
        yield metrics
    finally:
        port.close()


def one_plan(*, is_spread: bool, with_month: bool) -> "OnePlan":
    """Return what plans one job."""
    if not is_spread:
        from syncd.job.run import plan_job

        return partial(plan_job, with_month=with_month)
    from syncd.spread.plan import plan_spread

    return plan_spread


@click.command("work", epilog=examples("syncd work", "syncd work --until-empty"))
@click.option("--until-empty", is_flag=True, help="End when no task is left, instead of waiting for more.")
@config_option
@strict_option
@json_option
def do_work(*, until_empty: bool, config: Path | None, strict: bool, as_json: bool) -> None:
    """Do the tasks of spread catch-ups until SIGTERM. Keeps no state."""
    import json

    from syncd.spread.work import work

    configuration = load(config, strict=strict, touches_state=False)
    require_queues(configuration, "work")
    look_for_garbage()
    with metrics_served(configuration) as metrics:
        done = work(configuration, metrics, until_empty=until_empty, now=time.time, tell=logs.event_logger())
    if as_json:
        sys.stdout.write(json.dumps(done._asdict()) + "\n")
    sys.exit(done.exit_code)
