"""Options that verbs share, loading the configuration, and printing documents."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.privileges import drop_to_owner
from syncd.daemon import logs
from syncd.model import events
from syncd.model.errors import ConfigError
from syncd.model.objects import Window

if TYPE_CHECKING:
    from syncd.config.job import Configuration


def earlier_config(context: typer.Context, value: Any) -> Any:
    """Return `--config` as it stands after the verb, else before it."""
    return value if value is not None else context.find_root().params.get("config")


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="The configuration file. The default is $SYNCD_CONFIG, then /etc/syncd/syncd.toml.",
        callback=earlier_config,
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse all jobs if one job's file is invalid, instead of running the others."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout. Logs go to stderr.")]


def job_names(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a job's name for the shell. Returns nothing if the configuration is invalid."""
    from syncd.config import files

    try:
        configuration = files.load(files.find(earlier_config(context, context.params.get("config")), os.environ))
    except ConfigError:
        return []
    return [job.name for job in configuration.jobs if job.name.startswith(incomplete)]


JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="The jobs; all if none is named.", autocompletion=job_names),
]


FromOption = Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="DAY", help="The last UTC day, inclusive; the default is now.")
]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="ID", help="Only this account; repeatable.")
]
RegionOption = Annotated[list[str] | None, typer.Option("--region", metavar="R", help="Only this region; repeatable.")]
MonthOption = Annotated[
    bool, typer.Option("--month", help="Also what a month costs, and what `aws s3 sync` would for the same bucket.")
]


def load(
    option: Path | None, *, strict: bool, tells_refused: bool = True, touches_state: bool = True
) -> "Configuration":
    """Load the configuration and set up the log. Drops root's privileges over another user's state.

    Job files that are invalid are logged, unless the caller reports them itself.

    Raises:
        ConfigError: with every problem of every file.
        LedgerExposed: the state belongs to a user that this process cannot become.
    """
    from syncd.config import files
    from syncd.config.job import Log
    from syncd.job.refused import refusal_facts

    logs.configure(Log())
    configuration = files.load(files.find(option, os.environ), strict=strict)
    logs.configure(configuration.settings.log)
    tell = logs.event_logger()
    if touches_state and (user := drop_to_owner(configuration.settings.state_dir)) is not None:
        tell(events.PRIVILEGES_DROPPED, user=user, state_dir=str(configuration.settings.state_dir))
    for job in configuration.refused if tells_refused else ():
        tell(events.JOB_REFUSED, **refusal_facts(job))
    return configuration


def print_document(document: dict[str, Any], draw: Callable[[Any], Any], *, as_json: bool) -> None:
    """Print the JSON, or for people what `draw` returns. It is passed `cli.screen.tables`, which JSON needs not."""
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        from syncd.cli.screen import output, tables

        output.show(draw(tables))


def window_of(first: str | None, last: str | None) -> Window:
    """Return the days of a catch-up. Raises typer.BadParameter if they are none."""
    from syncd.job.verbs import is_day

    for name, day in (("--from", first), ("--to", last)):
        if day is not None and not is_day(day):
            raise typer.BadParameter(f"{day!r} is not a day: write YYYY-MM-DD, such as 2026-11-01", param_hint=name)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    if first and first > today:
        raise typer.BadParameter(f"{first} is in the future; name a day up to today, {today} UTC", param_hint="--from")
    if first and last and last < first:
        raise typer.BadParameter(f"{last} is before --from {first}", param_hint="--to")
    return Window(first, last)
