"""A daemon for each test, as a process or within this one."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clocks import HandClock
from faulty import FaultyS3
from service import Service, ServiceManager


@pytest.fixture
def service(faulty: FaultyS3, tmp_path: Path) -> Service:
    """A configuration without jobs, in a world whose trail bucket is empty."""
    return Service(faulty, tmp_path)


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    """Somebody who listens as systemd does."""
    with contextlib.closing(ServiceManager()) as listening:
        yield listening


@pytest.fixture
def clock() -> HandClock:
    """What tells the time to a test's own part of the daemon."""
    return HandClock()


@pytest.fixture
def now() -> datetime:
    """The time of day, to the second: the program has no other clock."""
    return datetime.now(UTC).replace(microsecond=0)
