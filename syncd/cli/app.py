"""The command line: parses, calls, prints. What is done is done elsewhere."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from syncd import __version__
from syncd.cli import prune, screen, setup, verify
from syncd.cli.options import ConfigOption, JobsArgument, JsonOption, StrictOption, load
from syncd.config import names as aws_names
from syncd.config.job import Configuration, Job
from syncd.daemon import logs
from syncd.job import held_list, refused, session, upkeep
from syncd.job.health import status
from syncd.job.installation import Installation
from syncd.job.report import DONE, FAILED, USAGE
from syncd.job.wiring import CATCH_UP, TICK, Request
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import ConfigError, LedgerError, SyncdError
from syncd.model.escaping import key_of, safe_key, safe_line
from syncd.model.objects import Window
from syncd.model.trail import EVERY

app = typer.Typer(
    help="Replicates CloudTrail logs into each consumer account, without gaps and with proof.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(setup.app)
app.command()(verify.verify)
app.command("prune-source")(prune.prune_source)

FromOption = Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="DAY", help="The last UTC day, inclusive; now where it is left out.")
]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="ID", help="Only this account; repeatable.")
]
RegionOption = Annotated[list[str] | None, typer.Option("--region", metavar="R", help="Only this region; repeatable.")]


def main() -> None:
    """The entry point: turns what may go wrong into words and an exit code."""
    logs.write_safely()
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{safe_line(str(problem))}\n")
        sys.exit(USAGE)
    except LedgerError as error:
        sys.stderr.write(f"syncd: {error}; {error.remedy}\n")
        sys.exit(FAILED)
    except SyncdError as error:
        sys.stderr.write(f"syncd: {safe_line(str(error))}\n")
        sys.exit(FAILED)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


@app.command()
def run(*, config: ConfigOption = None, strict: StrictOption = False, as_json: JsonOption = False) -> None:
    """The daemon: every job on its own schedule, until SIGTERM."""
    from syncd.daemon import service

    code = service.run(load(config, strict=strict, tells_refused=False), now=time.time, tell=logs.teller())
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
    """One pass now over each job."""
    configuration = load(config, strict=strict)
    _do(configuration, jobs, Request(kind=TICK), as_json=as_json)


@app.command("catch-up")
def catch_up(
    jobs: JobsArgument = None,
    *,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")],
    last: ToOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """A wider window: copies what is missing of it. Start it again after an interruption, it goes on."""
    configuration = load(config, strict=strict)
    request = Request(
        kind=CATCH_UP,
        window=_window(first, last),
        accounts=_names(account, aws_names.check_account_id, "--account"),
        regions=_names(region, aws_names.check_region, "--region"),
    )
    problem = session.narrowing_problem(session.chosen(configuration, jobs), request)
    if problem is not None:
        raise typer.BadParameter(problem[1], param_hint=problem[0])
    _do(configuration, jobs, request, as_json=as_json)


@app.command()
def plan(
    jobs: JobsArgument = None,
    *,
    first: FromOption = None,
    last: ToOption = None,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """What a tick, or with --from a catch-up, would do; changes nothing."""
    if last and not first:
        raise typer.BadParameter("goes with --from", param_hint="--to")
    configuration = load(config, strict=strict)
    request = Request(kind=CATCH_UP, window=_window(first, last)) if first else Request(kind=TICK)
    plans = session.plan(configuration, session.chosen(configuration, jobs), request, now=time.time, tell=logs.teller())
    plans += refused.refused_plans(session.refused(configuration, jobs))
    _print(session.plans_document(plans), screen.plans_table(plans), as_json=as_json)
    sys.exit(session.plans_exit_code(plans))


ledger_app = typer.Typer(no_args_is_help=True, help="The state: rebuild it, read it out, deal with single objects.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Objects that are known and not at the destination.")
app.add_typer(ledger_app, name="ledger")
ledger_app.add_typer(quarantine_app, name="quarantine")
JobOption = Annotated[list[str] | None, typer.Option("--job", metavar="JOB", help="Only this job; repeatable.")]
KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="The object's key in the source, as it is shown: an escape such as \\u202e stands for a character that"
        " cannot be seen, and two backslashes for one.",
    ),
]


@ledger_app.command("rebuild")
def ledger_rebuild(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forget what is remembered, and read it again from the destination's listing."""
    configuration = load(config, strict=strict)
    installation = Installation.of(configuration, now=time.time, tell=logs.teller())
    document = upkeep.rebuild(session.chosen(configuration, jobs), installation)
    document["jobs"] += refused.refused_rebuilds(session.refused(configuration, jobs))
    _print(document, screen.rebuild_table(document), as_json=as_json)
    sys.exit(upkeep.rebuild_exit_code(document))


