"""The command line: it parses arguments, calls the other rooms and prints."""

import io
import json
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from syncd import __version__
from syncd.cli import streams
from syncd.cli.options import PATH
from syncd.cli.privileges import raise_descriptor_limit
from syncd.cli.terminal import completion
from syncd.cli.terminal.help import Verbs
from syncd.daemon import logs
from syncd.job.exit_codes import DONE, FAILED, USAGE, of_signal
from syncd.model.errors import ConfigError, JobFailed, LedgerError, SyncdError
from syncd.model.escaping import safe_line, visible
from syncd.model.shortage import resource_limit, shortage

_HOMES = {
    "verify": ("proof.verify", "verify"),
    "prune-source": ("proof.prune", "prune_source"),
    "run": ("running.verbs", "run"),
    "tick": ("running.verbs", "tick"),
    "catch-up": ("running.verbs", "catch_up"),
    "plan": ("running.verbs", "plan"),
    "status": ("terminal.verbs", "show_status"),
    "completion": ("terminal.verbs", "show_completion"),
    "init": ("setup.starting", "show_init"),
    "onboard": ("setup.vendor", "show_onboard"),
    "check": ("setup.verbs", "show_check"),
    "policies": ("setup.verbs", "show_policies"),
    "ledger": ("ledger", "ledger"),
    "config": ("config", "show_config"),
    "work": ("running.work", "do_work"),
    "demo": ("demo.verb", "show_demo"),
}
"""The module of each verb or group, and its name there."""


class Program(Verbs):
    """All verbs. The module of a verb is imported when that verb is asked for: the others' cost a tenth of a start."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs."""
        del ctx
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb. Imports all of them to look for one like it if there is none of this name."""
        for name in [cmd_name] if cmd_name in _HOMES else _HOMES:
            module, verb = _HOMES[name]
            self.commands[name] = getattr(import_module(f"syncd.cli.{module}"), verb)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="syncd %(version)s", help="Print the version and exit.")
@click.option("--config", metavar="PATH", type=PATH, help="The configuration file, as after the verb.")
def program(config: Path | None) -> None:
    """Copy CloudTrail logs from another account's bucket into yours, and show that none is missing."""
    del config  # the verbs look it up


def main() -> None:
    """Run the command line, turning errors into messages and exit codes."""
    streams.secure()
    logs.write_safely()
    raise_descriptor_limit()
    code = _exit_code()
    if (lost := streams.lost_output()) and code == DONE:
        code = FAILED
    if lost:
        sys.stderr.write(f"syncd: stdout: {lost}; what was printed is not whole\n")
    sys.exit(code)


def _exit_code() -> int:
    try:
        return _run()
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


def _run() -> int:
    """Run what the command line asks for. Returns the exit code, also if the command line is wrong."""
    try:
        if instruction := os.environ.get(completion.VARIABLE):
            return completion.complete(program, instruction)
        with program.make_context("syncd", sys.argv[1:]) as context:
            program.invoke(context)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else DONE
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        _tell_usage(error)
        return error.exit_code
    except KeyboardInterrupt:
        from signal import SIGINT

        return of_signal(SIGINT)
    except click.Abort:
        sys.stderr.write("Aborted.\n")
        return FAILED
    return DONE


def _tell_usage(error: click.ClickException) -> None:
    """Tell what is wrong with the command line on stderr, or print the help that it stands for on stdout."""
    told = io.StringIO()
    error.show(told)
    stream = sys.stdout if isinstance(error, click.exceptions.NoArgsIsHelpError) else sys.stderr
    stream.write("\n".join(map(visible, told.getvalue().expandtabs().split("\n"))))


def _tell_refusal(reason: str, detail: str, remedy: str) -> None:
    """Tell why a verb did nothing, on stderr, and with --json in a document without jobs too."""
    sys.stderr.write(f"syncd: {safe_line(detail)}; {remedy}\n")
    if "--json" in sys.argv:
        error = {"reason": reason, "detail": detail, "remedy": remedy}
        sys.stdout.write(json.dumps({"jobs": [], "error": error}) + "\n")
