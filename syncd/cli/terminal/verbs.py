"""The verbs that only show something: status and completion."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from syncd.cli.options import config_option, jobs_argument, json_option, load, print_document, strict_option
from syncd.cli.terminal import completion
from syncd.cli.terminal.help import examples
from syncd.job import exit_codes


@click.command(
    "status",
    epilog=examples("syncd status", "syncd status --unhealthy --watch", "syncd status 'customer-0*' --json"),
)
@jobs_argument
@click.option("--unhealthy", is_flag=True, help="Only jobs that need attention.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@config_option
@strict_option
@json_option
def show_status(
    jobs: Sequence[str], *, unhealthy: bool, watch: bool, config: Path | None, strict: bool, as_json: bool
) -> None:
    """Show each job's health, the worst first, and what to do. Exits with 4 if one needs attention."""
    from syncd.job import refused
    from syncd.job.health import status
    from syncd.job.health.refused import refused_status

    if watch and (as_json or not sys.stdout.isatty()):
        raise click.BadParameter("needs a terminal, and no --json", param_hint="--watch")
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


@click.command(
    "completion",
    epilog=examples("source <(syncd completion bash)", "syncd completion fish > ~/.config/fish/completions/syncd.fish"),
)
@click.argument("shell", metavar="SHELL", type=click.Choice(completion.SHELLS), help="The shell: bash, zsh or fish.")
@click.option("--config", metavar="PATH", expose_value=False, help="Accepted as for every verb, but not read.")
@click.option("--json", is_flag=True, expose_value=False, help="Accepted as for every verb: it prints the script.")
def show_completion(shell: str) -> None:
    """Print the script that completes verbs, options and jobs in a shell."""
    sys.stdout.write(completion.script(shell))
