"""What verbs share: options, and the configuration that they name."""

import os
from pathlib import Path
from typing import Annotated

import typer

from syncd import configfile, logs
from syncd.config import Configuration, Log
from syncd.errors import ConfigError

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file; else $SYNCD_CONFIG, else /etc/syncd/syncd.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; logs go to stderr.")]


def job_names(context: typer.Context, incomplete: str) -> list[str]:
    """The jobs whose names begin so, for the shell's completion; none where the configuration cannot be read."""
    try:
        configuration = configfile.load(configfile.find(context.params.get("config"), os.environ))
    except ConfigError:
        return []
    return [job.name for job in configuration.jobs if job.name.startswith(incomplete)]


JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="The jobs; none named means all.", autocompletion=job_names),
]


def load(option: Path | None) -> Configuration:
    """The configuration, with the log set up as it says.

    Raises:
        ConfigError: with every problem of every file.
    """
    logs.configure(Log())
    configuration = configfile.load(configfile.find(option, os.environ))
    logs.configure(configuration.settings.log)
    return configuration
