"""The command line: it parses arguments, calls the other rooms and prints."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from syncd import __version__
from syncd.cli import streams
from syncd.cli.privileges import raise_descriptor_limit
from syncd.cli.terminal.help import COMPLETING, Verbs
from syncd.daemon import logs
from syncd.job.exit_codes import DONE, FAILED, USAGE
from syncd.model.errors import ConfigError, JobFailed, LedgerError, SyncdError
from syncd.model.escaping import safe_line
from syncd.model.shortage import resource_limit, shortage

_HOMES = {
    "verify": "proof.verify",
    "prune-source": "proof.prune",
    "run": "running.verbs",
    "tick": "running.verbs",
    "catch-up": "running.verbs",
    "plan": "running.verbs",
    "status": "terminal.verbs",
    "completion": "terminal.verbs",
    "init": "setup.starting",
    "onboard": "setup.vendor",
    "check": "setup.verbs",
    "policies": "setup.verbs",
    "ledger": "ledger",
    "config": "config",
    "work": "running.work",
    "demo": "demo.verb",
}
"""The module of each verb, or of its group."""


class Program(Verbs):
    """All verbs. The module of a verb is imported when that verb is asked for: the others' cost a tenth of a start."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all verbs."""
        del ctx
        return list(_HOMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb. Imports all of them to look for one like it if there is none of this name."""
        for name in [cmd_name] if cmd_name in _HOMES else _HOMES:
            if name not in self.commands:
                home = typer.main.get_group(import_module(f"syncd.cli.{_HOMES[name]}").app)
                self.commands.update({name: home} if home.name == name else home.commands)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Program,
    help="Copy CloudTrail logs from another account's bucket into yours, and show that none is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line, turning errors into messages and exit codes."""
    streams.secure()
    logs.write_safely()
    raise_descriptor_limit()
    if COMPLETING in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    code = _exit_code()
    if (lost := streams.lost_output()) and code == DONE:
        code = FAILED
    if lost:
        sys.stderr.write(f"syncd: stdout: {lost}; what was printed is not whole\n")
    sys.exit(code)


def _exit_code() -> int:
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else DONE
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{safe_line(str(problem))}\n")
        return USAGE
    except LedgerError as error:
        _tell_refusal(error.reason, str(error), error.remedy)
    except JobFailed as error:
        _tell_refusal(error.reason, error.detail, error.remedy)
    except SyncdError as error:
        sys.stderr.write(f"syncd: {safe_line(str(error))}\n")
    except (OSError, RuntimeError, MemoryError) as error:
        if not shortage(error):
            raise
        failed = resource_limit("syncd cannot go on", error)
        _tell_refusal(failed.reason, failed.detail, failed.remedy)
    return FAILED


def _tell_refusal(reason: str, detail: str, remedy: str) -> None:
    """Tell why a verb did nothing, on stderr, and with --json in a document without jobs too."""
    sys.stderr.write(f"syncd: {safe_line(detail)}; {remedy}\n")
    if "--json" in sys.argv:
        error = {"reason": reason, "detail": detail, "remedy": remedy}
        sys.stdout.write(json.dumps({"jobs": [], "error": error}) + "\n")


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="The configuration file, as after the verb.")
    ] = None,
) -> None:
    del config  # the verbs look it up
    if version:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)
