"""A stage for each black-box test."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty import FaultyS3
from stage import Stage


@pytest.fixture
def stage(faulty: FaultyS3, tmp_path: Path) -> Stage:
    """An S3 and STS with Account A's empty trail bucket and the consumers B, C and Z, and a configuration without jobs."""
    return Stage(faulty, tmp_path)


@pytest.fixture
def now() -> datetime:
    """The time of day, to the second: the program has no other clock."""
    return datetime.now(UTC).replace(microsecond=0)
