"""The verb of vendors: onboard."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from syncd.cli.options import PATH, json_option
from syncd.cli.setup.starting import (
    bucket_option,
    config_to_write_option,
    consumer_account_option,
    credentials_file_option,
    destination_option,
    destination_prefix_option,
    destination_region_option,
    or_exit,
    organization_id_option,
    profile_option,
    require_writable,
    say,
    talk,
)
from syncd.cli.setup.verbs import principal_option
from syncd.cli.terminal.help import examples

if TYPE_CHECKING:
    from syncd.cli.setup.init_answers import Answers
    from syncd.cli.setup.onboarding import Onboarded

# Where a flag of `init` has another name here.
_FLAGS = {"--source-account": "--account", "--prefix": "--trail-prefix", "--role": "--role-name", "--name": "CUSTOMER"}


class Launched(NamedTuple):
    """The options on the stack that the customer launches."""

    role_name: str | None
    principal: str | None
    output: Path | None
    template_url: str | None


@click.command(
    "onboard",
    epilog=examples(
        "syncd onboard acme",
        "syncd onboard acme --account 111111111111 --bucket acme-trail \\\n"
        "      --region eu-west-1 --destination example-z-logs",
    ),
)
@click.argument("customer", metavar="CUSTOMER", help="The customer, which becomes the job's name.")
@click.option("--account", metavar="ID", help="The customer's account, which owns the bucket.")
@bucket_option
@click.option("--region", metavar="REGION", help="The bucket's region.")
@click.option("--trail-prefix", metavar="PREFIX", help="The trail's S3KeyPrefix, before AWSLogs/.")
@organization_id_option
@click.option("--role-name", metavar="NAME", help="The role to create. The default is syncd-CUSTOMER.")
@profile_option
@credentials_file_option
@consumer_account_option
@destination_option
@destination_region_option
@destination_prefix_option
@principal_option
@click.option(
    "--output",
    metavar="FILE",
    type=PATH,
    help="The CloudFormation file. The default is onboarding/CUSTOMER.template.json beside syncd.toml.",
)
@click.option(
    "--template-url", metavar="URL", help="Where the customer finds the file in S3, for a link that launches the stack."
)
@config_to_write_option
@json_option
def show_onboard(
    customer: str,
    *,
    account: str | None,
    bucket: str | None,
    region: str | None,
    trail_prefix: str | None,
    organization_id: str | None,
    role_name: str | None,
    profile: str | None,
    credentials_file: Path | None,
    consumer_account: str | None,
    destination: str | None,
    destination_region: str | None,
    destination_prefix: str | None,
    principal: str | None,
    output: Path | None,
    template_url: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Write the job of a vendor's new customer, and a CloudFormation file for the customer to launch.

    The stack is one role with a new external ID. Overwrites nothing.
    """
    from syncd.cli.setup.init_answers import Answers

    given = Answers(
        name=customer,
        source_account=account,
        bucket=bucket,
        region=region,
        prefix=trail_prefix,
        organization_id=organization_id,
        accounts=("*",),
        profile=profile,
        credentials_file=None if credentials_file is None else str(credentials_file.absolute()),
        consumer_account=consumer_account,
        destination=destination,
        destination_region=destination_region,
        destination_prefix=destination_prefix,
    )
    launched = Launched(role_name, principal, output, template_url)
    _onboard(given, launched, config, as_json=as_json)


def _onboard(given: "Answers", launched: Launched, config: Path | None, *, as_json: bool) -> None:
    from syncd.cli.setup import first_config, init_answers, onboarding
    from syncd.cli.setup.wizard import ONBOARD, Wizard
    from syncd.config import files

    top = files.find(config, os.environ)
    given = onboarding.with_defaults(given, top)
    role = onboarding.NewRole.of(launched.role_name)

    def write(answers: init_answers.Answers) -> onboarding.Onboarded:
        try:
            return onboarding.onboard(
                answers,
                top,
                template=launched.output,
                template_url=launched.template_url,
                principal=launched.principal,
                say=say,
            )
        except first_config.Refused as refusal:
            raise first_config.Refused([_by_our_flag(problem) for problem in refusal.problems]) from None

    if sys.stdin.isatty() and not (given.source_account and given.bucket and given.destination):
        require_writable(top)
        done = or_exit(lambda: Wizard(given, ONBOARD, talk, role.added).run(write))
    else:
        done = or_exit(lambda: write(role.added(init_answers.found_out(given))))
    if as_json:
        sys.stdout.write(json.dumps(onboarding.document(done)) + "\n")
        return
    sys.stdout.write(_text(done))


def _text(done: "Onboarded") -> str:
    """Return the files, the letter, and the next steps."""
    from syncd.cli.setup import first_config

    wrote, _, commands = first_config.written_text(done.written).partition("\nNext:")
    letter = "".join(f"  {line}\n" for line in done.letter.splitlines())
    return (
        f"{wrote}\nSend {done.template.name} to {done.job.name}, with these words:\n\n{letter}"
        f"\nWhen the stack is there:{commands}"
    )


def _by_our_flag(problem: str) -> str:
    flag, colon, rest = problem.partition(":")
    return f"{_FLAGS.get(flag, flag)}{colon}{rest}"
