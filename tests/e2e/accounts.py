"""Accounts on MiniStack as their administrators have them, and a consumer who sets up `syncd` there from nothing.

Every policy is put in place as `syncd policies` printed it; what a test then changes is one thing of it.
"""

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from program import Ran, running

from syncd.aws.policies import documents as policies
from syncd.aws.policies.documents import PolicyDocument, documents
from syncd.check.check import check_jobs
from syncd.check.result import Check, JobChecks
from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.samples import TrailSpec, trail
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_C, REGION, TRAIL_BUCKET, root_client
from syncd.config import files as configfile
from syncd.config.job import Job
from syncd.job.installation import Installation

ROLE = "arn:aws:iam::111111111111:role/Test"
REPLICAS = "example-b-logs"
EXTERNAL_ID = "z-customer-0001"
USER_ARN = f"arn:aws:iam::{ACCOUNT_B}:user/syncd"

Edit = Callable[[dict[str, Any]], None]

_HERE = "{the folder of a test}"
_WRITTEN: dict[bool, dict[str, str]] = {}
"""By whether the consumer is a third party, what `init` wrote, by name below its folder."""


def environment_of(url: str, folder: Path) -> dict[str, str]:
    """Of an operator whose home is the folder, where `url` stands for AWS."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass
class Accounts:
    """A with its trail's bucket, B with a user and a bucket, and a folder of B's operator."""

    url: str
    folder: Path
    is_third_party: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    clock_ahead_seconds: float = 0.0

    @property
    def config(self) -> Path:
        """The configuration that `init` wrote."""
        return self.folder / "etc" / "syncd.toml"

    @property
    def credentials(self) -> Path:
        """B's AWS credentials file."""
        return self.folder / "credentials"

    @property
    def job(self) -> Job:
        """B's job, as its file says."""
        (job,) = configfile.load(self.config, self.environment).jobs
        return job

    def build(self) -> None:
        """The buckets, three hours of logs of B and C, B's user with its key, and the configuration."""
        with root_client(self.url, ACCOUNT_A, "s3") as s3:
            s3.create_bucket(Bucket=TRAIL_BUCKET)
            now = datetime.now(UTC)
            spec = TrailSpec(TRAIL_BUCKET, (ACCOUNT_B, ACCOUNT_C), (REGION,), now - timedelta(days=1))
            for item in trail(spec, now, since=now - timedelta(hours=3)):
                s3.put_object(Bucket=TRAIL_BUCKET, Key=item.key, Body=item.body, Metadata=dict(item.metadata))
        with root_client(self.url, ACCOUNT_B, "s3") as s3:
            s3.create_bucket(Bucket=REPLICAS)
        with root_client(self.url, ACCOUNT_B, "iam") as iam:
            iam.create_user(UserName="syncd")
            key = iam.create_access_key(UserName="syncd")["AccessKey"]
        self.sign_with(key["AccessKeyId"], key["SecretAccessKey"])

    def sign_with(self, access_key_id: str, secret_access_key: str) -> None:
        """The keys in B's credentials file."""
        self.credentials.write_text(
            f"[account-b]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n"
        )

    def init(self, *arguments: str) -> Ran:
        """`syncd init`, as B's operator types it."""
        given = ["--directory", str(self.config.parent), "--credentials-file", str(self.credentials)]
        given += ["--profile", "account-b", "--bucket", TRAIL_BUCKET, "--destination", REPLICAS, "--role", ROLE]
        if self.is_third_party:
            given += ["--external-id", EXTERNAL_ID]
        return self.syncd("init", *given, *arguments)

    def prepared(self) -> None:
        """What `init` writes, which it is asked for once; for tests of what comes after it."""
        written = _WRITTEN.get(self.is_third_party)
        if written is None:
            assert self.init().code == 0
            files = [path for path in self.config.parent.rglob("*") if path.is_file()]
            texts = {str(path.relative_to(self.folder)): path.read_text() for path in files}
            _WRITTEN[self.is_third_party] = {
                name: text.replace(str(self.folder), _HERE) for name, text in texts.items()
            }
            return
        for name, text in written.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(_HERE, str(self.folder)))

    def syncd(self, *arguments: str) -> Ran:
        """The program, where `AWS_ENDPOINT_URL` is what stands for AWS."""
        with running(arguments, folder=self.folder, environment=self.environment) as process:
            return process.ended()

    def edit(self, old: str, new: str) -> None:
        """One thing of the job's file, which must be there."""
        (path,) = self.config.parent.glob("jobs.d/*.toml")
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new, 1))

    def apply(self, found: Sequence[PolicyDocument] | None = None, **edits: Edit | None) -> None:
        """Put documents in place; by its name, with dashes as underscores, one is edited first, or left out (None)."""
        for document in found if found is not None else documents(self.job, USER_ARN):
            name = document.name.replace("-", "_")
            if name in edits and edits[name] is None:
                continue
            body = json.loads(json.dumps(document.body))
            if (edit := edits.get(name)) is not None:
                edit(body)
            self._put(document, json.dumps(body))

    def apply_files(self, directory: Path, told: str) -> None:
        """Put in place what `syncd policies --output` wrote, by the commands that it said."""
        for line in told.splitlines():
            words = shlex.split(line) if line.strip().startswith("aws iam ") else []
            if words:
                path = Path(next(word for word in words if word.startswith("file://")).removeprefix("file://"))
                options = dict(zip(words[3::2], words[4::2], strict=True))
                account_id = path.relative_to(directory).parts[0]
                self._run(account_id, words[2], options, path.read_text())

    def checks(self) -> JobChecks:
        """`syncd check`, in this process."""
        configuration = configfile.load(self.config, self.environment)
        installation = Installation.of(configuration, now=self.now, tell=lambda *_, **__: None)
        (found,) = check_jobs(configuration, configuration.jobs, installation)
        return found

    def now(self) -> float:
        """The clock of the machine that runs `syncd`."""
        return datetime.now(UTC).timestamp() + self.clock_ahead_seconds

    def everything(self) -> Mapping[str, list[str]]:
        """Every object and delete marker of the two buckets."""
        found = {}
        for account_id, bucket in ((ACCOUNT_A, TRAIL_BUCKET), (ACCOUNT_B, REPLICAS)):
            with root_client(self.url, account_id, "s3") as s3:
                answer = s3.list_object_versions(Bucket=bucket)
                items = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
                found[bucket] = sorted(f"{item['Key']} {item['VersionId']}" for item in items)
        return found

    def _put(self, document: PolicyDocument, text: str) -> None:
        if document.kind is policies.Kind.BUCKET:
            with root_client(self.url, document.account_id, "s3") as s3:
                s3.put_bucket_policy(Bucket=document.target.removeprefix("bucket "), Policy=text)
        elif document.command is not None:
            words = shlex.split(document.command)
            self._run(document.account_id, words[2], dict(zip(words[3::2], words[4::2], strict=True)), text)

    def _run(self, account_id: str, verb: str, options: Mapping[str, str], text: str) -> None:
        """One `aws iam` command, as the account's administrator."""
        with root_client(self.url, account_id, "iam") as iam:
            match verb:
                case "create-role":
                    iam.create_role(RoleName=options["--role-name"], AssumeRolePolicyDocument=text)
                case "put-role-policy":
                    iam.put_role_policy(
                        RoleName=options["--role-name"], PolicyName=options["--policy-name"], PolicyDocument=text
                    )
                case "put-user-policy":
                    iam.put_user_policy(
                        UserName=options["--user-name"], PolicyName=options["--policy-name"], PolicyDocument=text
                    )
                case _:
                    raise AssertionError(verb)


def check_of(found: JobChecks, name: str) -> Check:
    """The step of that name."""
    (check,) = [check for check in found.checks if check.name == name]
    return check


@contextlib.contextmanager
def admin(url: str, account_id: str, service: str) -> Iterator[Any]:
    """A client of the account's administrator."""
    assert service in ("s3", "iam")
    with root_client(url, account_id, service) as client:  # type: ignore[call-overload]
        yield client


def root_keys(account_id: str) -> tuple[str, str]:
    """MiniStack's keys of an account's root user."""
    return account_id, ROOT_SECRET
