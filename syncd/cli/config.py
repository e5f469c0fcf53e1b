"""The verbs about the configuration itself: its schema for editors, and whether it is right."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from syncd.cli.options import ConfigOption, JsonOption, StrictOption
from syncd.cli.terminal.help import Verbs
from syncd.job.exit_codes import DONE, USAGE
from syncd.model.errors import ConfigError, Problem
from syncd.model.escaping import safe_line

app = typer.Typer(
    name="config",
    cls=Verbs,
    no_args_is_help=True,
    help="The configuration itself: its schema for editors, and whether it is right.",
)


@app.command("schema")
def show_schema(
    *,
    job: Annotated[
        bool, typer.Option("--job", help="The schema of a job file, instead of that of syncd.toml.")
    ] = False,
    _config: Annotated[
        Path | None, typer.Option("--config", help="Taken as every verb takes it, and not read.")
    ] = None,
    _as_json: Annotated[bool, typer.Option("--json", help="The schema is JSON without this too.")] = False,
) -> None:
    """Print the JSON Schema (2020-12) of syncd.toml, or of a job file, for editors."""
    from syncd.config.job import json_schema

    sys.stdout.write(json.dumps(json_schema(is_job=job), indent=2) + "\n")


@app.command("validate")
def validate(*, config: ConfigOption = None, strict: StrictOption = False, as_json: JsonOption = False) -> None:
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
