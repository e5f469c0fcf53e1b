"""The verbs that set up a job: init, check and policies."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.aws.policies.formats import Format
from syncd.cli.options import ConfigOption, JobsArgument, JsonOption, StrictOption, earlier_config, job_names, load
from syncd.cli.work import require_queues
from syncd.daemon import logs
from syncd.job import exit_codes
from syncd.job.exit_codes import FAILED, USAGE
from syncd.model.escaping import safe_indented

if TYPE_CHECKING:
    from syncd.cli.setup.init_answers import Answers

app = typer.Typer()

ConfigToWriteOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        callback=earlier_config,
        help="The configuration file to write, or to add a job to (in jobs.d beside it). The default is $SYNCD_CONFIG,"
        " then /etc/syncd/syncd.toml.",
    ),
]
DirectoryOption = Annotated[
    Path | None, typer.Option("--directory", metavar="DIR", help="The folder for syncd.toml, instead of --config.")
]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The job's name. The default is account-ID.")
]
ProfileOption = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The consumer's AWS profile.")]
CredentialsFileOption = Annotated[
    Path | None, typer.Option("--credentials-file", metavar="PATH", help="The consumer's AWS credentials file.")
]
ConsumerAccountOption = Annotated[
    str | None,
    typer.Option("--consumer-account", metavar="ID", help="The consumer's account. The default is what AWS says."),
]
BucketOption = Annotated[
    str | None, typer.Option("--bucket", metavar="BUCKET", help="The bucket that CloudTrail delivers to.")
]
SourceAccountOption = Annotated[
    str | None,
    typer.Option("--source-account", metavar="ID", help="The account that owns the bucket. The default is the role's."),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", metavar="REGION", help="The bucket's region. The default is what S3 says.")
]
PrefixOption = Annotated[
    str | None, typer.Option("--prefix", metavar="PREFIX", help="The trail's S3KeyPrefix, before AWSLogs/.")
]
OrganizationIdOption = Annotated[
    str | None,
    typer.Option("--organization-id", metavar="ID", help="The organization's ID, for an organization trail."),
]
AccountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="ID",
        help="Copy this account's logs; repeatable, * for all. The default is the consumer's own.",
    ),
]
RoleOption = Annotated[
    str | None,
    typer.Option("--role", metavar="ARN", help="The role to assume. Without it, the consumer reads the bucket itself."),
]
ExternalIdOption = Annotated[
    str | None,
    typer.Option("--external-id", metavar="ID", help="The external ID, if the source belongs to another company."),
]
DestinationOption = Annotated[
    str | None, typer.Option("--destination", metavar="BUCKET", help="The consumer's own bucket.")
]
DestinationRegionOption = Annotated[
    str | None, typer.Option("--destination-region", metavar="REGION", help="Its region. The default is what S3 says.")
]
DestinationPrefixOption = Annotated[
    str | None, typer.Option("--destination-prefix", metavar="PREFIX", help="A prefix put in front of each key.")
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="An S3-compatible server instead of AWS. With --role, it is the STS server too.",
    ),
]
AllowHttpOption = Annotated[
    bool, typer.Option("--allow-http", help="Allow --endpoint to be http:// beyond this machine.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Write files, one folder per account, instead of printing them."),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Replace files of --output that were edited or are of another configuration.")
]
StateDirOption = Annotated[Path | None, typer.Option("--state-dir", metavar="DIR", help="The folder for the state.")]


@app.command("init")
def show_init(
    *,
    config: ConfigToWriteOption = None,
    directory: DirectoryOption = None,
    name: NameOption = None,
    profile: ProfileOption = None,
    credentials_file: CredentialsFileOption = None,
    consumer_account: ConsumerAccountOption = None,
    bucket: BucketOption = None,
    source_account: SourceAccountOption = None,
    region: RegionOption = None,
    prefix: PrefixOption = None,
    organization_id: OrganizationIdOption = None,
    account: AccountOption = None,
    role: RoleOption = None,
    external_id: ExternalIdOption = None,
    destination: DestinationOption = None,
    destination_region: DestinationRegionOption = None,
    destination_prefix: DestinationPrefixOption = None,
    endpoint: EndpointOption = None,
    allow_http: AllowHttpOption = False,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a first configuration, asking for what it cannot find out. Overwrites nothing."""
    from syncd.cli.setup.init_answers import Answers

    if config is not None and directory is not None:
        raise typer.BadParameter("--config already names the file; leave one of the two out", param_hint="--directory")
    answers = Answers(
        name=name,
        profile=profile,
        consumer_account=consumer_account,
        bucket=bucket,
        source_account=source_account,
        region=region,
        prefix=prefix,
        organization_id=organization_id,
        role=role,
        external_id=external_id,
        destination=destination,
        destination_region=destination_region,
        destination_prefix=destination_prefix,
        endpoint=endpoint,
        allow_http=allow_http,
        credentials_file=None if credentials_file is None else str(credentials_file.absolute()),
        accounts=tuple(account or ()),
    )
    _begin(answers, config if directory is None else directory / "syncd.toml", state_dir, as_json=as_json)


