"""Marks of sessions: the STS that they ask, and the files that they were read from."""

import os
from pathlib import Path
from typing import NamedTuple

from syncd.config.job import Consumer, Job


class Place(NamedTuple):
    """The STS that credentials are got from."""

    region: str | None
    endpoint: str | None


def place_of(job: Job) -> Place:
    """Return the STS of a job."""
    return Place(job.sts_region, job.endpoints.sts)


def key_of(consumer: Consumer, place: Place) -> tuple[object, ...]:
    """Return what two consumers with the same session have in common."""
    return consumer.profile, consumer.credentials_file, place


def files_of(consumer: Consumer) -> tuple[object, ...]:
    """Return what changes with the content of the files that a session reads."""
    environ = os.environ.get
    paths = (
        consumer.credentials_file or environ("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        environ("AWS_CONFIG_FILE") or "~/.aws/config",
    )
    return tuple(_stamp(Path(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.expanduser().stat()
    except (OSError, RuntimeError, ValueError):
        return ()
    # A copy may keep the old time of modification. Nobody sets that of the last change.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
