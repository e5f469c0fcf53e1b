"""An embedded AWS on a free loopback port.

MiniStack enforces trust policies and external IDs.

It runs in its own process group and directory, without the surrounding AWS environment, keeps everything in memory,
and ends when this process ends, however that happens.
"""

import contextlib
import http.client
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from syncd.cli.demo.guard import ServerError, serving
from syncd.model.errors import SyncdError

HOST = "127.0.0.1"
ROOT_SECRET = "test"  # noqa: S105 MiniStack's fixed secret of every account's root user
_SERVICES = "s3,sts,iam,kms"
_ATTEMPTS = 3
# No package index is named: syncd is installed from its own folder or wheel.
_HOW_TO_INSTALL = "run `make demo` in the folder of syncd's source, or install syncd with its extra `demo`"
_OTHERS_PREFIXES = ("AWS_", "DOCKER_", "LOCALSTACK_", "MINISTACK_")


class EmbeddedError(SyncdError):
    """A failure to start the embedded AWS, with a remedy."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}: {remedy}")
        self.detail = detail
        self.remedy = remedy


class EmbeddedAws:
    """A running MiniStack with IAM enforced.

    The root user of any account has the 12-digit account ID as its access key and ROOT_SECRET as its secret.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def is_healthy(self) -> bool:
        """Return True if the server answers its health check."""
        try:
            return self._ask("GET", "/_ministack/health") == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def reset(self) -> None:
        """Delete every bucket, role, user and session."""
        status = self._ask("POST", "/_ministack/reset")
        if status != http.client.OK:
            raise EmbeddedError(f"the embedded AWS answered {status} to a reset", "start another one")

    def _ask(self, method: str, path: str) -> int:
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=10)) as connection:
            connection.request(method, path)
            return connection.getresponse().status


@contextlib.contextmanager
def embedded_aws(*, services: str = _SERVICES) -> Iterator[EmbeddedAws]:
    """Run MiniStack with these services for as long as the context lasts.

    Raises:
        EmbeddedError: MiniStack is not installed or does not start.
    """
    program = _program()
    with contextlib.ExitStack() as stack:
        for attempt in range(1, _ATTEMPTS + 1):
            server = EmbeddedAws(free_port())
            directory = Path(tempfile.mkdtemp(prefix="syncd-embedded-"))
            environment = _environment(os.environ, server.port, directory, services)
            running = serving(
                [program], directory=directory, environment=environment, is_ready=server.is_healthy, grace_seconds=3
            )
            try:
                stack.enter_context(running)
                break
            except ServerError as error:  # another process may have taken the port meanwhile
                if attempt == _ATTEMPTS:
                    remedy = f"read the server's output above, or reinstall it: {_HOW_TO_INSTALL}"
                    raise EmbeddedError(f"MiniStack does not start: {error}", remedy) from error
        yield server


def free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _program() -> str:
    beside = Path(sys.executable).parent / "ministack"
    program = str(beside) if beside.is_file() else shutil.which("ministack")
    if program is None:
        raise EmbeddedError("MiniStack is not installed", _HOW_TO_INSTALL)
    return program


def _environment(surrounding: Mapping[str, str], port: int, directory: Path, services: str) -> dict[str, str]:
    kept = {name: value for name, value in surrounding.items() if not name.startswith(_OTHERS_PREFIXES)}
    return kept | {
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "SERVICES": services,
        "S3_PERSIST": "0",
        "PERSIST_STATE": "0",
        "S3_DATA_DIR": str(directory / "s3"),
        "STATE_DIR": str(directory / "state"),
        "TMPDIR": str(directory),
        "HOME": str(directory),
        "LOG_LEVEL": "WARNING",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        # By default it listens on fixed ports for MQTT and SFTP, and cleans up containers of a local Docker.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory / 'no-docker'}",
    }
