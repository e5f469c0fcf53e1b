"""The units: what they start, what they keep closed, and what systemd's own tools say about them."""

import subprocess
from pathlib import Path

import pytest
from deployed import CONFIG_OPTION, DEPLOY, DRAIN_SECONDS, VERBS, read_unit, seconds

SYSTEMD = DEPLOY / "systemd"
SERVICES = ["syncd.service", "syncd-tick.service", "syncd-catch-up@.service"]
TEMPLATE = "syncd@.service"
UNITS = [*SERVICES, TEMPLATE, "syncd-tick.timer"]

EXPOSURE_LIMIT = 2.0
PROGRAM = "/usr/local/bin/syncd"

SHARED = {
    "User": ["syncd"],
    "Group": ["syncd"],
    "StateDirectory": ["syncd"],
    "StateDirectoryMode": ["0750"],
    "LoadCredential": ["credentials:/etc/syncd/credentials"],
    "LimitCORE": ["0"],
    "KillMode": ["mixed"],
    "CapabilityBoundingSet": [""],
    "AmbientCapabilities": [""],
    "NoNewPrivileges": ["yes"],
    "ProtectSystem": ["strict"],
    "ProtectHome": ["yes"],
    "PrivateTmp": ["yes"],
    "PrivateMounts": ["yes"],
    "PrivateDevices": ["yes"],
    "DevicePolicy": ["closed"],
    "PrivateUsers": ["yes"],
    "ProtectClock": ["yes"],
    "ProtectControlGroups": ["yes"],
    "ProtectHostname": ["yes"],
    "ProtectKernelLogs": ["yes"],
    "ProtectKernelModules": ["yes"],
    "ProtectKernelTunables": ["yes"],
    "ProtectProc": ["invisible"],
    "RestrictAddressFamilies": ["AF_INET AF_INET6 AF_UNIX"],
    "RestrictNamespaces": ["yes"],
    "RestrictRealtime": ["yes"],
    "RestrictSUIDSGID": ["yes"],
    "LockPersonality": ["yes"],
    "MemoryDenyWriteExecute": ["yes"],
    "UMask": ["0077"],
    "SystemCallArchitectures": ["native"],
    # In this order: the copy workers call sched_setaffinity, which @resources holds.
    "SystemCallFilter": ["@system-service", "~@privileged @resources", "sched_setaffinity"],
    "SystemCallErrorNumber": ["EPERM"],
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with all units, whose program is one that exists on this machine."""
    for name in UNITS:
        (tmp_path / name).write_text((SYSTEMD / name).read_text().replace(PROGRAM, "/bin/true"))
    return tmp_path


def test_every_unit_in_the_folder_is_looked_at_here() -> None:
    found = {path.name for pattern in ("*.service", "*.timer") for path in SYSTEMD.glob(pattern)}

    assert found == set(UNITS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_a_verb_of_syncd_with_the_usual_configuration(name: str) -> None:
    (command,) = read_unit(SYSTEMD / name)["Service"]["ExecStart"]

    program, verb, *arguments = command.split()

    assert program == PROGRAM
    assert verb in VERBS
    assert arguments[:2] == CONFIG_OPTION


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_keeps_its_user_its_credentials_and_its_hardening(name: str) -> None:
    service = read_unit(SYSTEMD / name)["Service"]

    assert {key: service.get(key) for key in SHARED} == SHARED


def test_each_consumers_own_daemon_shares_nothing_but_the_program_with_the_others() -> None:
    unit = read_unit(SYSTEMD / TEMPLATE)
    service, daemon = unit["Service"], read_unit(SYSTEMD / "syncd.service")["Service"]
    own = {
        "ExecStart": [f"{PROGRAM} run --config /etc/syncd-%i/syncd.toml"],
        "User": ["syncd-%i"],
        "Group": ["syncd-%i"],
        "StateDirectory": ["syncd-%i"],
        "StateDirectoryMode": ["0700"],
        "LoadCredential": ["credentials:/etc/syncd-%i/credentials"],
        "EnvironmentFile": ["-/etc/syncd-%i/environment"],
    }

    assert {key: service[key] for key in own} == own
    assert service | own == daemon | own
    assert unit["Install"] == read_unit(SYSTEMD / "syncd.service")["Install"]


def test_user_and_folders_of_a_consumer_are_those_of_its_unit() -> None:
    users = declared("syncd@.sysusers.conf")
    folders = declared("syncd@.tmpfiles.conf")

    assert [line.split()[:2] for line in users] == [["u", "syncd-NAME"]]
    assert [line.split()[:5] for line in folders] == [
        ["d", "/etc/syncd-NAME", "0750", "root", "syncd-NAME"],
        ["d", "/etc/syncd-NAME/jobs.d", "0750", "root", "syncd-NAME"],
        ["f", "/etc/syncd-NAME/credentials", "0640", "root", "syncd-NAME"],
    ]


def declared(name: str) -> list[str]:
    return [line for line in (SYSTEMD / name).read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", [*SERVICES, TEMPLATE])
def test_a_service_is_given_longer_than_the_drain_limit_to_stop(name: str) -> None:
    (limit,) = read_unit(SYSTEMD / name)["Service"]["TimeoutStopSec"]

    assert seconds(limit) > DRAIN_SECONDS


def test_the_daemon_is_watched_reloaded_and_restarted_unless_its_configuration_is_wrong() -> None:
    service = read_unit(SYSTEMD / "syncd.service")["Service"]

    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["main"]
    assert seconds(service["WatchdogSec"][0]) > 0
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["Restart"] == ["on-failure"]
    assert service["RestartPreventExitStatus"] == ["2"]


def test_the_catch_up_takes_its_job_from_the_instance_and_its_window_from_a_file() -> None:
    service = read_unit(SYSTEMD / "syncd-catch-up@.service")["Service"]

    assert service["Type"] == ["oneshot"]
    assert service["ExecStart"][0].split()[-2:] == ["%i", "$WINDOW"]
    assert "/etc/syncd/catch-up/%i.env" in service["EnvironmentFile"]


def test_the_timer_makes_up_for_a_pass_that_was_missed() -> None:
    unit = read_unit(SYSTEMD / "syncd-tick.timer")

    assert unit["Timer"]["Persistent"] == ["yes"]
    assert unit["Install"]["WantedBy"] == ["timers.target"]


def test_the_user_of_the_services_is_made_by_sysusers() -> None:
    (line,) = (line for line in (SYSTEMD / "syncd.sysusers.conf").read_text().splitlines() if not line.startswith("#"))

    assert line.split()[:2] == ["u", SHARED["User"][0]]


@pytest.mark.needs_tool("systemd-analyze")
@pytest.mark.parametrize(
    "name", [*UNITS[:2], "syncd-catch-up@account-b.service", "syncd@acme.service", "syncd-tick.timer"]
)
def test_systemd_finds_nothing_wrong_with_a_unit(name: str, installed: Path, tool: Path) -> None:
    run = subprocess.run([tool, "verify", installed / name], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.needs_tool("systemd-analyze")
@pytest.mark.parametrize("name", [*SERVICES, TEMPLATE])
def test_systemd_finds_little_of_a_service_exposed(name: str, installed: Path, tool: Path) -> None:
    threshold = f"--threshold={round(EXPOSURE_LIMIT * 10)}"

    run = subprocess.run(
        [tool, "security", "--no-pager", "--offline=true", threshold, installed / name],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Overall exposure level" in run.stdout
