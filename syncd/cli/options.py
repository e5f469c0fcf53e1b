"""Options that verbs share, loading the configuration, and printing documents."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncd.cli.privileges import drop_to_owner
from syncd.daemon import logs
from syncd.model import events
from syncd.model.errors import ConfigError

if TYPE_CHECKING:
    from syncd.config.job import Configuration
    from syncd.model.objects import Window


PATH = click.Path(path_type=Path, readable=False)
"""A path. What cannot be read is told by who reads it."""


def earlier_config(context: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
    """Return `--config` as it stands after the verb, else before it."""
    return value if value is not None else context.find_root().params.get("config")


def job_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete a job's name for the shell. Returns nothing if the configuration is invalid."""
    from syncd.config import files

    try:
        configuration = files.load(files.find(context.params.get("config"), os.environ))
    except ConfigError:
        return []
    return [job.name for job in configuration.jobs if job.name.startswith(incomplete)]


jobs_argument = click.argument(
    "jobs", metavar="[JOB]...", nargs=-1, shell_complete=job_names, help="The jobs; all if none is named."
)
config_option = click.option(
    "--config",
    metavar="PATH",
    type=PATH,
    callback=earlier_config,
    help="The configuration file. The default is $SYNCD_CONFIG, then /etc/syncd/syncd.toml.",
)
strict_option = click.option(
    "--strict", is_flag=True, help="Refuse all jobs if one job's file is invalid, instead of running the others."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout. Logs go to stderr."
)
from_option = partial(click.option, "--from", "first", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")
to_option = click.option("--to", "last", metavar="DAY", help="The last UTC day, inclusive; the default is now.")
account_option = click.option("--account", metavar="ID", multiple=True, help="Only this account; repeatable.")
region_option = click.option("--region", metavar="R", multiple=True, help="Only this region; repeatable.")
keys_option = click.option("--keys", metavar="FILE", type=PATH, help="Use these public keys, and ask AWS for none.")


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


def window_of(first: str | None, last: str | None) -> "Window":
    """Return the days of a catch-up. Raises click.BadParameter if they are none."""
    from syncd.job.verbs import is_day
    from syncd.model.objects import Window

    for name, day in (("--from", first), ("--to", last)):
        if day is not None and not is_day(day):
            raise click.BadParameter(f"{day!r} is not a day: write YYYY-MM-DD, such as 2026-11-01", param_hint=name)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    if first and first > today:
        raise click.BadParameter(f"{first} is in the future; name a day up to today, {today} UTC", param_hint="--from")
    if first and last and last < first:
        raise click.BadParameter(f"{last} is before --from {first}", param_hint="--to")
    return Window(first, last)
