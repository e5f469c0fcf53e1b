"""Jobs as values, with defaults for all but what a test is about."""

from pathlib import Path
from typing import Any

from builders import changed

from syncd.config.job import Configuration, Job, Settings

ACCOUNT_A, ACCOUNT_B = "111111111111", "222222222222"


def job(name: str = "account-b", **changes: Any) -> Job:
    """A job whose keys may be given; dotted ones with two underscores for the dot."""
    table: dict[str, Any] = {
        "name": name,
        "consumer": {"account_id": ACCOUNT_B},
        "source": {
            "account_id": ACCOUNT_A,
            "bucket": "example-trail",
            "region": "us-east-1",
            "role": {"arn": f"arn:aws:iam::{ACCOUNT_A}:role/Test"},
        },
        "destination": {"bucket": f"{name.lower()}-logs", "region": "us-east-1"},
    }
    return Job.model_validate(changed(table, {key.replace("__", "."): item for key, item in changes.items()}))


def configuration(state_dir: Path, *jobs: Job, **settings: Any) -> Configuration:
    """A configuration that was never in a file."""
    values = Settings.model_validate({"state_dir": str(state_dir), "http": {"listen": ""}} | settings)
    return Configuration(values, jobs, (state_dir / "syncd.toml",))
