"""A stage for each black-box test."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import FaultyS3
from program import Running
from stage import Stage


@pytest.fixture
def stage(faulty: FaultyS3, tmp_path: Path) -> Stage:
    """An S3 and STS with Account A's empty trail bucket and the consumers B, C and Z, and a configuration without jobs."""
    return Stage(faulty, tmp_path)


@pytest.fixture
def now() -> datetime:
    """The time of day, to the second: the program has no other clock."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="session")
def by_cron(_aws_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Running]]:
    """A daemon with a job that ticks each minute and one that ticks on leap days, since the first of these tests."""
    with FaultyS3() as server:
        stage = Stage(server, tmp_path_factory.mktemp("cron"))
        stamp = datetime.now(UTC) - timedelta(minutes=20)
        stage.deliver(Trail().log(account, REGIONS[0], stamp) for account in ACCOUNTS[:2])
        stage.job("account-b", {"every": None, "cron": "* * * * *"})
        stage.job("account-c", {"every": None, "cron": "0 0 29 2 *"})
        with stage.start("run") as process:
            yield stage, process


@pytest.fixture(scope="session", autouse=True)
def _cron_goes_on_while_other_tests_run(request: pytest.FixtureRequest) -> None:
    if any("by_cron" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("by_cron")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for a minute to begin come last, when it has."""
    items.sort(key=lambda item: "by_cron" in getattr(item, "fixturenames", ()))


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of AWS can be reached, and nobody has credentials."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
    }
