"""`syncd init`: a first configuration, from a few answers; nothing that is there already is touched."""

import os
import shlex
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from syncd.aws.identity.sessions import Identities
from syncd.cli.first_config_text import job_text, top_text
from syncd.config.files import DEFAULT_PATH, find, load
from syncd.config.job import JOB, Consumer, completed
from syncd.config.problems import examine
from syncd.ledger.locks import exposure
from syncd.model.errors import ConfigError
from syncd.model.escaping import visible

# Which flag an answer that cannot be used came from, by the key of the job that it became.
_FLAGS = {
    "name": "--name",
    "consumer.account_id": "--consumer-account",
    "consumer.profile": "--profile",
    "consumer.credentials_file": "--credentials-file",
    "source.account_id": "--source-account",
    "source.bucket": "--bucket",
    "source.region": "--region",
    "source.prefix": "--prefix",
    "source.organization_id": "--organization-id",
    "source.accounts": "--account",
    "source.role.arn": "--role",
    "source.role.external_id": "--external-id",
    "destination.bucket": "--destination",
    "destination.region": "--destination-region",
    "destination.prefix": "--destination-prefix",
    "endpoints.s3": "--endpoint",
    "endpoints.sts": "--endpoint",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was given, asked or found out; None is still to be known, or left out where that is allowed."""

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
        """With what was found out where nothing was given."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Answers(**{name: own[name] or found.get(name) or own[name] for name in own})


@dataclass(frozen=True, slots=True)
class Written:
    """What `init` did, and what comes next."""

    wrote: Sequence[Path]
    kept: Sequence[Path]
    next: Sequence[tuple[str, str]]
    """What for, and the command."""


class Refused(Exception):
    """Nothing was written; `problems` say why, each with its flag."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def derived(answers: Answers) -> Answers:
    """What follows from other answers: the source's account from the role, names and regions from what is known."""
    role_account = (answers.role or "").split(":")[4:5]
    answers = answers.filled(source_account=role_account[0] if role_account else None)
    # A third party reads the logs of all accounts (scenario 2), others their own (scenario 1).
    is_for_all = bool(answers.external_id or answers.organization_id)
    own = (answers.consumer_account,) if answers.consumer_account else ()
    return answers.filled(
        name=answers.consumer_account and f"account-{answers.consumer_account}",
        accounts=("*",) if is_for_all else own,
        destination_region=answers.region,
    )


def found_out(answers: Answers) -> Answers:
    """With what AWS tells of it: whose the credentials are, and where the buckets lie. Nothing where it tells nothing."""
    answers = derived(answers)
    file = None if answers.credentials_file is None else Path(answers.credentials_file)
    # Which account it is shall be found out; until then any will do.
    consumer = Consumer.model_construct(account_id="", profile=answers.profile, credentials_file=file)
    try:
        session = Identities(now=time.time).session(consumer)
    except BotoCoreError:
        return answers
    if answers.consumer_account is None:
        answers = answers.filled(consumer_account=_account(session, answers.endpoint))
    region = answers.bucket and _region(session, answers.bucket, answers.endpoint)
    answers = answers.filled(region=region or (None if answers.region else session.region_name))
    if answers.destination is not None and answers.destination_region is None:
        answers = answers.filled(destination_region=_region(session, answers.destination, answers.endpoint))
    return derived(answers)


def _account(session: boto3.Session, endpoint: str | None) -> str | None:
    region = session.region_name or "us-east-1"
    try:
        client = session.client("sts", region_name=region, endpoint_url=endpoint)
        try:
            return str(client.get_caller_identity()["Account"])
        finally:
            client.close()
    except (BotoCoreError, ClientError):
        return None


def _region(session: boto3.Session, bucket: str, endpoint: str | None) -> str | None:
    """S3 names a bucket's region even in a refusal."""
    try:
        client = session.client("s3", region_name=session.region_name or "us-east-1", endpoint_url=endpoint)
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


def write(answers: Answers, top: Path, *, state_dir: Path | None = None) -> Written:
    """Write `top`, the syncd.toml, where there is none, and the job's file in jobs.d beside it.

    Raises:
        Refused: an answer cannot be used, the job's file is there already, or with it the whole configuration cannot
            be used; nothing was written.
        OSError: a file cannot be written.
    """
    raw = job_table(answers)
    findings = examine(JOB, completed(raw))[1]
    if findings:
        raise Refused(list(dict.fromkeys(f"{_FLAGS.get(key, key)}: {message}" for key, message in findings)))
    job = top.parent / "jobs.d" / f"{raw['name']}.toml"
    if job.exists():
        raise Refused([f"--name: {job} is there already, and is left as it is; give the new job another name"])
    there = next(folder for folder in job.absolute().parents if folder.exists())
    if (why := exposure(there)) is not None:
        raise Refused([f"{why}; whoever writes a job file decides what syncd does: name a folder that is yours alone"])
    wrote: list[Path] = []
    before = _refused_files(top)
    with _undone_on_error(job, wrote):
        job.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _write_new(top, top_text(state_dir or _state_dir(top.parent)))
            wrote.append(top)
        _write_new(job, job_text(raw))
        wrote.append(job)
        _require_whole(top, job, before)
    kept = [] if top in wrote else [top]
    option = "" if top == find(None, os.environ) else f" --config {shlex.quote(str(top))}"
    name = raw["name"]
    steps = [
        ("print what both accounts must allow", f"syncd policies {name}{option}"),
        ("see whether they do", f"syncd check {name}{option}"),
        ("copy for the first time", f"syncd tick {name}{option}"),
        ("and from then on", f"syncd run{option}"),
    ]
    return Written(wrote, kept, steps)


@contextmanager
def _undone_on_error(job: Path, wrote: Sequence[Path]) -> Iterator[None]:
    """Removes what was written, and the folders that were made for it, where it does not come to an end."""
    made = [folder for folder in job.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for file in reversed(wrote):
            file.unlink()
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _refused_files(top: Path) -> set[str]:
    """The files that cannot be used already."""
    try:
        return {str(refusal.file) for refusal in load(top).refused}
    except ConfigError as error:
        return {problem.file for problem in error.problems}


def _require_whole(top: Path, job: Path, before: Collection[str]) -> None:
    """The files as every verb will read them: what is between one job and another shows only there."""
    why = f"{job} is not written, since with it the configuration cannot be used"
    try:
        found = load(top)
    except ConfigError as error:
        raise Refused([why, *map(str, error.problems)]) from None
    for refusal in found.refused:
        if str(refusal.file) not in before:
            raise Refused([why, *map(str, refusal.problems)])
    if not any(file.samefile(job) for file in found.files):
        raise Refused([f'{top}: jobs: no pattern matches {job}, which is not written; add "jobs.d/*.toml" to them'])


def written_document(written: Written) -> dict[str, Any]:
    """The JSON of `init`."""
    return {
        "wrote": [str(path) for path in written.wrote],
        "kept": [str(path) for path in written.kept],
        "next": [command for _, command in written.next],
    }


def written_text(written: Written) -> str:
    """What was done, and what to do next."""
    lines = [f"wrote {path}" for path in written.wrote]
    lines += [f"kept  {path}, which was there already" for path in written.kept]
    width = max(len(why) for why, _ in written.next)
    lines += ["", "Next:", *(f"  {why:<{width}}    {command}" for why, command in written.next)]
    return "\n".join(map(visible, lines)) + "\n"


def job_table(answers: Answers) -> dict[str, Any]:
    """The job as a table of its file."""
    accounts: Any = "*" if "*" in answers.accounts else list(answers.accounts)
    role = {"arn": answers.role, "external_id": answers.external_id, "third_party": bool(answers.external_id) or None}
    table: dict[str, Any] = {
        "name": answers.name,
        "consumer": {
            "account_id": answers.consumer_account,
            "profile": answers.profile,
            "credentials_file": answers.credentials_file,
        },
        "source": {
            "account_id": answers.source_account,
            "bucket": answers.bucket,
            "region": answers.region,
            "prefix": answers.prefix,
            "organization_id": answers.organization_id,
            "accounts": accounts or None,
            "role": _given(role) if answers.role else None,
        },
        "destination": {
            "bucket": answers.destination,
            "region": answers.destination_region,
            "prefix": answers.destination_prefix,
        },
        "endpoints": {
            "s3": answers.endpoint,
            "sts": answers.endpoint if answers.role else None,
            "allow_http": answers.allow_http or None,
        }
        if answers.endpoint
        else None,
    }
    return {name: _given(item) if isinstance(item, Mapping) else item for name, item in _given(table).items()}


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value is not None}


def _state_dir(directory: Path) -> Path:
    return Path("/var/lib/syncd") if directory == DEFAULT_PATH.parent else directory.absolute() / "state"


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
