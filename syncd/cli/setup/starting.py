"""The verbs that write a job: init and onboard."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from syncd.cli.options import JsonOption, earlier_config
from syncd.job.exit_codes import FAILED, USAGE
from syncd.model.escaping import safe_indented

if TYPE_CHECKING:
    from syncd.cli.setup.first_config import Step, Written
    from syncd.cli.setup.init_answers import Answers

app = typer.Typer()

T = TypeVar("T")

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
    """Write a first configuration. On a terminal, asks for each answer and tries it. Overwrites nothing."""
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
    from syncd.cli.setup import first_config, init_answers, next_steps
    from syncd.config import files

    top = files.find(config, os.environ)
    if not _is_asked(answers):
        answers = init_answers.found_out(answers)
        written = or_exit(lambda: first_config.write(answers, top, state_dir=state_dir))
        _show(written, as_json=as_json)
        return
    from syncd.cli.setup.wizard import INIT, Wizard

    require_writable(top)
    written = or_exit(
        lambda: Wizard(answers, INIT, talk).run(lambda whole: first_config.write(whole, top, state_dir=state_dir))
    )
    if as_json:
        _show(written, as_json=True)
        return
    talk(first_config.files_text(written))
    next_steps.offer(_in_files(written.next, top), talk)


def _is_asked(answers: "Answers") -> bool:
    """Return whether to ask. With both buckets given, the rest has defaults."""
    return sys.stdin.isatty() and not (answers.bucket and answers.destination)


def _in_files(steps: Sequence["Step"], top: Path) -> list["Step"]:
    """Return the steps with policies in files, which are too long for a terminal."""
    policies, *others = steps
    folder = top.parent / "policies" / policies.command.split()[2]
    policies = policies._replace(
        command=f"{policies.command} --output {shlex.quote(str(folder))}",
        afterwards="Put them in place as it says, or send them to who may. Then go on.",
    )
    return [policies, *others]


def require_writable(top: Path) -> None:
    """Say before the first question that the answers could not be written."""
    there = next(folder for folder in top.absolute().parents if folder.exists())
    if not os.access(there, os.W_OK):
        say(f"{there} cannot be written by this user: run it as root, or name a folder with --directory")
        sys.exit(FAILED)


def or_exit(write: Callable[[], T]) -> T:
    """Return what it returns, or print why nothing was written, and end."""
    from syncd.cli.setup.first_config import Refused

    try:
        return write()
    except Refused as refusal:
        for problem in refusal.problems:
            say(problem)
        sys.exit(USAGE)
    except OSError as error:
        say(f"{error.filename}: {error.strerror}")
        sys.exit(FAILED)


def _show(written: "Written", *, as_json: bool) -> None:
    from syncd.cli.setup import first_config

    if as_json:
        sys.stdout.write(json.dumps(first_config.written_document(written)) + "\n")
    else:
        sys.stdout.write(first_config.written_text(written))


def talk(text: str) -> None:
    """Write our own lines to stderr."""
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say(sentence: str) -> None:
    """Write a line to stderr, in order with the document on stdout."""
    talk(safe_indented(sentence))
