"""The verbs on what a job needs: check and policies."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from syncd.aws.policies.formats import Format
from syncd.cli.options import PATH, config_option, job_names, jobs_argument, json_option, load, strict_option
from syncd.cli.running.work import require_queues
from syncd.cli.terminal.help import examples
from syncd.daemon import logs
from syncd.job import exit_codes
from syncd.model.escaping import safe_indented


@click.command("check", epilog=examples("syncd check", "syncd check account-b"))
@jobs_argument
@config_option
@strict_option
@json_option
def show_check(jobs: Sequence[str], *, config: Path | None, strict: bool, as_json: bool) -> None:
    """Try each permission for real, changing nothing. If one fails, says how to fix it and exits with 4."""
    from syncd.check import check, result
    from syncd.check.result import JobChecks
    from syncd.check.shared import shared_checks
    from syncd.cli.setup.checks import show_checks
    from syncd.job import refused
    from syncd.job.installation import Installation

    configuration = load(config, strict=strict)
    installation = Installation.of(configuration, now=time.time, tell=logs.event_logger())
    found = check.check_jobs(configuration, refused.chosen(configuration, jobs), installation)
    found += result.refused_checks(refused.refused(configuration, jobs))
    shared = JobChecks(configuration.files[0].name, shared_checks(configuration))
    if as_json:
        sys.stdout.write(json.dumps(result.checks_document(found, shared.checks)) + "\n")
    else:
        show_checks([*found, *([shared] if shared.checks else [])])
    sys.exit(exit_codes.of_health(job.ok for job in (*found, shared)))


principal_option = click.option(
    "--principal", metavar="ARN", help='The consumer\'s user or role, or "account". The default is the caller.'
)


@click.command(
    "policies",
    epilog=examples("syncd policies account-b", "syncd policies account-b --format terraform --output ./iam"),
)
@click.argument("job", metavar="[JOB]", required=False, shell_complete=job_names, help="The job.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([style.value for style in Format]),
    default=Format.JSON.value,
    show_default=True,
    help="The format of the documents.",
)
@click.option(
    "--output", metavar="DIR", type=PATH, help="Write files, one folder per account, instead of printing them."
)
@click.option(
    "--replace", is_flag=True, help="Replace files of --output that were edited or are of another configuration."
)
@click.option("--account", metavar="ID", help="Only this account's documents.")
@principal_option
@click.option("--hints", is_flag=True, help="The documents of the hint queues instead of the job's own.")
@click.option("--fleet", is_flag=True, help="The document of the leases of slots instead of the job's own.")
@click.option("--prune", is_flag=True, help="Only the statement that `prune-source` needs beside, as JSON.")
@click.option("--repair", is_flag=True, help="Only the statement that `verify --repair` needs beside, as JSON.")
@click.option("--work", is_flag=True, help="The queues and roles of spread catch-ups, instead of a job's policies.")
@config_option
@strict_option
@json_option
def show_policies(
    job: str | None,
    *,
    format_name: str,
    output: Path | None,
    replace: bool,
    account: str | None,
    principal: str | None,
    hints: bool,
    fleet: bool,
    prune: bool,
    repair: bool,
    work: bool,
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Print the IAM and bucket policies that both accounts need, and where each one goes."""
    from syncd.aws.policies import files as policy_files
    from syncd.cli.setup import granting
    from syncd.job import refused

    configuration = load(config, strict=strict, touches_state=False)
    style = Format(format_name)
    if (job is None) != work:
        raise click.BadParameter("name a job, or say --work, not both", param_hint="JOB")
    if job is None:
        made = granting.work_files(require_queues(configuration, "policies --work"), style)
        document = policy_files.work_document(made, style)
        granting.hand_out(made, document if as_json else None, output, _say, replaces=replace)
        return
    chosen, *others = refused.chosen(configuration, [job])
    if others:
        raise click.BadParameter(f"{len(others) + 1} jobs match it; name one", param_hint="JOB")
    if principal is not None and (problem := granting.principal_problem(chosen, principal)) is not None:
        raise click.BadParameter(problem, param_hint="--principal")
    who, has_tags = (granting.named(principal), False) if principal is not None else granting.who_runs(chosen, _say)
    asked = {"prune": prune, "repair": repair, "hints": hints, "fleet": fleet}
    subject = next((name for name, is_asked in asked.items() if is_asked), "")
    if (lacking := granting.subject_problem(configuration.settings, subject, style)) is not None:
        raise click.BadParameter(lacking, param_hint=f"--{subject}")
    needed = granting.needed(chosen, configuration.settings, who, subject, has_tags=has_tags)
    if account is not None and (unknown := granting.account_problem(needed, account)) is not None:
        raise click.BadParameter(unknown, param_hint="--account")
    found = [item for item in needed if account in (None, item.account_id)]
    made = policy_files.files(chosen, found, who, style)
    document = policy_files.policies_document(chosen, found, who, style)
    granting.hand_out(made, document if as_json else None, output, _say, replaces=replace)


def _say(sentence: str) -> None:
    """Write to stderr, in order with the document on stdout."""
    sys.stdout.flush()
    sys.stderr.write(safe_indented(sentence) + "\n")
    sys.stderr.flush()