def _begin(answers: "Answers", config: Path | None, state_dir: Path | None, *, as_json: bool) -> None:
    from syncd.cli.setup import first_config, init_answers
    from syncd.config import files

    top = files.find(config, os.environ)
    answers = init_answers.answered(answers) if sys.stdin.isatty() else init_answers.found_out(answers)
    try:
        written = first_config.write(answers, top, state_dir=state_dir)
    except first_config.Refused as refusal:
        for problem in refusal.problems:
            _say(problem)
        sys.exit(USAGE)
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}")
        sys.exit(FAILED)
    if as_json:
        sys.stdout.write(json.dumps(first_config.written_document(written)) + "\n")
    else:
        sys.stdout.write(first_config.written_text(written))


@app.command("check")
def show_check(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
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


JobArgument = Annotated[
    str | None, typer.Argument(metavar="JOB", help="The job.", autocompletion=job_names, show_default=False)
]
PrincipalOption = Annotated[
    str | None,
    typer.Option(
        "--principal", metavar="ARN", help='The consumer\'s user or role, or "account". The default is the caller.'
    ),
]
OnlyAccountOption = Annotated[
    str | None, typer.Option("--account", metavar="ID", help="Only this account's documents.")
]
HintsOption = Annotated[
    bool, typer.Option("--hints", help="The documents of the queues in [hints] instead of the job's own.")
]
FleetOption = Annotated[
    bool, typer.Option("--fleet", help="The document of the leases in [fleet] instead of the job's own.")
]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Only the statement that `prune-source` needs beside, as JSON.")
]
RepairOption = Annotated[
    bool, typer.Option("--repair", help="Only the statement that `verify --repair` needs beside, as JSON.")
]
WorkOption = Annotated[
    bool, typer.Option("--work", help="The queues and roles of spread catch-ups, instead of a job's policies.")
]


@app.command("policies")
def show_policies(
    job: JobArgument = None,
    *,
    style: Annotated[Format, typer.Option("--format", help="The format of the documents.")] = Format.JSON,
    output: OutputOption = None,
    replace: ReplaceOption = False,
    account: OnlyAccountOption = None,
    principal: PrincipalOption = None,
    hints: HintsOption = False,
    fleet: FleetOption = False,
    prune: PruneOption = False,
    repair: RepairOption = False,
    work: WorkOption = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the IAM and bucket policies that both accounts need, and where each one goes."""
    from syncd.aws.policies import files as policy_files
    from syncd.cli.setup import granting
    from syncd.job import refused

    configuration = load(config, strict=strict, touches_state=False)
    if (job is None) != work:
        raise typer.BadParameter("name a job, or say --work, not both", param_hint="JOB")
    if job is None:
        made = granting.work_files(require_queues(configuration, "policies --work"), style)
        document = policy_files.work_document(made, style)
        granting.hand_out(made, document if as_json else None, output, _say, replaces=replace)
        return
    chosen, *others = refused.chosen(configuration, [job])
    if others:
        raise typer.BadParameter(f"{len(others) + 1} jobs match it; name one", param_hint="JOB")
    if principal is not None and (problem := granting.principal_problem(chosen, principal)) is not None:
        raise typer.BadParameter(problem, param_hint="--principal")
    who, has_tags = (granting.named(principal), False) if principal is not None else granting.who_runs(chosen, _say)
    asked = {"prune": prune, "repair": repair, "hints": hints, "fleet": fleet}
    subject = next((name for name, is_asked in asked.items() if is_asked), "")
    if (lacking := granting.subject_problem(configuration.settings, subject, style)) is not None:
        raise typer.BadParameter(lacking, param_hint=f"--{subject}")
    needed = granting.needed(chosen, configuration.settings, who, subject, has_tags=has_tags)
    if account is not None and (unknown := granting.account_problem(needed, account)) is not None:
        raise typer.BadParameter(unknown, param_hint="--account")
    found = [item for item in needed if account in (None, item.account_id)]
    made = policy_files.files(chosen, found, who, style)
    document = policy_files.policies_document(chosen, found, who, style)
    granting.hand_out(made, document if as_json else None, output, _say, replaces=replace)


def _say(sentence: str) -> None:
    """Write to stderr, in order with the document on stdout."""
    sys.stdout.flush()
    sys.stderr.write(safe_indented(sentence) + "\n")
    sys.stderr.flush()
