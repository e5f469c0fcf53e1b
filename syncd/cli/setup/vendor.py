"""The verb of vendors: onboard."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from syncd.cli.options import JsonOption
from syncd.cli.setup.starting import (
    BucketOption,
    ConfigToWriteOption,
    ConsumerAccountOption,
    CredentialsFileOption,
    DestinationOption,
    DestinationPrefixOption,
    DestinationRegionOption,
    OrganizationIdOption,
    ProfileOption,
    or_exit,
    require_writable,
    say,
    talk,
)
from syncd.cli.setup.verbs import PrincipalOption

if TYPE_CHECKING:
    from syncd.cli.setup.init_answers import Answers
    from syncd.cli.setup.onboarding import Onboarded

app = typer.Typer()

# Where a flag of `init` has another name here.
_FLAGS = {"--source-account": "--account", "--prefix": "--trail-prefix", "--role": "--role-name", "--name": "CUSTOMER"}

CustomerArgument = Annotated[
    str, typer.Argument(metavar="CUSTOMER", help="The customer, which becomes the job's name.", show_default=False)
]
CustomerAccountOption = Annotated[
    str | None,
    typer.Option("--account", metavar="ID", help="The customer's account, which owns the bucket."),
]
CustomerRegionOption = Annotated[str | None, typer.Option("--region", metavar="REGION", help="The bucket's region.")]
TrailPrefixOption = Annotated[
    str | None,
    typer.Option("--trail-prefix", metavar="PREFIX", help="The trail's S3KeyPrefix, before AWSLogs/."),
]
RoleNameOption = Annotated[
    str | None,
    typer.Option("--role-name", metavar="NAME", help="The role to create. The default is syncd-CUSTOMER."),
]
TemplateOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="The CloudFormation file. The default is onboarding/CUSTOMER.template.json beside syncd.toml.",
    ),
]
TemplateUrlOption = Annotated[
    str | None,
    typer.Option(
        "--template-url",
        metavar="URL",
        help="Where the customer finds the file in S3, for a link that launches the stack.",
    ),
]


class Launched(NamedTuple):
    """The options on the stack that the customer launches."""

    role_name: str | None
    principal: str | None
    output: Path | None
    template_url: str | None


@app.command("onboard")
def show_onboard(
    customer: CustomerArgument,
    *,
    account: CustomerAccountOption = None,
    bucket: BucketOption = None,
    region: CustomerRegionOption = None,
    trail_prefix: TrailPrefixOption = None,
    organization_id: OrganizationIdOption = None,
    role_name: RoleNameOption = None,
    profile: ProfileOption = None,
    credentials_file: CredentialsFileOption = None,
    consumer_account: ConsumerAccountOption = None,
    destination: DestinationOption = None,
    destination_region: DestinationRegionOption = None,
    destination_prefix: DestinationPrefixOption = None,
    principal: PrincipalOption = None,
    output: TemplateOption = None,
    template_url: TemplateUrlOption = None,
    config: ConfigToWriteOption = None,
    as_json: JsonOption = False,
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
