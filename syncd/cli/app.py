"""The command line: it parses arguments, calls the other rooms and prints."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from syncd import __version__
from syncd.cli import config as config_verbs
from syncd.cli import ledger, streams, work
from syncd.cli.demo import verb as demo_verb
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
from syncd.cli.privileges import raise_descriptor_limit
from syncd.cli.proof import prune, verify
from syncd.cli.setup import starting, vendor
from syncd.cli.setup import verbs as setup
from syncd.cli.terminal import verbs as terminal_verbs
from syncd.cli.terminal.help import Verbs
from syncd.cli.terminal.log import bars_on_a_terminal, besides_the_table
from syncd.cli.terminal.verbs import COMPLETING
from syncd.cli.work import SpreadOption, one_plan, one_run, require_queues
from syncd.daemon import logs
from syncd.job import exit_codes
from syncd.job.exit_codes import DONE, FAILED, USAGE
from syncd.model.errors import ConfigError, JobFailed, LedgerError, SyncdError
from syncd.model.escaping import safe_line
from syncd.model.keys.trail import EVERY
from syncd.model.shortage import resource_limit, shortage

if TYPE_CHECKING:
    from syncd.config.job import Configuration
    from syncd.job.wiring import RunRequest

app = typer.Typer(
    cls=Verbs,
    help="Copy CloudTrail logs from another account's bucket into yours, and show that none is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(terminal_verbs.app)
app.add_typer(starting.app)
app.add_typer(vendor.app)
app.add_typer(setup.app)
app.add_typer(ledger.app, name="ledger")
app.add_typer(config_verbs.app, name="config")
app.add_typer(work.app)
app.add_typer(demo_verb.app)
app.command()(verify.verify)
app.command("prune-source")(prune.prune_source)


def main() -> None:
    """Run the command line, turning errors into messages and exit codes."""
    streams.secure()
    logs.write_safely()
    raise_descriptor_limit()
    if COMPLETING in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    code = _exit_code()
    if (lost := streams.lost_output()) and code == DONE:
        code = FAILED
    if lost:
        sys.stderr.write(f"syncd: stdout: {lost}; what was printed is not whole\n")
    sys.exit(code)


def _exit_code() -> int:
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else DONE
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{safe_line(str(problem))}\n")
        return USAGE
    except LedgerError as error:
        _tell_refusal(error.reason, str(error), error.remedy)
    except JobFailed as error:
        _tell_refusal(error.reason, error.detail, error.remedy)
    except SyncdError as error:
        sys.stderr.write(f"syncd: {safe_line(str(error))}\n")
    except (OSError, RuntimeError, MemoryError) as error:
        if not shortage(error):
            raise
        failed = resource_limit("syncd cannot go on", error)
        _tell_refusal(failed.reason, failed.detail, failed.remedy)
    return FAILED


def _tell_refusal(reason: str, detail: str, remedy: str) -> None:
    """Tell why a verb did nothing, on stderr, and with --json in a document without jobs too."""
    sys.stderr.write(f"syncd: {safe_line(detail)}; {remedy}\n")
    if "--json" in sys.argv:
        error = {"reason": reason, "detail": detail, "remedy": remedy}
        sys.stdout.write(json.dumps({"jobs": [], "error": error}) + "\n")


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="The configuration file, as after the verb.")
    ] = None,
) -> None:
    del config  # the verbs look it up
    if version:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


@app.command()
def run(*, config: ConfigOption = None, strict: StrictOption = False, as_json: JsonOption = False) -> None:
    """Run the daemon: every job on its own schedule, until SIGTERM."""
    from syncd.daemon import service

    code = service.run(load(config, strict=strict, tells_refused=False), now=time.time, tell=logs.event_logger())
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
    from syncd.job import refused, verbs
    from syncd.job.wiring import CATCH_UP, RunRequest

    configuration = load(config, strict=strict)
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
    _do(configuration, jobs, request, as_json=as_json, is_spread=spread)


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
) -> NoReturn:
    from syncd.job import refused, verbs

    chosen = refused.chosen(configuration, jobs)
    besides: dict[str, Any] = {}
    if any(job.verify != "off" for job in chosen):
        from syncd.verify.continuous.run import verified

        besides["after"] = verified
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
