"""The terms of a job change with what is copied and how it is written, and with nothing else."""

from typing import Any

import pytest
from builders import changed

from syncd.config.job import Job
from syncd.spread.terms import terms_of

TABLE: dict[str, Any] = {
    "name": "account-b",
    "consumer": {"account_id": "222222222222"},
    "source": {
        "account_id": "111111111111",
        "bucket": "example-trail",
        "region": "us-east-1",
        "role": {"arn": "arn:aws:iam::111111111111:role/Test"},
    },
    "destination": {"bucket": "example-b-logs", "region": "us-east-1"},
}


def terms(**changes: Any) -> str:
    return terms_of(Job.model_validate(changed(TABLE, {key.replace("__", "."): item for key, item in changes.items()})))


@pytest.mark.parametrize(
    "changes",
    [
        {"source__ignore": ["AWSLogs/333333333333/"]},
        {"source__kinds": ["CloudTrail"]},
        {"source__max_object": "1MiB"},
        {"destination__encryption": "AES256"},
        {"destination__tags": {"team": "security"}},
    ],
    ids=str,
)
def test_another_selection_or_another_way_of_writing_is_another_job(changes: dict[str, Any]) -> None:
    assert terms(**changes) != terms()


@pytest.mark.parametrize(
    "changes",
    [
        {"every": "7m"},
        {"consumer__account_id": "333333333333"},
        {"source__role__session_name": "worker-7"},
        {"destination__copy": "stream"},
        {"endpoints__s3": "https://s3.example.com"},
    ],
    ids=str,
)
def test_what_concerns_a_machine_alone_makes_no_difference(changes: dict[str, Any]) -> None:
    assert terms(**changes) == terms()
