"""`syncd init`: a first configuration, from a few answers; nothing that is there already is touched."""

import json
import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.cli.init_answers import Answers
from syncd.config.diagnosis import examine
from syncd.config.files import DEFAULT_PATH, find, load
from syncd.config.job import Job, completed
from syncd.config.rules import JOB_RULES
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


def write(answers: Answers, top: Path, *, state_dir: Path | None = None) -> Written:
    """Write `top`, the syncd.toml, where there is none, and the job's file in jobs.d beside it.

    Raises:
        Refused: an answer cannot be used, the job's file is there already, or with it the whole configuration cannot
            be used; nothing was written.
        OSError: a file cannot be written.
    """
    raw = job_table(answers)
    findings = examine(Job, completed(raw), JOB_RULES)[1]
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


def top_text(state_dir: Path) -> str:
    """syncd.toml."""
    return f"""\
# syncd.toml: what holds for all jobs. The jobs themselves are one file each, in jobs.d.
# No secret stands in these files, only where to find one.

state_dir = {_toml(str(state_dir))}    # where the state is kept
jobs = ["jobs.d/*.toml"]    # relative to this file

[http]    # for monitoring
listen = "127.0.0.1:9464"    # /metrics, /healthz and /readyz of `syncd run`; "" turns them off

[defaults]    # any keys of a job, for all jobs; a job's own keys win
every = "5m"
"""


_ABOUT = {
    "name": "in logs, metrics and verbs",
    "consumer": "who reads the source, and owns the destination",
    "consumer.account_id": "credentials of another account are refused",
    "consumer.profile": "of the AWS configuration",
    "consumer.credentials_file": "an AWS credentials file",
    "source": "the bucket that CloudTrail delivers to",
    "source.account_id": "a bucket of another account is refused",
    "source.prefix": "the trail's S3KeyPrefix, before AWSLogs/",
    "source.organization_id": "of an organization's trail",
    "source.accounts": 'whose logs; "*" discovers them',
    "source.role": "the role in the source's account that is assumed",
    "source.role.external_id": "that the role's trust policy asks for",
    "source.role.third_party": "the source belongs to another party: external_id is required",
    "destination": "the consumer's own bucket",
    "destination.prefix": "put in front of the source's key, literally",
    "endpoints": "an S3-compatible server instead of AWS",
    "endpoints.sts": "where the role is assumed",
    "endpoints.allow_http": "over plain HTTP, which whoever is on the way reads and may alter",
}


def job_text(raw: Mapping[str, Any]) -> str:
    """A job's file: a comment at each key whose meaning its name does not tell."""
    lines = [f"name = {_toml(raw['name'])}    # {_ABOUT['name']}"]
    lines += ['start = "31d"    # how far back it begins: "now", a duration, a day ("2026-11-01"), or "beginning"']
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
    """JSON's strings, lists of them, and booleans are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
