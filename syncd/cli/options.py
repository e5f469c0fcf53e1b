"""What verbs share: options, and the configuration that they name."""

import os
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.privileges import drop_to_owner
from syncd.config import files
from syncd.config.job import Configuration, Log
from syncd.daemon import logs
from syncd.job.refused import refusal_facts
from syncd.model import events
from syncd.model.errors import ConfigError

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file; else $SYNCD_CONFIG, else /etc/syncd/syncd.toml."),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse all jobs if one job's file cannot be used; else the others are run."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; logs go to stderr.")]


def job_names(context: typer.Context, incomplete: str) -> list[str]:
    """The jobs whose names begin so, for the shell's completion; none where the configuration cannot be read."""
    try:
        configuration = files.load(files.find(context.params.get("config"), os.environ))
    except ConfigError:
        return []
    return [job.name for job in configuration.jobs if job.name.startswith(incomplete)]


JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="The jobs; none named means all.", autocompletion=job_names),
]


def load(option: Path | None, *, strict: bool, tells_refused: bool = True, touches_state: bool = True) -> Configuration:
    """The configuration, with the log set up as it says, and with the rights that its state is touched with.

    Files of single jobs that cannot be used are told in the log, unless the caller says them itself.

    Raises:
        ConfigError: with every problem of every file.
        LedgerExposed: the state is another user's, who this process cannot become.
    """
    logs.configure(Log())
    configuration = files.load(files.find(option, os.environ), strict=strict)
    logs.configure(configuration.settings.log)
    tell = logs.event_logger()
    if touches_state and (user := drop_to_owner(configuration.settings.state_dir)) is not None:
        tell(events.PRIVILEGES_DROPPED, user=user, state_dir=str(configuration.settings.state_dir))
    for job in configuration.refused if tells_refused else ():
        tell(events.JOB_REFUSED, **refusal_facts(job))
    return configuration
