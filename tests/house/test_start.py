"""What a start loads: each verb, and each copy worker, pays only for what it uses."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DAEMON = frozenset({"apscheduler", "jinja2", "prometheus_client", "structlog"})
_WIRE = frozenset({"awscrt", "botocore", "urllib3"})
_COPYING = frozenset({"syncd.tick.audit", "syncd.tick.listing.plan", "syncd.tick.ports", "syncd.tick.recorder"})
_NEVER = frozenset({"boto3", "s3transfer"})
_WEIGHT = frozenset({"email.message", "importlib.metadata"})
"""What others load to look for what is not there."""
_PRINT_MODULES = "print('loaded:', *sys.modules, file=sys.__stderr__)"


def loaded(code: str) -> frozenset[str]:
    """The modules that are loaded when a Python process that runs this code ends."""
    program = f"import atexit, sys; atexit.register(lambda: {_PRINT_MODULES}); {code}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_ROOT)
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("loaded: "))
    return frozenset(line.split()[1:])


def verb(*arguments: str) -> str:
    """The code of a run of the program."""
    return f"sys.argv = {['syncd', *arguments]}; from syncd.__main__ import main; main()"


@pytest.fixture
def config(tmp_path: Path) -> str:
    job = (_ROOT / "config" / "jobs.d" / "account-b.toml").read_text()
    (tmp_path / "job.toml").write_text(job)
    (tmp_path / "syncd.toml").write_text(f'state_dir = "{tmp_path}/state"\njobs = ["job.toml"]\n')
    return str(tmp_path / "syncd.toml")


def test_a_version_loads_no_configuration_no_state_and_no_wire() -> None:
    assert not loaded(verb("--version")) & (_NEVER | _DAEMON | _WIRE | {"rich", "sqlite3"})


@pytest.mark.parametrize(
    "arguments", [("--help",), ("verify", "-h"), ("ledger", "quarantine", "retry", "--help"), ("tick", "--form")]
)
def test_help_and_a_wrong_option_load_no_configuration_no_wire_and_nothing_that_draws(
    arguments: tuple[str, ...],
) -> None:
    loads = loaded(f"sys.exit = lambda code: None; {verb(*arguments)}")

    assert "syncd.cli.options" in loads
    assert not loads & (_NEVER | _DAEMON | _WIRE | _WEIGHT | {"pydantic", "rich", "sqlite3"})


def test_a_verb_loads_no_other_verb(config: str) -> None:
    loads = loaded(verb("config", "validate", "--config", config))

    assert {name for name in loads if name.startswith("syncd.cli.")} == {
        "syncd.cli.app",
        "syncd.cli.config",
        "syncd.cli.options",
        "syncd.cli.privileges",
        "syncd.cli.streams",
        "syncd.cli.terminal",
        "syncd.cli.terminal.completion",
        "syncd.cli.terminal.help",
    }


def test_validate_loads_no_state_and_no_wire(config: str) -> None:
    loads = loaded(verb("config", "validate", "--config", config))

    assert not loads & (_NEVER | _DAEMON | _WIRE | _WEIGHT | {"rich", "sqlite3"})


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["for people", "as JSON"])
def test_status_loads_no_wire_and_draws_nothing_in_a_pipe(config: str, options: list[str]) -> None:
    loads = loaded(f"sys.exit = lambda code: None; {verb('status', *options, '--config', config)}")

    assert "sqlite3" in loads
    assert not {name for name in loads if name.startswith("syncd.tick.")} & _COPYING
    assert not loads & (_NEVER | _DAEMON | _WIRE | _WEIGHT | {"rich"})


def test_a_tick_loads_nothing_of_the_daemon_or_botocore_and_draws_nothing_in_a_pipe() -> None:
    modules = ("cli.running.verbs", "config.files", "job.refused", "job.verbs", "job.installation")
    shown = "from syncd.cli.screen import output, tables; output.show(tables.reports_table([]))"
    needed = f"import {', '.join(f'syncd.{name}' for name in modules)}; {shown}"

    assert not loaded(needed) & (_NEVER | _DAEMON | _WIRE | {"multiprocessing.connection", "rich"})


def test_findings_in_a_pipe_are_printed_without_what_draws() -> None:
    found = "from syncd.check.result import JobChecks; from syncd.cli.setup.checks import show_checks"

    assert "rich" not in loaded(f"{found}; show_checks([JobChecks('account-b', [])])")


@pytest.mark.parametrize(
    "verb_of", ["check.check", "daemon.service", "job.verbs", "spread.work", "verify.session", "cli.proof.prune"]
)
def test_no_verb_loads_the_runtime_on_its_way(verb_of: str) -> None:
    loads = loaded(f"import syncd.cli.app, syncd.{verb_of}, syncd.job.installation, syncd.aws.identity.boto")

    assert "botocore.session" in loads
    assert not loads & {"_awscrt", "awscrt", "awscrt.crypto"}


def test_an_event_loads_nothing_that_draws_and_leaves_it_to_be_loaded() -> None:
    event = "from syncd.daemon import logs; logs.event_logger()('tick.finished')"
    loads = loaded(event)

    assert "structlog" in loads
    assert not loads & {"attr", "colorama", "pygments", "rich"}
    assert "rich.table" in loaded(f"{event}; import rich.table")


def test_a_copy_worker_loads_no_more_than_copies_need() -> None:
    modules = loaded("import syncd.copy.workers.worker")

    assert "syncd.aws.transport" in modules
    assert not modules & {"awscrt", "dataclasses", "http.client", "inspect", "multiprocessing", "urllib.request"}
    assert not modules & (_NEVER | _DAEMON | {"botocore", "click", "pydantic", "rich", "sqlite3", "urllib3"})


def test_the_checksums_of_a_copy_start_no_runtime() -> None:
    body = "b'123456789'"
    made = f"from syncd.copy.hashes.checksums import CRC64NVME, load, sum_of; load(); sum_of(CRC64NVME, {body})"

    assert not loaded(made) & {"_awscrt", "awscrt"}
