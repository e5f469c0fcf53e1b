"""The answers that `syncd init` needs: from flags, the terminal, or AWS."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from syncd.aws.identity.lookups import LookupFailed, Lookups
from syncd.aws.identity.plain.session import Session
from syncd.aws.identity.sessions import Identities
from syncd.config.job import Consumer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers so far. None means unknown, or left out if that is allowed."""

    name: str | None = None
    consumer_account: str | None = None
    profile: str | None = None
    credentials_file: str | None = None
    source_account: str | None = None
    bucket: str | None = None
    region: str | None = None
    prefix: str | None = None
    organization_id: str | None = None
    accounts: Sequence[str] = ()
    role: str | None = None
    external_id: str | None = None
    destination: str | None = None
    destination_region: str | None = None
    destination_prefix: str | None = None
    endpoint: str | None = None
    allow_http: bool = False

    def filled(self, **found: Any) -> "Answers":
        """Fill in what was found out, without replacing what was given."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Answers(**{name: own[name] or found.get(name) or own[name] for name in own})


def derived(answers: Answers) -> Answers:
    """Derive answers from others: the source's account from the role, names, regions."""
    role_account = (answers.role or "").split(":")[4:5]
    answers = answers.filled(source_account=role_account[0] if role_account else None)
    # A third party reads the logs of all accounts (scenario 2); others read their own (scenario 1).
    is_for_all = bool(answers.external_id or answers.organization_id)
    own = (answers.consumer_account,) if answers.consumer_account else ()
    return answers.filled(
        name=answers.consumer_account and f"account-{answers.consumer_account}",
        accounts=("*",) if is_for_all else own,
        destination_region=answers.region,
    )


def found_out(answers: Answers) -> Answers:
    """Ask AWS for the consumer's account and the buckets' regions. Leaves out what AWS refuses."""
    answers = derived(answers)
    try:
        return Lookups().run("init", lambda: _found_out(answers))
    except LookupFailed:
        return answers


def _found_out(answers: Answers) -> Answers:
    file = None if answers.credentials_file is None else Path(answers.credentials_file)
    # The account is still unknown, and a session does not need it.
    consumer = Consumer.model_construct(account_id="", profile=answers.profile, credentials_file=file)
    try:
        session = Identities(now=time.time).session(consumer)
    except BotoCoreError:
        return answers
    if answers.consumer_account is None:
        answers = answers.filled(consumer_account=_account(session, answers.endpoint))
    region = answers.bucket and _region(session, answers.bucket, answers.endpoint)
    answers = answers.filled(region=region or (None if answers.region else session.get_config_variable("region")))
    if answers.destination is not None and answers.destination_region is None:
        answers = answers.filled(destination_region=_region(session, answers.destination, answers.endpoint))
    return derived(answers)


def _account(session: Session, endpoint: str | None) -> str | None:
    region = session.get_config_variable("region") or "us-east-1"
    try:
        client: Any = session.create_client("sts", region_name=region, endpoint_url=endpoint)
        try:
            return str(client.get_caller_identity()["Account"])
        finally:
            client.close()
    except (BotoCoreError, ClientError):
        return None


def _region(session: Session, bucket: str, endpoint: str | None) -> str | None:
    """Return the bucket's region, which S3 sends even with a refusal."""
    try:
        client: Any = session.create_client(
            "s3", region_name=session.get_config_variable("region") or "us-east-1", endpoint_url=endpoint
        )
        try:
            headers = client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
        except ClientError as error:
            headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
        finally:
            client.close()
    except BotoCoreError:
        return None
    found = headers.get("x-amz-bucket-region")
    return None if found is None else str(found)
