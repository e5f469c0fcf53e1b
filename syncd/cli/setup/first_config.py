"""The files that `syncd init` writes: syncd.toml and a job. Existing files are never changed."""

import json
import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from syncd.cli.setup.init_answers import Answers
from syncd.config.files import DEFAULT_PATH, find, load
from syncd.config.job import JOB, completed
from syncd.config.problems import examine
from syncd.ledger.folder.locks import exposure
from syncd.model.errors import ConfigError
from syncd.model.escaping import visible

FLAGS = {
    # The flag to name in a problem, by the key of the job.
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


class Step(NamedTuple):
    """One of the next steps."""

    purpose: str
    command: str
    afterwards: str = ""
    """The sentence to say once it is done."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of `init`, and the next steps."""

    wrote: Sequence[Path]
    kept: Sequence[Path]
    next: Sequence[Step]


class Refused(Exception):
    """A refusal to write anything. Each of its `problems` names a flag or a file."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def write(answers: Answers, top: Path, *, state_dir: Path | None = None) -> Written:
    """Write the job's file, and syncd.toml as `top` if there is none.

    Raises:
        Refused: an answer is invalid, the job's file exists already, or the configuration would not load with it.
            Nothing was written.
        OSError: a file cannot be written.
    """
    raw = job_table(answers)
    findings = examine(JOB, completed(raw))[1]
    if findings:
        raise Refused(list(dict.fromkeys(f"{FLAGS.get(key, key)}: {message}" for key, message in findings)))
    job = top.parent / "jobs.d" / f"{raw['name']}.toml"
    if job.exists():
        raise Refused([f"--name: {job} exists already and is left as it is; give the new job another name"])
    there = next(folder for folder in job.absolute().parents if folder.exists())
    if (why := exposure(there)) is not None:
        raise Refused(
            [f"{why}; anybody who can write a job file decides what syncd does: name a folder that only you can write"]
        )
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
    return Written(wrote, kept, next_steps(raw["name"], top))


def next_steps(name: str, top: Path) -> list[Step]:
    """Return the steps after a job was written."""
    option = "" if top == find(None, os.environ) else f" --config {shlex.quote(str(top))}"
    return [
        Step("print the policies that both accounts need", f"syncd policies {name}{option}"),
        Step("check that they are in place", f"syncd check {name}{option}"),
        Step("see what the first copy would do", f"syncd plan {name}{option}"),
        Step("copy for the first time", f"syncd tick {name}{option}"),
        Step("keep copying", f"syncd run{option}"),
    ]


@contextmanager
def _undone_on_error(job: Path, wrote: Sequence[Path]) -> Iterator[None]:
    """Remove the files and folders made so far if the block fails."""
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
    """Return the files that were already invalid before."""
    try:
        return {str(refusal.file) for refusal in load(top).refused}
    except ConfigError as error:
        return {problem.file for problem in error.problems}


def _require_whole(top: Path, job: Path, before: Collection[str]) -> None:
    """Load the whole configuration: conflicts between jobs show only there."""
    why = f"{job} is not written, because the configuration would not load with it"
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
    """Return the JSON of `init`."""
    return {
        "wrote": [str(path) for path in written.wrote],
        "kept": [str(path) for path in written.kept],
        "next": [step.command for step in written.next],
    }


def written_text(written: Written) -> str:
    """Return the text of `init`: the files, and the next steps."""
    width = max(len(step.purpose) for step in written.next)
    lines = ["", "Next:", *(f"  {step.purpose:<{width}}    {step.command}" for step in written.next)]
    return "\n".join([files_text(written), *map(visible, lines)]) + "\n"


def files_text(written: Written) -> str:
    """Return the files, a line each."""
    lines = [f"wrote {path}" for path in written.wrote]
    lines += [f"kept  {path}, which existed already" for path in written.kept]
    return "\n".join(map(visible, lines))


def job_table(answers: Answers) -> dict[str, Any]:
    """Return the job as the table that its file will hold."""
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


def top_text(state_dir: Path) -> str:
    """Return the text of syncd.toml."""
    return f"""\
# syncd.toml: settings for all jobs. Each job has a file of its own in jobs.d.
# These files hold no secrets, only the places to find them.

state_dir = {_toml(str(state_dir))}    # where the state is kept
jobs = ["jobs.d/*.toml"]    # relative to this file

[http]    # for monitoring
listen = "127.0.0.1:9464"    # /metrics, /healthz, /readyz and /freshz of `syncd run`; "" turns them off

[defaults]    # keys of a job, for all jobs; a job's own keys win
every = "5m"
"""


_ABOUT = {
    "name": "as in logs, metrics and verbs",
    "consumer": "the account that reads the source and owns the destination",
    "consumer.account_id": "credentials of another account are refused",
    "consumer.profile": "a profile of the AWS configuration",
    "consumer.credentials_file": "an AWS credentials file",
    "source": "the bucket that CloudTrail delivers to",
    "source.account_id": "a bucket of another account is refused",
    "source.prefix": "the trail's S3KeyPrefix, before AWSLogs/",
    "source.organization_id": "for an organization trail",
    "source.accounts": 'the accounts to copy; "*" discovers them',
    "source.role": "the role to assume in the source's account",
    "source.role.external_id": "required by the role's trust policy",
    "source.role.third_party": "the source belongs to another company: external_id is required",
    "destination": "the consumer's own bucket",
    "destination.prefix": "put in front of the source's key, literally",
    "endpoints": "an S3-compatible server instead of AWS",
    "endpoints.sts": "the server to assume the role at",
    "endpoints.allow_http": "plain HTTP: anybody on the way can read and change it",
}


def job_text(raw: Mapping[str, Any]) -> str:
    """Return the text of a job's file, with comments at keys that need one."""
    lines = [f"name = {_toml(raw['name'])}    # {_ABOUT['name']}"]
    lines += ['start = "31d"    # how far back to begin: "now", a duration, a day ("2026-11-01"), or "beginning"']
    for name, table in raw.items():
        if isinstance(table, Mapping):
            lines += ["", *_table_lines(name, table)]
    return "\n".join(lines) + "\n"


def _table_lines(name: str, table: Mapping[str, Any]) -> list[str]:
    lines = [f"[{name}]    # {_ABOUT[name]}"]
    for key, value in table.items():
        if not isinstance(value, Mapping):
            about = _ABOUT.get(f"{name}.{key}")
            lines.append(f"{key} = {_toml(value)}" + (f"    # {about}" if about else ""))
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_table_lines(f"{name}.{key}", value)]
    return lines


def _toml(value: Any) -> str:
    """Return a TOML value: JSON's strings, lists and booleans are TOML too."""
    return json.dumps(value, ensure_ascii=False)
