"""The verbs of the first hour: what both accounts must allow, and whether they do."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from syncd.aws.policies import documents, pruning
from syncd.aws.policies import files as policy_files
from syncd.check import result
from syncd.cli import first_config, granting, questions
from syncd.cli.options import ConfigOption, JobsArgument, JsonOption, StrictOption, job_names, load
from syncd.config import files
from syncd.daemon import logs
from syncd.job import session
from syncd.job.installation import Installation
from syncd.job.report import FAILED, USAGE
from syncd.model.escaping import safe_indented

app = typer.Typer()

ConfigToWriteOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The configuration file to write, or to add a job to, in jobs.d beside it; else $SYNCD_CONFIG, else"
        " /etc/syncd/syncd.toml.",
    ),
]
DirectoryOption = Annotated[
    Path | None, typer.Option("--directory", metavar="DIR", help="The folder of its syncd.toml, instead of --config.")
]
NameOption = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The job's name; else account-ID.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The consumer's AWS profile.")]
CredentialsFileOption = Annotated[
    Path | None, typer.Option("--credentials-file", metavar="PATH", help="The consumer's AWS credentials file.")
]
ConsumerAccountOption = Annotated[
    str | None, typer.Option("--consumer-account", metavar="ID", help="The consumer's account; else asked of AWS.")
]
BucketOption = Annotated[
    str | None, typer.Option("--bucket", metavar="BUCKET", help="The bucket that CloudTrail delivers to.")
]
SourceAccountOption = Annotated[
    str | None, typer.Option("--source-account", metavar="ID", help="The account that owns it; else the role's.")
]
RegionOption = Annotated[str | None, typer.Option("--region", metavar="REGION", help="Its region; else asked of S3.")]
PrefixOption = Annotated[
    str | None, typer.Option("--prefix", metavar="PREFIX", help="The trail's S3KeyPrefix, before AWSLogs/.")
]
OrganizationIdOption = Annotated[
    str | None, typer.Option("--organization-id", metavar="ID", help="The organization, of an organization's trail.")
]
AccountOption = Annotated[
    list[str] | None,
    typer.Option("--account", metavar="ID", help="Whose logs; repeatable, * for all; else the consumer's own."),
]
RoleOption = Annotated[
    str | None, typer.Option("--role", metavar="ARN", help="The role to assume; left out: read without one.")
]
ExternalIdOption = Annotated[
    str | None,
    typer.Option("--external-id", metavar="ID", help="The external ID, where the source is another party's."),
]
DestinationOption = Annotated[
    str | None, typer.Option("--destination", metavar="BUCKET", help="The consumer's own bucket.")
]
DestinationRegionOption = Annotated[
    str | None, typer.Option("--destination-region", metavar="REGION", help="Its region; else asked of S3.")
]
DestinationPrefixOption = Annotated[
    str | None, typer.Option("--destination-prefix", metavar="PREFIX", help="Put in front of each key.")
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="URL", help="An S3-compatible server instead of AWS; where a role is given, its STS too."
    ),
]
AllowHttpOption = Annotated[bool, typer.Option("--allow-http", help="Let --endpoint be http:// beyond this machine.")]
StateDirOption = Annotated[Path | None, typer.Option("--state-dir", metavar="DIR", help="Where the state goes.")]


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
    """Writes a first configuration, asking what it cannot find out, and says what to do next; overwrites nothing."""
    if config is not None and directory is not None:
        raise typer.BadParameter("--config names the file already; leave one of the two out", param_hint="--directory")
    answers = first_config.Answers(
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
    top = files.find(config, os.environ) if directory is None else directory / "syncd.toml"
    _begin(answers, top, state_dir, as_json=as_json)


def _begin(answers: first_config.Answers, top: Path, state_dir: Path | None, *, as_json: bool) -> None:
    answers = questions.answered(answers) if sys.stdin.isatty() else first_config.found_out(answers)
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
    """Tries each permission for real and changes nothing; says the remedy where one fails. Exit code 4 then."""
    from syncd.check import check
    from syncd.cli import check_screen

    configuration = load(config, strict=strict)
    installation = Installation.of(configuration, now=time.time, tell=logs.teller())
    found = check.check_jobs(configuration, session.chosen(configuration, jobs), installation)
    found += result.refused_checks(session.refused(configuration, jobs))
    if as_json:
        sys.stdout.write(json.dumps(result.checks_document(found)) + "\n")
    else:
        check_screen.show_checks(found)
    sys.exit(result.exit_code(found))


@app.command("policies")
def show_policies(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job.", autocompletion=job_names)],
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
        typer.Option(
            "--principal", metavar="ARN", help='The consumer\'s user or role, or "account"; else whoever runs this.'
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Only the statement that `prune-source` needs beside, as JSON.")
    ] = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """The IAM and bucket policies that both accounts need, each with where it goes and why."""
    (chosen,) = session.chosen(load(config, strict=strict, touches_state=False), [job])
    if principal is not None and (problem := granting.principal_problem(chosen, principal)) is not None:
        raise typer.BadParameter(problem, param_hint="--principal")
    who = granting.named(principal) if principal is not None else granting.who_runs(chosen, _say)
    if prune and style is not policy_files.Format.JSON:
        raise typer.BadParameter("the statement of --prune is JSON", param_hint="--format")
    needed = pruning.prune_documents(chosen, who) if prune else documents.documents(chosen, who)
    found = [item for item in needed if account in (None, item.account_id)]
    if as_json:
        document = policy_files.policies_document(chosen, found, who, style)
        sys.stdout.write(json.dumps(document) + "\n")
    made = policy_files.files(chosen, found, who, style)
    if output is not None:
        granting.write(made, output, _say)
    elif not as_json:
        granting.show(made, _say, sys.stdout.write)


def _say(sentence: str) -> None:
    """For people, beside the document on stdout and in its order."""
    sys.stdout.flush()
    sys.stderr.write(safe_indented(sentence) + "\n")
    sys.stderr.flush()
