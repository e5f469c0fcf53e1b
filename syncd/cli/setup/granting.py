"""The work of `syncd policies`: find the consumer's principal, write or print the documents."""

import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from syncd.aws.identity.sessions import Identities
from syncd.aws.identity.tags import carries_tags
from syncd.aws.policies import documents, pruning, repairing
from syncd.aws.policies import work as work_policies
from syncd.aws.policies.daemon import fleet_documents, hint_documents
from syncd.aws.policies.documents import PolicyDocument
from syncd.aws.policies.files import PolicyFile
from syncd.aws.policies.formats import Format
from syncd.config.addresses import region_of_queue
from syncd.config.job import Job, Settings, Work
from syncd.ledger.folder.locks import exposure
from syncd.model.errors import JobFailed, SyncdError

# Names and paths have these characters ("IAM identifiers"). The ARN comes from STS, which may be anybody's server.
_PRINCIPAL = re.compile(
    r"arn:[a-z0-9-]{1,30}:(?:iam|sts)::([0-9]{12}):(?:user|role|assumed-role)/[A-Za-z0-9_+=,.@/-]{1,700}", re.ASCII
)
_WHOLE_ACCOUNT = "account"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def named(principal: str) -> str | None:
    """Return the ARN given, or None for the account as a whole."""
    return None if principal == _WHOLE_ACCOUNT else principal


def principal_problem(job: Job, arn: str) -> str | None:
    """Return the problem with an ARN for the consumer, or None if it is usable."""
    if arn == _WHOLE_ACCOUNT:
        return None
    found = _PRINCIPAL.fullmatch(arn)
    if found is None:
        return f"{arn!r} is not the ARN of a user or role, such as arn:aws:iam::{job.consumer.account_id}:user/syncd"
    if found[1] != job.consumer.account_id:
        return f"{arn} belongs to account {found[1]}, but consumer.account_id is {job.consumer.account_id}"
    return None


def account_problem(needed: Sequence[PolicyDocument], account: str) -> str | None:
    """Return the problem with an account to print documents for, or None if it needs some."""
    accounts = sorted({document.account_id for document in needed})
    return None if account in accounts else f"{account} needs no documents: the accounts are {', '.join(accounts)}"


def subject_problem(settings: Settings, subject: str, style: Format) -> str | None:
    """Return why there are no documents of a subject in this format, or None."""
    if subject in ("prune", "repair") and style is not Format.JSON:
        return "its statement is JSON; leave --format out"
    if subject == "hints" and not settings.hints.queues:
        return "name the queues in syncd.toml first: [hints] queues"
    if subject == "fleet" and settings.fleet is None:
        return "name the leases in syncd.toml first: [fleet] lease"
    return None


def needed(
    job: Job, settings: Settings, principal: str | None, subject: str, *, has_tags: bool
) -> tuple[PolicyDocument, ...]:
    """Return the documents of a subject: `prune`, `repair`, `hints`, `fleet`, or an empty text for the job itself."""
    if subject == "prune":
        return pruning.prune_documents(job, principal)
    if subject == "repair":
        return repairing.repair_documents(job, principal)
    if subject == "hints":
        return hint_documents(job, settings.hints.queues, principal)
    if subject == "fleet" and settings.fleet is not None:
        return fleet_documents(job, settings.fleet.lease, principal)
    return documents.documents(job, principal, has_tags=has_tags)


def work_files(queues: Work, style: Format) -> list[PolicyFile]:
    """Return the files of spread catch-ups."""
    return work_policies.files(queues, region_of_queue(queues.tasks or "") or "us-east-1", style)


def who_runs(job: Job, say: Callable[[str], None]) -> tuple[str | None, bool]:
    """Return the ARN behind the job's credentials, and whether these carry tags. Says so if the ARN is unknown."""
    identities = Identities(now=time.time)
    try:
        arn = identities.consumer(job, count=lambda _: None).name
    except JobFailed as error:
        say(
            f"The documents trust account {job.consumer.account_id} as a whole, because its user or role is unknown"
            f" ({error.detail}). Name it with --principal ARN."
        )
        return None, False
    has_tags = carries_tags(identities.session_of(job))
    return (arn if principal_problem(job, arn) is None else None), has_tags


def hand_out(
    files: Sequence[PolicyFile],
    document: Mapping[str, Any] | None,
    directory: Path | None,
    say: Callable[[str], None],
    *,
    replaces: bool,
) -> None:
    """Print the JSON document if there is one. Write the files to a directory, or print them. Raises as `write`."""
    if document is not None:
        sys.stdout.write(json.dumps(document) + "\n")
    if directory is not None:
        write(files, directory, say, replaces=replaces)
    elif document is None:
        show(files, say, sys.stdout.write)


def write(files: Sequence[PolicyFile], directory: Path, say: Callable[[str], None], *, replaces: bool = False) -> None:
    """Write one folder per account, and explain each file and where it goes.

    A file with other content is replaced only if `replaces`. A symbolic link is replaced, not followed.

    Raises:
        SyncdError: a file cannot be written, has other content, or other users could replace it before it is used.
    """
    edited = [path for file in files if _is_another(path := directory / file.account_id / file.name, file.text)]
    if edited and not replaces:
        raise SyncdError(
            f"{', '.join(map(str, edited))}: not what would be written: edited by hand, or of another configuration;"
            " move it away, or add --replace to lose it; nothing was written"
        )
    for file in files:
        path = directory / file.account_id / file.name
        try:
            _write(path, file.text)
        except OSError as error:
            raise SyncdError(f"{path} cannot be written: {error.strerror}") from error
        say(f"{path}")
        for sentence in file.about:
            say(f"  {sentence}")
        if file.command is not None:
            say(f"  {file.command.format(file=path)}")


def _is_another(path: Path, text: str) -> bool:
    """Return True for a regular file with other content."""
    try:
        return path.is_file() and not path.is_symlink() and path.read_bytes() != text.encode()
    except OSError as error:
        raise SyncdError(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    folder, outer = path.parent, path.parent.parent
    outer.mkdir(parents=True, exist_ok=True)
    top = os.open(outer, _FOLDER)
    try:
        with suppress(FileExistsError):
            os.mkdir(folder.name, dir_fd=top)
        inner = os.open(folder.name, _FOLDER | os.O_NOFOLLOW, dir_fd=top)
    finally:
        os.close(top)
    try:
        why = exposure(folder)
        if why is not None:
            raise SyncdError(
                f"{why}; these documents grant access: with --output, name a folder that only you can write"
            )
        new = f".{path.name}.{secrets.token_hex(8)}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=inner)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(new, path.name, src_dir_fd=inner, dst_dir_fd=inner)
    finally:
        os.close(inner)


def show(files: Sequence[PolicyFile], say: Callable[[str], None], write_out: Callable[[str], object]) -> None:
    """Print the documents to stdout, with explanations on stderr."""
    for file in files:
        say(f"Account {file.account_id}: {file.name}")
        for sentence in file.about:
            say(f"  {sentence}")
        write_out(file.text)
