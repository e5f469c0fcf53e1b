"""No secret is in anything that a run writes, also where servers say back what they were sent."""

import base64
import contextlib
import http.client
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Body, FaultyS3, Status, on
from service import Running as Daemon
from service import Service
from stage import Stage
from waiting import wait_until

from syncd.cli.demo.world import EXTERNAL_ID, TRAIL_BUCKET

CANARY = "c4n4ry"
SESSION_TOKEN = f"{CANARY}/role+{'T' * 120}=="
CONSUMER_TOKEN = f"{CANARY}/consumer+{'U' * 120}=="
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}EnvironmentSecretAccessKey00000000000000",
    "DATABASE_PASSWORD": f"{CANARY}-password",
}
VERBS = (
    ("tick",),
    ("tick",),
    ("status",),
    ("plan",),
    ("catch-up", "--from", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"),
    ("ledger", "quarantine", "list"),
    ("ledger", "export"),
    ("check",),
    ("ledger", "rebuild"),
)
EXTERNAL_ID_STATEMENT = re.compile(rf'sts:ExternalId\\?":\\?"{EXTERNAL_ID}'.encode())
LOGS = ("json", "console")


@dataclass
class Written:
    """Everything that was written, by where."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, *texts: str) -> None:
        self.texts[name] = self.texts.get(name, b"") + "\n".join(texts).encode("utf-8", "surrogateescape")

    def add_files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.texts[str(path)] = path.read_bytes()

    def holds(self, planted: Mapping[str, str]) -> list[str]:
        """Where a secret is found, in any of the forms in which it might be written."""
        return [
            f"{name} in {where}"
            for name, secret in planted.items()
            for where, text in self.texts.items()
            if any(form in text for form in forms(secret))
        ]


def forms(secret: str) -> set[bytes]:
    encoded = secret.encode()
    return {
        encoded,
        quote(secret, safe="").encode(),
        base64.b64encode(encoded)[:-4],
        secret.replace("/", "\\/").encode(),
    }


@pytest.fixture
def _known_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every session has the same token, and every secret key the canary in it."""

    def token_urlsafe(count: int) -> str:
        return SESSION_TOKEN if count == 96 else f"{CANARY}{secrets.token_urlsafe(count)}"

    monkeypatch.setattr("faulty.sts.secrets", SimpleNamespace(token_hex=secrets.token_hex, token_urlsafe=token_urlsafe))


@pytest.fixture
def server(_known_tokens: None) -> Iterator[FaultyS3]:
    with FaultyS3() as started:
        yield started


def give_session_token(server: FaultyS3, credentials: Path) -> None:
    """The consumers' own credentials are temporary ones."""
    principals = server.identities._principals
    for key, principal in list(principals.items()):
        if principal.role_arn is None:
            principals[key] = replace(principal, session_token=CONSUMER_TOKEN)
    lines = credentials.read_text().splitlines()
    added = [f"aws_session_token = {CONSUMER_TOKEN}" if line.startswith("aws_secret") else "" for line in lines]
    credentials.write_text("\n".join(f"{line}\n{more}" for line, more in zip(lines, added, strict=True)))


def planted(server: FaultyS3, heartbeat: str = "") -> dict[str, str]:
    """The secrets by name."""
    external_ids = {role.external_id for role in server.identities.roles.values() if role.external_id}
    keys = {item.access_key_id: item.secret_access_key for item in server.identities._principals.values()}
    return (
        {f"secret key of {name}": secret for name, secret in keys.items()}
        | {f"external ID {number}": item for number, item in enumerate(external_ids)}
        | {"session token": SESSION_TOKEN, "consumer's token": CONSUMER_TOKEN, "any canary": CANARY}
        | ENVIRONMENT
        | ({"heartbeat URL": heartbeat} if heartbeat else {})
    )


def echo(server: FaultyS3) -> None:
    """S3 and STS refuse, and say back everything that they were sent."""
    external_ids = (role.external_id for role in server.identities.roles.values() if role.external_id)
    secrets_sent = " ".join((CONSUMER_TOKEN, *external_ids))
    for bucket in server.storage.buckets:
        token = SESSION_TOKEN if bucket == TRAIL_BUCKET else CONSUMER_TOKEN
        for operation in ("GetObject", "PutObject", "HeadObject", "ListObjectsV2"):
            server.faults.add(on(operation, bucket=bucket), Status(403, token, f"token={token}, x{token}x"), times=3)
            server.faults.add(on(operation, bucket=bucket), Status(403, "AccessDenied", f"<{token}>"))
    server.faults.add("AssumeRole", Status(403, "AccessDenied", f"you sent {secrets_sent}"), times=4)
    server.faults.add("AssumeRole", Status(400, "ValidationError", f"'{secrets_sent}' (x{secrets_sent}x)"), times=4)
    arn = f"<Arn>{CONSUMER_TOKEN}</Arn><UserId>{CONSUMER_TOKEN}</UserId><Account>{CONSUMER_TOKEN}</Account>"
    result = f"<GetCallerIdentityResult>{arn}</GetCallerIdentityResult>"
    body = f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{result}</GetCallerIdentityResponse>'
    server.faults.add("GetCallerIdentity", Body(body.encode()), times=2)


@pytest.fixture
def stage(server: FaultyS3, tmp_path: Path) -> Stage:
    stage = Stage(server, tmp_path)
    give_session_token(server, stage.credentials)
    stamp = datetime.now(UTC) - timedelta(minutes=20)
    stage.deliver(Trail().log(account, REGIONS[0], stamp) for account in ACCOUNTS)
    stage.job()
    return stage


def run_all(stage: Stage, written: Written) -> None:
    for number, verb in enumerate((*VERBS, ("tick",))):
        style, flags = (("json", ("--json",)), ("console", ()))[number % 2]
        stage.configure({"log.format": style, "log.level": "debug"})
        ran = stage.syncd(*verb, *flags, **ENVIRONMENT)
        written.add(" ".join(verb), ran.stdout, ran.stderr)
    written.add_files(stage.state)


def test_runs_that_go_well_write_no_secret(stage: Stage, server: FaultyS3) -> None:
    written = Written()

    run_all(stage, written)

    assert b"copied" in written.texts["tick"]
    assert written.holds(planted(server)) == []


def test_servers_that_say_back_what_they_were_sent_bring_no_secret_into_the_log(stage: Stage, server: FaultyS3) -> None:
    written = Written()
    server.faults.add(on("GetObject"), Status(403, "AccessDenied", f"token={SESSION_TOKEN}"), times=2)
    first = stage.syncd("tick", **ENVIRONMENT)
    written.add("first", first.stdout, first.stderr)
    echo(server)

    run_all(stage, written)

    assert b"(not shown)" in written.texts["tick"]
    # The remedy of `check` is the trust policy's very statement, which asks for the external ID.
    written.texts["check"] = EXTERNAL_ID_STATEMENT.sub(b"", written.texts["check"])
    assert written.holds(planted(server)) == []


def test_the_policies_hold_the_external_id_and_no_other_secret(stage: Stage, server: FaultyS3) -> None:
    written = Written()
    for style in ("json", "cloudformation", "terraform"):
        ran = stage.syncd("policies", "account-z", "--format", style, **ENVIRONMENT)
        written.add(style, ran.stdout, ran.stderr)
    (external_id,) = (name for name in planted(server) if name.startswith("external ID"))

    assert {found.split(" in ")[0] for found in written.holds(planted(server))} == {external_id}


def test_a_configuration_with_a_secret_in_it_is_refused_without_it(stage: Stage, server: FaultyS3) -> None:
    written = Written()
    path = stage.config.parent / "jobs.d" / "account-z.toml"
    job = path.read_text()
    for added in (
        f'aws_secret_access_key = "{CANARY}/secret"\n',
        f'session_token = "{SESSION_TOKEN}"\n',
        f'[http]\npassword = "{CANARY}"\n',
    ):
        path.write_text(added + job)
        ran = stage.syncd("status", **ENVIRONMENT)
        written.add(added, ran.stdout, ran.stderr)
        assert ran.code == 2

    assert written.holds(planted(server)) == []


@pytest.mark.parametrize("style", LOGS)
def test_a_daemon_writes_and_answers_no_secret(style: str, server: FaultyS3, tmp_path: Path, nobody: str) -> None:
    service, written = Service(server, tmp_path), Written()
    give_session_token(server, service.credentials)
    stamp = datetime.now(UTC) - timedelta(minutes=20)
    service.deliver(*(Trail().log(account, REGIONS[0], stamp) for account in ACCOUNTS))
    service.job("account-z")
    heartbeat = f"{nobody}/{CANARY}-heartbeat"
    service.configure(
        {"heartbeat_url": heartbeat, "log.format": style, "log.level": "debug", "http.listen": "127.0.0.1:0"}
    )
    with service.running(ENVIRONMENT) as first:
        wait_for(first, "tick.finished")
        assert first.stopped() == 0
        written.add("log", *first._lines)
    # All is well from the beginning, so the heartbeat is sent at once.
    with service.running(ENVIRONMENT) as daemon:
        address = listening(daemon)
        wait_for(daemon, "heartbeat.failed")
        echo(server)
        wait_for(daemon, "tick.failed")
        for path in (
            "/",
            "/jobs/account-z",
            "/metrics",
            "/readyz",
            "/freshz",
            "/healthz",
            f"/{CANARY}",
            f"/?q={CANARY[:2]}",
        ):
            written.add(path, got(address, path))
        assert daemon.stopped() == 0
        written.add("log", *daemon._lines)
    written.add_files(service.state)

    assert b"tick.failed" in written.texts["log"]
    assert written.holds(planted(server, heartbeat)) == []


def wait_for(daemon: Daemon, event: str) -> str:
    """The line of the log with this event, whatever the log's format."""
    wait_until(lambda: any(event in line for line in list(daemon._lines)), seconds=40, what=event)
    return next(line for line in daemon._lines if event in line)


def listening(daemon: Daemon) -> str:
    line = wait_for(daemon, "http.listening")
    return f"127.0.0.1:{line.partition('127.0.0.1:')[2].split()[0].strip(chr(34) + ',}')}"


def got(address: str, path: str) -> str:
    with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
