"""Tries of single answers of `syncd init`: each asks AWS about one thing and changes nothing."""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound
from botocore.session import Session

from syncd.aws.identity.lookups import LookupFailed, Lookups
from syncd.aws.identity.plain import session as identity
from syncd.aws.identity.sessions import Identities
from syncd.cli.setup.init_answers import Answers
from syncd.config.job import Consumer

_QUICKLY = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
_FOLDERS_TOLD = 5


class Tried(NamedTuple):
    """The result of a try."""

    is_well: bool | None
    """None if it could not be tried."""
    said: str
    """A sentence on what was seen, or on what is wrong and what to do. Empty if there is nothing to say."""
    found: Mapping[str, str | None] = {}
    """Answers that this one gave away."""
    command: str = ""
    """The command that mends it."""


class Trials:
    """The tries, with the sessions that they share."""

    def __init__(self) -> None:
        self._identities = Identities(now=time.time)
        self._lookups = Lookups()
        self._is_signed_out = False

    def of(self, answer: str, answers: Answers) -> Tried | None:
        """Try the answer just given. Returns None if there is nothing to try about it."""
        tries: dict[str, Callable[[Answers], Tried]] = {
            "profile": self._profile,
            "bucket": self._bucket,
            "external_id": self._role,
            "prefix": self._deliveries,
            "organization_id": self._deliveries,
            "destination": self._destination,
        }
        if answer not in tries or (answer == "organization_id" and answers.organization_id is None):
            return None
        if answer == "profile":
            self._is_signed_out = False
        elif self._is_signed_out:
            return Tried(None, "not tried, since nobody is signed in")
        try:
            return self._lookups.run(answer, lambda: tries[answer](answers))
        except LookupFailed as failed:
            return Tried(False, f"{failed.detail}; {failed.remedy}" if failed.remedy else failed.detail)

    def profiles(self, answers: Answers) -> list[str]:
        """Return the names of the profiles on this machine."""
        session = Session()
        if answers.credentials_file is not None:
            session.set_config_variable("credentials_file", answers.credentials_file)
        try:
            return list(session.available_profiles)
        except (BotoCoreError, OSError):
            return []

    def _session(self, answers: Answers) -> identity.Session:
        file = None if answers.credentials_file is None else Path(answers.credentials_file)
        # The account is still unknown, and a session does not need it.
        consumer = Consumer.model_construct(account_id="", profile=answers.profile, credentials_file=file)
        return self._identities.session(consumer)

    @contextmanager
    def _client(self, service: str, answers: Answers, **more: Any) -> Iterator[Any]:
        session = self._session(answers)
        region = answers.region or session.get_config_variable("region") or "us-east-1"
        made: Any = session.create_client(
            service, **{"region_name": region, "endpoint_url": answers.endpoint, "config": _QUICKLY, **more}
        )
        try:
            yield made
        finally:
            made.close()

    def _profile(self, answers: Answers) -> Tried:
        try:
            with self._client("sts", answers) as sts:
                caller = sts.get_caller_identity()
        except ProfileNotFound:
            there = self.profiles(answers)
            return Tried(False, f"there is no such profile; there are: {', '.join(there) or 'none'}")
        except (BotoCoreError, ClientError) as error:
            self._is_signed_out = True
            return Tried(False, f"it cannot sign in: {_said(error)}")
        if str(caller["Arn"]).endswith(":root"):
            return Tried(False, "these are the keys of a root user, which may not assume roles; use a user or a role")
        return Tried(True, f"you are {caller['Arn']}", {"consumer_account": str(caller["Account"])})

    def _bucket(self, answers: Answers) -> Tried:
        bucket = answers.bucket or ""
        status, region, error = self._head(answers, bucket)
        if status == 404:
            return Tried(False, "S3 knows no bucket of this name; ask its owner which one the trail delivers to")
        if not status:
            return Tried(False, f"S3 cannot be asked: {error}")
        where = f" in {region}" if region else ""
        seen = "and these credentials can read it" if status == 200 else "and these credentials alone cannot read it"
        return Tried(True, f"it is there{where}, {seen}", {"region": region})

    def _destination(self, answers: Answers) -> Tried:
        bucket = answers.destination or ""
        status, region, error = self._head(answers, bucket, owner=answers.consumer_account)
        if status == 404:
            return Tried(False, "S3 knows no bucket of this name; to create it:", command=_creation(bucket, answers))
        if not status:
            return Tried(False, f"S3 cannot be asked: {error}")
        found = {"destination_region": region}
        if status == 403 and answers.consumer_account and self._head(answers, bucket)[0] == 200:
            return Tried(False, f"account {answers.consumer_account} does not own it; name a bucket of your own", found)
        where = f"it is there{f' in {region}' if region else ''}"
        # The policies that `syncd policies` prints do not grant HeadBucket.
        seen = ", and yours" if status == 200 else "; `syncd check` tries later whether you may write to it"
        return Tried(True, f"{where}{seen}", found)

    def _head(self, answers: Answers, bucket: str, owner: str | None = None) -> tuple[int, str | None, str]:
        """Return the status of HeadBucket, the bucket's region if S3 says it, and the error if there is no status."""
        more = {"ExpectedBucketOwner": owner} if owner and not answers.endpoint else {}
        try:
            with self._client("s3", answers) as s3:
                answer = s3.head_bucket(Bucket=bucket, **more)["ResponseMetadata"]
        except ClientError as error:
            answer = error.response["ResponseMetadata"]
        except BotoCoreError as error:
            return 0, None, _said(error)
        region = answer.get("HTTPHeaders", {}).get("x-amz-bucket-region")
        # A bucket elsewhere answers 301, with its region.
        return int(answer["HTTPStatusCode"]), region and str(region), ""

    def _role(self, answers: Answers) -> Tried:
        try:
            self._assumed(answers)
        except (BotoCoreError, ClientError) as error:
            given = "with this external ID" if answers.external_id else "without an external ID"
            return Tried(
                False,
                f"the role cannot be assumed {given}: {_said(error)}; if its policies are not in place yet, keep the answer",
            )
        return Tried(True, "the role can be assumed")

    def _assumed(self, answers: Answers) -> dict[str, str]:
        external = {"ExternalId": answers.external_id} if answers.external_id else {}
        name = f"syncd-{answers.name or 'init'}"[:64]
        with self._client("sts", answers) as sts:
            made = sts.assume_role(RoleArn=answers.role, RoleSessionName=name, **external)["Credentials"]
        return {
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
            "aws_session_token": made["SessionToken"],
        }

    def _deliveries(self, answers: Answers) -> Tried:
        """Look below AWSLogs/ for the folders of accounts, or of an organization."""
        prefix = answers.prefix or ""
        prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        place = f"{prefix}AWSLogs/" + (f"{answers.organization_id}/" if answers.organization_id else "")
        try:
            signed = self._assumed(answers) if answers.role else {}
        except (BotoCoreError, ClientError):
            return Tried(None, "not tried, since the role cannot be assumed yet")
        try:
            with self._client("s3", answers, **signed) as s3:
                found = _folders(s3, answers.bucket or "", place)
                others = [] if found else _folders(s3, answers.bucket or "", "")
        except (BotoCoreError, ClientError) as error:
            return Tried(False, f"{place} cannot be listed: {_said(error)}; `syncd check` tries it again")
        if not found:
            there = f"; the bucket begins with {_listed(others)}" if others else ""
            return Tried(False, f"nothing is below {place}{there}; if the trail is new, keep the answer")
        names = [folder.removeprefix(place).strip("/") for folder in found]
        organizations = [name for name in names if name.startswith("o-")]
        if organizations and not answers.organization_id:
            of_trail = f"{place} holds the logs of an organization: {_listed(organizations)}"
            return Tried(True, of_trail, {"organization_id": organizations[0]} if len(organizations) == 1 else {})
        return Tried(True, f"{place} holds the logs of {_listed(names)}")


def _folders(s3: Any, bucket: str, prefix: str) -> list[str]:
    answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/", MaxKeys=100)
    return [str(item["Prefix"]) for item in answer.get("CommonPrefixes", ())]


def _listed(names: list[str]) -> str:
    more = len(names) - _FOLDERS_TOLD
    return ", ".join(names[:_FOLDERS_TOLD]) + (f" and {more} more" if more > 0 else "")


def _creation(bucket: str, answers: Answers) -> str:
    """Return the command that creates the bucket."""
    region = answers.region or "us-east-1"
    where = "" if region == "us-east-1" else f" --create-bucket-configuration LocationConstraint={region}"
    profile = f" --profile {shlex.quote(answers.profile)}" if answers.profile else ""
    return f"aws s3api create-bucket --bucket {bucket} --region {region}{where}{profile}"


def _said(error: BotoCoreError | ClientError) -> str:
    """Return what AWS said, without the name of the call."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        return f"{told.get('Code', 'an error')}: {told.get('Message', '')}".rstrip(": ").rstrip(".")
    return str(error).rstrip(".")
