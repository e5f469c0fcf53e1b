"""The verbs that write a job: init and onboard."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from syncd.cli.options import PATH, earlier_config, json_option
from syncd.cli.terminal.help import examples
from syncd.job.exit_codes import FAILED, USAGE
from syncd.model.escaping import safe_indented

if TYPE_CHECKING:
    from syncd.cli.setup.first_config import Step, Written
    from syncd.cli.setup.init_answers import Answers

T = TypeVar("T")

config_to_write_option = click.option(
    "--config",
    metavar="PATH",
    type=PATH,
    callback=earlier_config,
    help="The configuration file to write, or to add a job to (in jobs.d beside it). The default is $SYNCD_CONFIG,"
    " then /etc/syncd/syncd.toml.",
)
profile_option = click.option("--profile", metavar="NAME", help="The consumer's AWS profile.")
credentials_file_option = click.option(
    "--credentials-file", metavar="PATH", type=PATH, help="The consumer's AWS credentials file."
)
consumer_account_option = click.option(
    "--consumer-account", metavar="ID", help="The consumer's account. The default is what AWS says."
)
bucket_option = click.option("--bucket", metavar="BUCKET", help="The bucket that CloudTrail delivers to.")
organization_id_option = click.option(
    "--organization-id", metavar="ID", help="The organization's ID, for an organization trail."
)
destination_option = click.option("--destination", metavar="BUCKET", help="The consumer's own bucket.")
destination_region_option = click.option(
    "--destination-region", metavar="REGION", help="Its region. The default is what S3 says."
)
destination_prefix_option = click.option(
    "--destination-prefix", metavar="PREFIX", help="A prefix put in front of each key."
)


@click.command(
    "init",
    epilog=examples(
        "syncd init",
        "syncd init --config ./syncd.toml --profile b --bucket example-trail \\\n      --destination example-b-logs",
    ),
)
@config_to_write_option
@click.option("--directory", metavar="DIR", type=PATH, help="The folder for syncd.toml, instead of --config.")
@click.option("--name", metavar="NAME", help="The job's name. The default is account-ID.")
@profile_option
@credentials_file_option
@consumer_account_option
@bucket_option
@click.option("--source-account", metavar="ID", help="The account that owns the bucket. The default is the role's.")
@click.option("--region", metavar="REGION", help="The bucket's region. The default is what S3 says.")
@click.option("--prefix", metavar="PREFIX", help="The trail's S3KeyPrefix, before AWSLogs/.")
@organization_id_option
@click.option(
    "--account",
    metavar="ID",
    multiple=True,
    help="Copy this account's logs; repeatable, * for all. The default is the consumer's own.",
)
@click.option("--role", metavar="ARN", help="The role to assume. Without it, the consumer reads the bucket itself.")
@click.option("--external-id", metavar="ID", help="The external ID, if the source belongs to another company.")
@destination_option
@destination_region_option
@destination_prefix_option
@click.option(
    "--endpoint", metavar="URL", help="An S3-compatible server instead of AWS. With --role, it is the STS server too."
)
@click.option("--allow-http", is_flag=True, help="Allow --endpoint to be http:// beyond this machine.")
@click.option("--state-dir", metavar="DIR", type=PATH, help="The folder for the state.")
@json_option
def show_init(
    *,
    config: Path | None,
    directory: Path | None,
    name: str | None,
    profile: str | None,
    credentials_file: Path | None,
    consumer_account: str | None,
    bucket: str | None,
    source_account: str | None,
    region: str | None,
    prefix: str | None,
    organization_id: str | None,
    account: Sequence[str],
    role: str | None,
    external_id: str | None,
    destination: str | None,
    destination_region: str | None,
    destination_prefix: str | None,
    endpoint: str | None,
    allow_http: bool,
    state_dir: Path | None,
    as_json: bool,
) -> None:
    """Write a first configuration. On a terminal, asks for each answer and tries it. Overwrites nothing."""
    from syncd.cli.setup.init_answers import Answers

    if config is not None and directory is not None:
        raise click.BadParameter("--config already names the file; leave one of the two out", param_hint="--directory")
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
        accounts=tuple(account),
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
