"""The embedded AWS ends with whoever started it, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from servers import MakeClient, ask
from waiting import wait_until

from syncd.cli.demo.embedded import ROOT_SECRET, EmbeddedError, embedded_aws, free_port
from syncd.cli.demo.guard import ServerError, serving

ROOT = Path(__file__).parents[2]
STARTED_BY_ANOTHER = """
import sys
from syncd.cli.demo.embedded import embedded_aws
with embedded_aws() as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""
REFUSES_TO_END = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w').close(); signal.pause()"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that temporary directories are made in."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_serves_and_enforces_identities(scratch: Path, make_client: MakeClient) -> None:
    with embedded_aws() as server:
        sts = make_client(server.url, "sts", access_key_id="222222222222", secret_access_key=ROOT_SECRET)
        account = sts.get_caller_identity()["Account"]

    assert account == "222222222222"
    assert list(scratch.iterdir()) == []


def test_it_listens_on_loopback_only_and_no_other_port(scratch: Path) -> None:
    del scratch
    with embedded_aws() as server:
        listening = _listening(server.port)

    assert listening == {f"127.0.0.1:{server.port}"}


def test_it_is_gone_after_the_context(scratch: Path) -> None:
    with embedded_aws() as server:
        pass

    # Another server may have been given its port meanwhile.
    assert ask(server.port, "GET", "/_ministack/health") != 200
    assert list(scratch.iterdir()) == []


def test_a_reset_forgets_buckets(scratch: Path, make_client: MakeClient) -> None:
    del scratch
    with embedded_aws() as server:
        s3 = make_client(server.url, access_key_id="222222222222", secret_access_key=ROOT_SECRET)
        s3.create_bucket(Bucket="bucket")

        server.reset()

        assert s3.list_buckets()["Buckets"] == []


def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", STARTED_BY_ANOTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        assert ask(port, "GET", "/_ministack/health") == 200

        owner.send_signal(signal.SIGKILL)
        owner.wait()

    wait_until(lambda: ask(port, "GET", "/_ministack/health") != 200, what="the end of the server")
    wait_until(lambda: list(tmp_path.iterdir()) == [], what="the removal of its directory")


def test_without_ministack_the_remedy_is_told(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(scratch / "python"))
    monkeypatch.setenv("PATH", str(scratch))

    with pytest.raises(EmbeddedError, match=r"`make demo` .* its extra `demo`$") as raised, embedded_aws():
        pass

    assert "pip install" not in str(raised.value)


def test_a_server_that_cannot_start_tells_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no luck')"]
    directory = tmp_path / "server"
    directory.mkdir()

    with (
        pytest.raises(ServerError, match=r"exit code 1 .*\n.*no luck"),
        serving(command, directory=directory, environment=os.environ, is_ready=lambda: False),
    ):
        pass

    assert not directory.exists()


def test_a_server_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    directory.mkdir()
    command = [sys.executable, "-c", "import signal; signal.pause()"]

    with (
        pytest.raises(ServerError, match="did not answer"),
        serving(command, directory=directory, environment=os.environ, is_ready=lambda: False, start_seconds=0.2),
    ):
        pass

    assert not directory.exists()


def test_a_server_that_refuses_to_end_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    directory.mkdir()

    with serving(
        [sys.executable, "-c", REFUSES_TO_END],
        directory=directory,
        environment=os.environ,
        is_ready=(directory / "up").exists,
        grace_seconds=0.1,
    ):
        pass

    assert not directory.exists()


def test_a_free_port_can_be_listened_on() -> None:
    assert ask(free_port(), "GET", "/") is None


def _listening(port: int) -> set[str]:
    """The addresses that the process listening on `port` listens on, from Linux's own tables."""
    sockets = {
        fields[9]: _address(fields[1])
        for table in ("tcp", "tcp6")
        for fields in (line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A"
    }
    owned = [
        {address for inode, address in sockets.items() if f"socket:[{inode}]" in _links(process / "fd")}
        for process in Path("/proc").glob("[0-9]*")
    ]
    return next(addresses for addresses in owned if f"127.0.0.1:{port}" in addresses)


def _links(directory: Path) -> set[str]:
    try:
        return {str(link.readlink()) for link in directory.iterdir()}
    except OSError:
        return set()


def _address(field: str) -> str:
    host, port = field.split(":")
    quads = [str(byte) for byte in reversed(bytes.fromhex(host))]
    return f"{'.'.join(quads)}:{int(port, 16)}"
