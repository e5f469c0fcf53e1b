"""Everything around the consumer's credentials: an STS whose faults are scripted, a credentials file, a job, and a clock."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders_copy import job_of
from faulty import FaultyS3, Principal, Request

from syncd.aws.identity.principals import ConsumerPrincipal
from syncd.aws.identity.role import RolePrincipal
from syncd.aws.identity.sessions import Identities
from syncd.aws.policies.session import session_policy
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B
from syncd.config.job import Job
from syncd.model.errors import JobFailed

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
KNOWN_ROLE = f"arn:aws:iam::{ACCOUNT_A}:role/reader"


WAYS = ("the wire", "botocore")
"""Ways to ask STS with access keys that are written down."""


def ask_sts_by(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have STS asked in one of the ways. A setting that might move STS leaves it to botocore."""
    if way == "botocore":
        monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "regional")


class Clock:
    """The time of a server and of what calls it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


class Stage:
    """An STS, the consumer's credentials in a file, and a job."""

    def __init__(self, server: FaultyS3, clock: Clock, folder: Path) -> None:
        self.server = server
        self.clock = clock
        self.credentials = folder / "credentials"
        self.counted: Counter[str] = Counter()
        self.identities = Identities(now=clock.seconds)
        server.add_role(KNOWN_ROLE, trusts=frozenset({ACCOUNT_B}), max_seconds=7200)

    def write(self, profile: str, user: Principal, token: str | None = None) -> None:
        """A credentials file with this one profile."""
        lines = [f"aws_access_key_id = {user.access_key_id}", f"aws_secret_access_key = {user.secret_access_key}"]
        lines += [f"aws_session_token = {token}"] if token else []
        before = self.credentials.stat().st_mtime_ns if self.credentials.exists() else 0
        self.credentials.write_text("\n".join([f"[{profile}]", *lines, ""]))
        # Two writes in one tick of the file system's clock would look like one.
        os.utime(self.credentials, ns=(before + 1_000_000_000, before + 1_000_000_000))

    def job(self, **changes: Any) -> Job:
        role = {"arn": KNOWN_ROLE, "session_name": "syncd-account-b"}
        base: dict[str, Any] = {
            "consumer__credentials_file": str(self.credentials),
            "source__role": role,
            "endpoints__s3": self.server.url,
            "endpoints__sts": self.server.url,
        }
        return job_of(**{**base, **changes})

    def consumer(self, job: Job | None = None) -> ConsumerPrincipal:
        return self.identities.consumer(job or self.job(), count=self.count)

    def role(self, job: Job | None = None, *, duration_seconds: int | None = None) -> RolePrincipal:
        job = job or self.job()
        assert job.source.role is not None
        if duration_seconds is None:
            consumer = self.consumer(job)
            return self.identities.role(
                job, job.source.role, consumer, policies=[session_policy(job)], count=self.count
            )
        return RolePrincipal(
            job.source.role,
            self.consumer(job),
            sts=lambda credentials: self.identities.sts(job, credentials),
            policies=[session_policy(job)],
            now=self.clock.seconds,
            count=self.count,
            duration_seconds=duration_seconds,
        )

    def count(self, operation: str) -> None:
        self.counted[operation] += 1

    def asked(self, operation: str) -> list[Request]:
        return [request for request in self.server.requests if request.operation == operation]


@contextmanager
def sts_stage(folder: Path) -> Iterator[Stage]:
    """With a user of account B in the credentials file."""
    clock = Clock()
    with FaultyS3(clock=clock) as server:
        stage = Stage(server, clock, folder)
        stage.write("default", server.add_user(ACCOUNT_B))
        yield stage


def refusal(call: Callable[[], object]) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        call()
    return caught.value
