"""The verbs that only show something: status and completion."""

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from syncd.cli.options import ConfigOption, JobsArgument, JsonOption, StrictOption, load, print_document
from syncd.cli.terminal.help import COMPLETING
from syncd.job import exit_codes

app = typer.Typer()


class Shell(StrEnum):
    """The shells that `completion` knows."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command("status")
def show_status(
    jobs: JobsArgument = None,
    *,
    unhealthy: Annotated[bool, typer.Option("--unhealthy", help="Only jobs that need attention.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show each job's health, the worst first, and what to do. Exits with 4 if one needs attention."""
    from syncd.job import refused
    from syncd.job.health import status
    from syncd.job.health.refused import refused_status

    if watch and (as_json or not sys.stdout.isatty()):
        raise typer.BadParameter("needs a terminal, and no --json", param_hint="--watch")
    configuration = load(config, strict=strict)
    chosen, left_out = refused.chosen(configuration, jobs), refused.refused(configuration, jobs)

    # The jobs of other slots have their state elsewhere.
    shown = chosen if jobs else status.of_this_daemon(configuration, chosen)

    def read() -> dict[str, Any]:
        document = status.status_document(configuration, shown, now=time.time())
        if (fleet := status.fleet_document(configuration)) is not None:
            document["fleet"] = fleet
        document["jobs"] += map(refused_status, left_out)
        return document

    def draw(document: dict[str, Any]) -> Any:
        from syncd.cli.terminal.status import status_table

        return status_table(document, shows_all=bool(jobs), shows_healthy=not unhealthy)

    if watch:
        from syncd.cli.terminal.status import watch as show_until_interrupted

        show_until_interrupted(lambda: draw(read()))
    document = read()
    in_json = document | {"jobs": [job for job in document["jobs"] if not (unhealthy and job["healthy"])]}
    print_document(in_json, lambda _: draw(document), as_json=as_json)
    sys.exit(exit_codes.of_health(job["healthy"] for job in document["jobs"]))


@app.command("completion")
def show_completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="The shell: bash, zsh or fish.")],
    *,
    _config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="Accepted as for every verb, but not read.")
    ] = None,
    _as_json: Annotated[bool, typer.Option("--json", help="Accepted as for every verb: it prints the script.")] = False,
) -> None:
    """Print the script that completes verbs, options and jobs in a shell."""
    from typer._completion_shared import get_completion_script

    sys.stdout.write(get_completion_script(prog_name="syncd", complete_var=COMPLETING, shell=shell) + "\n")
