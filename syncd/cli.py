"""The command line: parses, calls, prints. What is done is done elsewhere."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from syncd import __version__, configfile, daemon, logs, screen, session, status
from syncd.cloudtrail import EVERY
from syncd.config import Configuration, Log
from syncd.errors import ConfigError, SyncdError
from syncd.model import Window
from syncd.report import USAGE
from syncd.wiring import CATCH_UP, TICK, Request

app = typer.Typer(
    help="Replicates CloudTrail logs into each consumer account, without gaps and with proof.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file [default: $SYNCD_CONFIG or /etc/syncd/syncd.toml]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; logs go to stderr.")]
JobsArgument = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="The jobs; none named means all.")]
FromOption = Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="DAY", help="The last UTC day, inclusive [default: now].")
]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="ID", help="Only this account; repeatable.")
]
RegionOption = Annotated[list[str] | None, typer.Option("--region", metavar="R", help="Only this region; repeatable.")]


def main() -> None:
    """The entry point: turns what may go wrong into words and an exit code."""
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(USAGE)
    except SyncdError as error:
        sys.stderr.write(f"syncd: {error}\n")
        sys.exit(1)


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
def run(config: ConfigOption = None) -> None:
    """The daemon: every job on its own schedule, until SIGTERM."""
    sys.exit(daemon.run(_load(config), now=time.time, tell=logs.teller()))


@app.command()
def tick(jobs: JobsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One pass now over each job."""
    configuration = _load(config)
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
    as_json: JsonOption = False,
) -> None:
    """A wider window: copies what is missing of it. Start it again after an interruption, it goes on."""
    configuration = _load(config)
    request = Request(
        kind=CATCH_UP,
        window=_window(first, last),
        accounts=tuple(account or [EVERY]),
        regions=tuple(region or [EVERY]),
    )
    _do(configuration, jobs, request, as_json=as_json)


@app.command()
def plan(
    jobs: JobsArgument = None,
    *,
    first: FromOption = None,
    last: ToOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a tick, or with --from a catch-up, would do; changes nothing."""
    configuration = _load(config)
    request = Request(kind=CATCH_UP, window=_window(first, last)) if first else Request(kind=TICK)
    plans = session.plan(configuration, session.chosen(configuration, jobs), request, now=time.time, tell=logs.teller())
    _print(session.plans_document(plans), screen.plans_table(plans), as_json=as_json)
    sys.exit(session.plans_exit_code(plans))


@app.command("status")
def show_status(jobs: JobsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Last tick, lag, horizon and quarantine of each job; exit code 4 when one is stale."""
    configuration = _load(config)
    document = status.status_document(configuration, session.chosen(configuration, jobs), now=time.time())
    _print(document, screen.status_table(document), as_json=as_json)
    sys.exit(status.exit_code(document))


def _do(configuration: Configuration, jobs: list[str] | None, request: Request, *, as_json: bool) -> NoReturn:
    chosen = session.chosen(configuration, jobs)
    with screen.progress(is_shown=sys.stderr.isatty() and request.kind == CATCH_UP) as bars:
        done = session.run(configuration, chosen, request, now=time.time, tell=logs.teller(), on_progress=bars.show)
    _print(session.reports_document(done.reports), screen.reports_table(done.reports), as_json=as_json)
    sys.exit(done.exit_code)


def _print(document: dict[str, Any], for_people: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        screen.show(for_people)


def _load(option: Path | None) -> Configuration:
    logs.configure(Log())
    configuration = configfile.load(configfile.find(option, os.environ))
    logs.configure(configuration.settings.log)
    return configuration


def _window(first: str | None, last: str | None) -> Window:
    for name, day in (("--from", first), ("--to", last)):
        if day is not None and not session.is_day(day):
            raise typer.BadParameter(f"{day!r} is no day: write YYYY-MM-DD, such as 2026-11-01", param_hint=name)
    if first and last and last < first:
        raise typer.BadParameter(f"{last} is before --from {first}", param_hint="--to")
    return Window(first, last)
