"""A stage as the black-box tests have it."""

import sys
from pathlib import Path

import pytest
from faulty import FaultyS3

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from stage import Stage


@pytest.fixture
def stage(faulty: FaultyS3, tmp_path: Path) -> Stage:
    """An S3 and STS with Account A's empty trail bucket and the consumers B, C and Z, and a configuration without jobs."""
    return Stage(faulty, tmp_path)
