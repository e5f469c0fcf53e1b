"""The verbs about the configuration itself: its schema for editors, and whether it is right."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from syncd.cli.options import config_option, json_option, strict_option
from syncd.cli.terminal.help import Verbs, examples
from syncd.job.exit_codes import DONE, USAGE
from syncd.model.errors import ConfigError, Problem
from syncd.model.escaping import safe_line


@click.group("config", cls=Verbs)
def show_config() -> None:
    """The configuration itself: its schema for editors, and whether it is right."""


@show_config.command("schema", epilog=examples("syncd config schema --job > job.schema.json"))
@click.option("--job", is_flag=True, help="The schema of a job file, instead of that of syncd.toml.")
@click.option("--config", metavar="PATH", expose_value=False, help="Taken as every verb takes it, and not read.")
@click.option("--json", is_flag=True, expose_value=False, help="The schema is JSON without this too.")
def show_schema(*, job: bool) -> None:
    """Print the JSON Schema (2020-12) of syncd.toml, or of a job file, for editors."""
    from syncd.config.job import json_schema

    sys.stdout.write(json.dumps(json_schema(is_job=job), indent=2) + "\n")


@show_config.command("validate", epilog=examples("syncd config validate --config ./syncd.toml"))
@config_option
@strict_option
@json_option
def validate(*, config: Path | None, strict: bool, as_json: bool) -> None:
    """Check syncd.toml and every job file, offline. Names every problem, and ends with 2 if there is one."""
    from syncd.config import files

    path = files.find(config, os.environ)
    jobs: list[str] = []
    try:
        found = files.load(path, strict=strict)
    except ConfigError as error:
        problems = list(error.problems)
    else:
        jobs = [job.name for job in found.jobs]
        problems = [problem for refused in found.refused for problem in refused.problems]
    if as_json:
        sys.stdout.write(json.dumps(validation_document(path, jobs, problems)) + "\n")
    else:
        for problem in problems:
            sys.stderr.write(f"{safe_line(str(problem))}\n")
        if not problems:
            sys.stdout.write(f"{safe_line(str(path))}: nothing is wrong; jobs: {', '.join(jobs) or 'none'}\n")
    sys.exit(USAGE if problems else DONE)


def validation_document(path: Path, jobs: list[str], problems: list[Problem]) -> dict[str, Any]:
    """Return the document of `config validate --json`."""
    return {"config": str(path), "jobs": jobs, "problems": [problem._asdict() for problem in problems]}