@ledger_app.command("export")
def ledger_export(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Every row as JSON, one a line; with --json all of them in one document."""
    configuration = load(config, strict=strict)
    rows = upkeep.export(session.chosen(configuration, jobs), _ledger_file(configuration))
    separator = ""
    sys.stdout.write('{"rows": [' if as_json else "")
    with _state_used("], ", as_json=as_json):
        for row in rows:
            sys.stdout.write(separator + json.dumps(row) + ("" if as_json else "\n"))
            separator = ", " if as_json else ""
    left_out = session.refused(configuration, jobs)
    if as_json:
        sys.stdout.write("], " + json.dumps({**refused.refused_entries(left_out), "error": None})[1:] + "\n")
    sys.exit(refused.with_refused(DONE, left_out))


@quarantine_app.command("list")
def quarantine_list(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """What failed or is in conflict, why, how often, and when it is tried again."""
    configuration = load(config, strict=strict)
    chosen = session.chosen(configuration, jobs)
    left_out = session.refused(configuration, jobs)
    if as_json:
        besides = refused.refused_entries(left_out)
        is_read = held_list.write_held(chosen, _ledger_file(configuration), sys.stdout.write, besides)
        sys.exit(refused.with_refused(DONE, left_out) if is_read else FAILED)
    entries = held_list.held_entries(chosen, _ledger_file(configuration))
    with _state_used("", as_json=False):
        first = next(entries, None)
        if first is None:
            screen.show("nothing is held")
        else:
            screen.show_held(chain([first], entries))
    sys.exit(refused.with_refused(DONE, left_out))


@quarantine_app.command("retry")
def quarantine_retry(
    key: KeyArgument,
    *,
    job: JobOption = None,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Have the next tick try this object again."""
    configuration = load(config, strict=strict)
    _deal_with(key, upkeep.retry, configuration, job, "will be tried again by the next tick of", as_json=as_json)


@quarantine_app.command("accept")
def quarantine_accept(
    key: KeyArgument,
    *,
    job: JobOption = None,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep the replica of a conflict as it is, or give up an object that the source has no more."""
    configuration = load(config, strict=strict)
    _deal_with(key, upkeep.accept, configuration, job, "is accepted for", as_json=as_json)


def _ledger_file(configuration: Configuration) -> LedgerFile:
    return LedgerFile(configuration.settings.state_dir, now=time.time)


@contextmanager
def _state_used(before: str, *, as_json: bool) -> Iterator[None]:
    """Where the state cannot be used, ends with the error in the document that `before` begins, or in a sentence."""
    try:
        yield
    except LedgerError as error:
        if as_json:
            sys.stdout.write(f'{before}"error": {json.dumps(upkeep.ledger_error(error))}}}\n')
        else:
            sys.stderr.write(f"syncd: {safe_line(str(error))}; {error.remedy}\n")
        sys.exit(FAILED)


def _deal_with(
    word: str,
    do: Callable[[Sequence[Job], LedgerFile, str], dict[str, Any]],
    configuration: Configuration,
    names: list[str] | None,
    done: str,
    *,
    as_json: bool,
) -> NoReturn:
    try:
        key = key_of(word)
    except ValueError as error:
        raise typer.BadParameter(f"{safe_line(word)}: {error}", param_hint="KEY") from None
    chosen = session.chosen(configuration, names)
    with _state_used(f'{{"key": {json.dumps(key)}, "jobs": [], ', as_json=as_json):
        document = do(chosen, _ledger_file(configuration), key)
    jobs = ", ".join(document["jobs"])
    words = f"{safe_key(document['key'])} {done} {jobs}" if jobs else document["error"]["detail"]
    left_out = session.refused(configuration, names)
    document |= refused.refused_entries(left_out)
    _print(document, words, as_json=as_json)
    sys.exit(refused.with_refused(DONE, left_out) if jobs else FAILED)


@app.command("status")
def show_status(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Last tick, lag, horizon and quarantine of each job; exit code 4 when one is stale."""
    configuration = load(config, strict=strict)
    document = status.status_document(configuration, session.chosen(configuration, jobs), now=time.time())
    document["jobs"] += map(refused.refused_status, session.refused(configuration, jobs))
    _print(document, screen.status_table(document), as_json=as_json)
    sys.exit(status.exit_code(document))


@app.command("demo")
def show_demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running afterwards, to play with, until Ctrl-C.")
    ] = False,
    _config: Annotated[
        Path | None,
        typer.Option("--config", help="Taken as every verb takes it, and not read: the demo writes its own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The whole of it against an embedded AWS: nothing to configure, nothing left behind."""
    from syncd.cli.demo import demo

    sys.exit(demo.run(keep=keep, as_json=as_json))


def _do(configuration: Configuration, jobs: list[str] | None, request: Request, *, as_json: bool) -> NoReturn:
    chosen = session.chosen(configuration, jobs)
    with screen.progress(is_shown=sys.stderr.isatty() and request.kind == CATCH_UP) as bars:
        done = session.run(
            configuration,
            chosen,
            request,
            now=time.time,
            tell=logs.teller(),
            on_progress=bars.show,
            besides=refused.refused_reports(session.refused(configuration, jobs)),
        )
    _print(session.reports_document(done.reports), screen.reports_table(done.reports), as_json=as_json)
    sys.exit(done.exit_code)


def _print(document: dict[str, Any], for_people: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        screen.show(for_people)


def _names(given: list[str] | None, check: Callable[[str], str], option: str) -> tuple[str, ...]:
    try:
        return tuple(check(name) for name in given or ()) or (EVERY,)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _window(first: str | None, last: str | None) -> Window:
    for name, day in (("--from", first), ("--to", last)):
        if day is not None and not session.is_day(day):
            raise typer.BadParameter(f"{day!r} is no day: write YYYY-MM-DD, such as 2026-11-01", param_hint=name)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    if first and first > today:
        raise typer.BadParameter(f"{first} is in the future; name a day up to today, {today} UTC", param_hint="--from")
    if first and last and last < first:
        raise typer.BadParameter(f"{last} is before --from {first}", param_hint="--to")
    return Window(first, last)
