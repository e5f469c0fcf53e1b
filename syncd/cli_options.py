"""What verbs share: options, and the configuration that they name."""

import os
from pathlib import Path
from typing import Annotated

import typer

from syncd import configfile, logs
from syncd.config import Configuration, Log

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file; else $SYNCD_CONFIG, else /etc/syncd/syncd.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; logs go to stderr.")]
JobsArgument = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="The jobs; none named means all.")]


def load(option: Path | None) -> Configuration:
    """The configuration, with the log set up as it says.

    Raises:
        ConfigError: with every problem of every file.
    """
    logs.configure(Log())
    configuration = configfile.load(configfile.find(option, os.environ))
    logs.configure(configuration.settings.log)
    return configuration
