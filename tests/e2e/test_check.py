"""`syncd check`: all green where all is right; one thing wrong is named, with its remedy, and nothing is changed."""

from pathlib import Path

import pytest
from accounts import Accounts, check_of, environment_of
from servers import S3Server
from single_faults import FAULTS, Fault, row

from syncd.check.check import STEPS
from syncd.check.result import Status
from syncd.job.exit_codes import UNHEALTHY

PAGE = Path(__file__).parents[2] / "docs" / "check.md"


@pytest.fixture
def accounts(ministack: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Nothing is configured yet."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    environment = environment_of(ministack.url, tmp_path)
    made = Accounts(ministack.url, tmp_path, environment=environment)
    made.build()
    return made


def test_from_an_empty_directory_to_the_first_tick(accounts: Accounts) -> None:
    began = accounts.init()
    printed = accounts.syncd("policies", "account-222222222222", "--config", str(accounts.config), "--output", "docs")
    accounts.apply_files(accounts.folder / "docs", printed.stderr.replace("docs/", f"{accounts.folder}/docs/"))

    checked = accounts.syncd("check", "--config", str(accounts.config), "--json")
    ticked = accounts.syncd("tick", "--config", str(accounts.config), "--json")

    assert (began.code, printed.code, checked.code, ticked.code) == (0, 0, 0, 0), (began, printed, checked, ticked)
    statuses = {check["check"]: check["status"] for check in checked.job["checks"]}
    assert set(statuses.values()) == {"ok", "information"}
    assert checked.job["ok"]
    assert ticked.job["outcome"] == "ok"
    assert ticked.job["copied"] > 0


def test_steps_come_in_their_order_and_each_once(accounts: Accounts) -> None:
    accounts.prepared()
    accounts.apply()

    names = [check.name for check in accounts.checks().checks]

    assert names == [step for step in STEPS if step != "external-id"]


def test_nothing_stays_of_a_check(accounts: Accounts) -> None:
    accounts.prepared()
    accounts.apply()
    before = accounts.everything()

    accounts.checks()

    assert accounts.everything() == before
    assert not (accounts.config.parent / "state").exists()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what.replace(" ", "-"))
def test_a_single_fault_is_named_with_its_remedy(accounts: Accounts, fault: Fault) -> None:
    accounts.is_third_party = fault.is_third_party
    accounts.prepared()
    fault.before(accounts)
    accounts.apply(**fault.edits)
    fault.after(accounts)

    found = accounts.checks()

    told = {check.name: check.status for check in found.checks if check.status in (Status.FAILED, Status.WARNING)}
    assert told == {fault.step: fault.status}, found
    check = check_of(found, fault.step)
    assert [words for words in fault.remedy if words not in check.remedy] == []
    assert found.ok is (fault.status is Status.WARNING)


def test_a_check_that_fails_ends_with_exit_code_4(accounts: Accounts) -> None:
    accounts.prepared()

    checked = accounts.syncd("check", "--config", str(accounts.config))

    assert checked.code == UNHEALTHY
    assert "✗ assume-role" in checked.stdout
    assert "→ " in checked.stdout


def test_a_table_of_all_single_faults_is_in_the_docs() -> None:
    table = PAGE.read_text().rpartition("| --- | --- | --- | --- |\n")[2]

    assert table.splitlines() == [row(fault) for fault in FAULTS]
    assert len(FAULTS) >= 30


def test_every_step_is_in_the_docs() -> None:
    page = PAGE.read_text()

    assert [step for step in STEPS if f"`{step}`" not in page] == []
