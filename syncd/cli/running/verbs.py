"""The verbs that copy, or show what would be copied: run, tick, catch-up and plan."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from syncd.cli.options import (
    account_option,
    config_option,
    from_option,
    jobs_argument,
    json_option,
    load,
    print_document,
    region_option,
    strict_option,
    to_option,
    window_of,
)
from syncd.cli.privileges import look_for_garbage
from syncd.cli.running.work import one_plan, one_run, require_queues, spread_option
from syncd.cli.terminal.help import examples
from syncd.cli.terminal.log import bars_on_a_terminal, besides_the_table
from syncd.daemon import logs
from syncd.job import exit_codes

if TYPE_CHECKING:
    from syncd.config.job import Configuration
    from syncd.copy.workers.pool import WorkerPool
    from syncd.job.wiring import RunRequest


@click.command("run", epilog=examples("syncd run", "syncd run --config /etc/syncd/syncd.toml"))
@config_option
@strict_option
@json_option
def run(*, config: Path | None, strict: bool, as_json: bool) -> None:
    """Run the daemon: every job on its own schedule, until SIGTERM."""
    from syncd.daemon import service

    configuration = load(config, strict=strict, tells_refused=False)
    look_for_garbage()
    code = service.run(configuration, now=time.time, tell=logs.event_logger())
    if as_json:
        sys.stdout.write(json.dumps({"exit_code": code}) + "\n")
    sys.exit(code)


@click.command("tick", epilog=examples("syncd tick", "syncd tick account-b", "syncd tick 'customer-*' --json"))
@jobs_argument
@config_option
@strict_option
@json_option
def tick(jobs: Sequence[str], *, config: Path | None, strict: bool, as_json: bool) -> None:
    """Run one tick of each job now."""
    from syncd.job.wiring import RunRequest

    configuration = load(config, strict=strict)
    _do(configuration, jobs, RunRequest(), as_json=as_json)


@click.command(
    "catch-up",
    epilog=examples(
        "syncd catch-up account-b --from 2026-01-01",
        "syncd catch-up account-b --from 2026-03-01 --to 2026-03-31 --region eu-west-1",
    ),
)
@jobs_argument
@from_option(required=True)
@to_option
@account_option
@region_option
@spread_option
@config_option
@strict_option
@json_option
def catch_up(
    jobs: Sequence[str],
    *,
    first: str,
    last: str | None,
    account: Sequence[str],
    region: Sequence[str],
    spread: bool,
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Copy everything missing from a date range. Safe to interrupt and rerun."""
    from syncd.config import names as aws_names
    from syncd.copy.workers.starting import started

    configuration = load(config, strict=strict)
    # They start while the rest is loaded. The owner of a spread catch-up may not need them.
    pool = None if spread else started(configuration)
    from syncd.job import refused, verbs
    from syncd.job.wiring import CATCH_UP, RunRequest

    request = RunRequest(
        kind=CATCH_UP,
        window=window_of(first, last),
        accounts=_names(account, aws_names.check_account_id, "--account"),
        regions=_names(region, aws_names.check_region, "--region"),
    )
    problem = verbs.narrowing_problem(refused.chosen(configuration, jobs), request)
    if problem is not None:
        raise click.BadParameter(problem[1], param_hint=problem[0])
    if spread:
        require_queues(configuration, "--spread")
    _do(configuration, jobs, request, as_json=as_json, is_spread=spread, pool=pool)


@click.command("plan", epilog=examples("syncd plan", "syncd plan --month", "syncd plan account-b --from 2026-01-01"))
@jobs_argument
@from_option()
@to_option
@spread_option
@click.option(
    "--month", is_flag=True, help="Also what a month costs, and what `aws s3 sync` would for the same bucket."
)
@config_option
@strict_option
@json_option
def plan(
    jobs: Sequence[str],
    *,
    first: str | None,
    last: str | None,
    spread: bool,
    month: bool,
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Show what a tick, or with --from a catch-up, would do. Changes nothing."""
    from syncd.job import planning, refused, verbs
    from syncd.job.wiring import CATCH_UP, RunRequest

    for option in ("--to",) if last else ("--spread",) if spread else ():
        if not first:
            raise click.BadParameter("needs --from", param_hint=option)
    if month and first:
        raise click.BadParameter("is about ticks; leave --from out", param_hint="--month")
    configuration = load(config, strict=strict)
    request = RunRequest(kind=CATCH_UP, window=window_of(first, last)) if first else RunRequest()
    plans = verbs.plan(
        configuration,
        refused.chosen(configuration, jobs),
        request,
        now=time.time,
        tell=logs.event_logger(),
        one_plan=one_plan(is_spread=spread, with_month=month),
    )
    plans += planning.refused_plans(refused.refused(configuration, jobs))
    print_document(
        verbs.plans_document(plans), lambda screen: screen.plans_table(plans, with_month=month), as_json=as_json
    )
    sys.exit(exit_codes.of_reports(report for report, _ in plans))


def _do(
    configuration: "Configuration",
    jobs: Sequence[str],
    request: "RunRequest",
    *,
    as_json: bool,
    is_spread: bool = False,
    pool: "WorkerPool | None" = None,
) -> NoReturn:
    from syncd.job import refused, verbs

    chosen = refused.chosen(configuration, jobs)
    besides: dict[str, Any] = {}
    if any(job.verify != "off" for job in chosen):
        from syncd.verify.continuous.run import verified

        besides["after"] = verified
    look_for_garbage()
    with bars_on_a_terminal() as bars, one_run(configuration, bars, is_spread=is_spread) as run_one:
        done = verbs.run(
            configuration,
            chosen,
            request,
            now=time.time,
            tell=besides_the_table(logs.event_logger()) if not as_json else logs.event_logger(),
            show=(lambda *_: None) if bars is None else bars.show,
            besides=refused.refused_reports(refused.refused(configuration, jobs)),
            one_run=run_one,
            pool=pool,
            **besides,
        )
    print_document(
        verbs.reports_document(done.reports), lambda screen: screen.reports_table(done.reports), as_json=as_json
    )
    sys.exit(done.exit_code)


def _names(given: Sequence[str], check: Callable[[str], str], option: str) -> tuple[str, ...]:
    from syncd.model.keys.trail import EVERY

    try:
        return tuple(check(name) for name in given) or (EVERY,)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
