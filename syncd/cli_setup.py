"""The verbs of the first hour: what both accounts must allow, and whether they do."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from syncd import check, check_screen, checks, granting, logs, policies, policy_files, session
from syncd.cli_options import ConfigOption, JobsArgument, JsonOption, load
from syncd.wiring import Installation

app = typer.Typer()


@app.command("check")
def show_check(jobs: JobsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tries each permission for real and changes nothing; says the remedy where one fails. Exit code 4 then."""
    configuration = load(config)
    installation = Installation.of(configuration, now=time.time, tell=logs.teller())
    found = check.check_jobs(configuration, session.chosen(configuration, jobs), installation)
    if as_json:
        sys.stdout.write(json.dumps(checks.checks_document(found), ensure_ascii=False) + "\n")
    else:
        check_screen.show_checks(found)
    sys.exit(checks.exit_code(found))


@app.command("policies")
def show_policies(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job.")],
    *,
    style: Annotated[
        policy_files.Format, typer.Option("--format", help="How the documents are written.")
    ] = policy_files.Format.JSON,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Write files, a folder an account; else they are printed."),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="Only the documents of this account.")
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option("--principal", metavar="ARN", help="The consumer's user or role; else whoever runs this."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The IAM and bucket policies that both accounts need, each with where it goes and why."""
    (chosen,) = session.chosen(load(config), [job])
    if principal is not None and (problem := granting.principal_problem(chosen, principal)) is not None:
        raise typer.BadParameter(problem, param_hint="--principal")
    who = principal or granting.who_runs(chosen, _say)
    found = [item for item in policies.documents(chosen, who) if account in (None, item.account_id)]
    if as_json:
        document = policy_files.policies_document(chosen, found, who, style)
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    made = policy_files.files(chosen, found, who, style)
    if output is not None:
        granting.write(made, output, _say)
    elif not as_json:
        granting.show(made, _say, sys.stdout.write)


def _say(sentence: str) -> None:
    """For people, beside the document on stdout and in its order."""
    sys.stdout.flush()
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
