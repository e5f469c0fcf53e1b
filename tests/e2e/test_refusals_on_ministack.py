"""What a real STS refuses of the consumer's credentials is told by a tick with a remedy that is true of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from accounts import USER_ARN, Accounts, environment_of
from servers import S3Server
from single_faults import key_deleted, key_inactive, role_deleted, secret_mistyped


@pytest.fixture
def accounts(ministack: S3Server, tmp_path: Path) -> Accounts:
    """Everything is in place."""
    environment = environment_of(ministack.url, tmp_path)
    made = Accounts(ministack.url, tmp_path, environment=environment)
    made.build()
    made.prepared()
    made.apply()
    return made


@pytest.mark.parametrize(
    ("fault", "reason", "remedy"),
    [
        (key_deleted, "invalid_credentials", "give the consumer a new access key"),
        (key_inactive, "invalid_credentials", "or activate this one"),
        (secret_mistyped, "wrong_secret_key", "correct the secret access key"),
        (role_deleted, "access_denied", "the role exists; its trust policy names this principal"),
    ],
)
def test_each_fault_of_the_credentials_has_its_own_reason(
    accounts: Accounts, fault: Callable[[Accounts], None], reason: str, remedy: str
) -> None:
    fault(accounts)

    ran = accounts.syncd("tick", "--config", str(accounts.config), "--json")

    error = ran.job["error"]
    assert (ran.code, error["reason"], remedy in error["remedy"]) == (1, reason, True), error


def test_nothing_is_refused_where_nothing_is_wrong(accounts: Accounts) -> None:
    ran = accounts.syncd("tick", "--config", str(accounts.config), "--json")

    assert (ran.code, ran.job["error"]) == (0, None)
    assert USER_ARN not in ran.stdout
