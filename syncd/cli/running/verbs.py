"""The verbs that copy, or show what would be copied: run, tick, catch-up and plan."""

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from syncd.cli.options import (
    AccountOption,
    ConfigOption,
    FromOption,
    JobsArgument,
    JsonOption,
    MonthOption,
    RegionOption,
    StrictOption,
    ToOption,
    load,
    print_document,
    window_of,
)
from syncd.cli.privileges import look_for_garbage
from syncd.cli.running.work import SpreadOption, one_plan, one_run, require_queues
from syncd.cli.terminal.log import bars_on_a_terminal, besides_the_table
from syncd.daemon import logs
from syncd.job import exit_codes
from syncd.model.keys.trail import EVERY

if TYPE_CHECKING:
    from syncd.config.job import Configuration
    from syncd.copy.workers.pool import WorkerPool
    from syncd.job.wiring import RunRequest

app = typer.Typer()


@app.command()
def run(*, config: ConfigOption = None, strict: StrictOption = False, as_json: JsonOption = False) -> None:
    """Run the daemon: every job on its own schedule, until SIGTERM."""
    from syncd.daemon import service

    configuration = load(config, strict=strict, tells_refused=False)
    look_for_garbage()
    code = service.run(configuration, now=time.time, tell=logs.event_logger())
    if as_json:
        sys.stdout.write(json.dumps({"exit_code": code}) + "\n")
    sys.exit(code)


@app.command()
def tick(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one tick of each job now."""
    from syncd.job.wiring import RunRequest

    configuration = load(config, strict=strict)
    _do(configuration, jobs, RunRequest(), as_json=as_json)


@app.command("catch-up")
def catch_up(
    jobs: JobsArgument = None,
    *,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")],
    last: ToOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    spread: SpreadOption = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
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
        raise typer.BadParameter(problem[1], param_hint=problem[0])
    if spread:
        require_queues(configuration, "--spread")
    _do(configuration, jobs, request, as_json=as_json, is_spread=spread, pool=pool)


@app.command()
def plan(
    jobs: JobsArgument = None,
    *,
    first: FromOption = None,
    last: ToOption = None,
    spread: SpreadOption = False,
    month: MonthOption = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a tick, or with --from a catch-up, would do. Changes nothing."""
    from syncd.job import planning, refused, verbs
    from syncd.job.wiring import CATCH_UP, RunRequest

    for option in ("--to",) if last else ("--spread",) if spread else ():
        if not first:
            raise typer.BadParameter("needs --from", param_hint=option)
    if month and first:
        raise typer.BadParameter("is about ticks; leave --from out", param_hint="--month")
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
    jobs: list[str] | None,
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


def _names(given: list[str] | None, check: Callable[[str], str], option: str) -> tuple[str, ...]:
    try:
        return tuple(check(name) for name in given or ()) or (EVERY,)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
