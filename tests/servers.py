"""Real S3 and SQS servers on loopback, each on free ports, in a directory of its own.

    MiniStack   S3, STS, IAM and SQS with trust policies, external IDs and policies enforced
    SeaweedFS   a real store, written in Go
    moto        S3 and STS; it allows a wrong external ID and roles that do not exist
    fauxqs      SQS, by another author; `make queues` installs it

They end with this process, also when it is killed (`syncd.cli.demo.guard`).
"""

import contextlib
import http.client
import json
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from syncd.cli.demo.embedded import HOST, ROOT_SECRET, embedded_aws, free_port
from syncd.cli.demo.guard import ServerError, serving

FAUXQS = Path(__file__).parents[1] / "build" / "fauxqs"
_ATTEMPTS = 3
_SEAWEED_GRPC_OFFSET = 10_000
_SEAWEED_PORTS = 4
_HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class S3Server:
    """A running server and the credentials of its owner."""

    name: str
    url: str
    access_key_id: str
    secret_access_key: str

    def fresh_bucket_name(self) -> str:
        """A name that no other test uses."""
        return f"bucket-{uuid.uuid4().hex}"


class MakeClient(Protocol):
    """Makes a boto3 client that is closed at the end of the test."""

    def __call__(
        self,
        url: str,
        service: str = "s3",
        *,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        **config: Any,
    ) -> Any: ...


_SERVICES = "s3,sts,iam,kms,sqs,sns,events"
# Its own program listens on all addresses.


@contextlib.contextmanager
def ministack_server() -> Iterator[S3Server]:
    """MiniStack with IAM enforced; the root user of any account has its ID as key and `ROOT_SECRET` as secret."""
    with embedded_aws(services=_SERVICES) as embedded:
        yield S3Server("ministack", embedded.url, "111111111111", ROOT_SECRET)


@contextlib.contextmanager
def moto_server() -> Iterator[S3Server]:
    """moto's server, with authentication off."""

    def start(port: int) -> AbstractContextManager[None]:
        command = [_program("moto_server"), "-H", HOST, "-p", str(port)]
        return _running(command, port, "/moto-api/data.json")

    with _on_free_ports(free_port, start) as port:
        yield S3Server("moto", f"http://{HOST}:{port}", "testing", "testing")


@contextlib.contextmanager
def fauxqs_server() -> Iterator[S3Server]:
    """fauxqs, which asks nobody who he is."""

    def start(port: int) -> AbstractContextManager[None]:
        return _running(["node", str(FAUXQS / "serve.mjs"), str(port)], port, "/")

    with _on_free_ports(free_port, start) as port:
        yield S3Server("fauxqs", f"http://{HOST}:{port}", "testing", "testing")


@contextlib.contextmanager
def seaweed_server() -> Iterator[S3Server]:
    """SeaweedFS in one process, its telemetry off."""
    with _on_free_ports(_free_port_range, _start_seaweed) as port:
        yield _seaweed(port)


def _seaweed(port: int) -> S3Server:
    return S3Server("seaweed", f"http://{HOST}:{port}", "SWADMIN", "swadminsecret")


def _start_seaweed(port: int) -> AbstractContextManager[None]:
    directory = Path(tempfile.mkdtemp(prefix="syncd-seaweed-"))
    (directory / "data").mkdir()
    (directory / "s3.json").write_text(json.dumps(_seaweed_identities(_seaweed(port))), encoding="utf-8")
    command = [
        _program("weed"),
        "mini",
        "-dir=data",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        f"-s3.port={port}",
        f"-master.port={port + 1}",
        f"-volume.port={port + 2}",
        f"-filer.port={port + 3}",
        # Each bucket has volumes of its own. By itself it allows as many as there is room for on the disk.
        "-volume.max=10000",
        "-master.telemetry=false",
        f"-master.telemetry.url=http://{HOST}:9/",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.config=s3.json",
    ]
    return _running(command, port, "/", directory=directory)


def ask(port: int, method: str, path: str) -> int | None:
    """The status of an answer; None where there is none."""
    try:
        with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
            connection.request(method, path)
            return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None


@contextlib.contextmanager
def _on_free_ports(find: Callable[[], int], start: Callable[[int], AbstractContextManager[None]]) -> Iterator[int]:
    """Starts a server on the port that was found; on another where somebody else was faster to take that."""
    with contextlib.ExitStack() as stack:
        for attempt in range(1, _ATTEMPTS + 1):
            port = find()
            try:
                stack.enter_context(start(port))
                break
            except ServerError:
                if attempt == _ATTEMPTS:
                    raise
        yield port


@contextlib.contextmanager
def _running(command: list[str], port: int, health: str, *, directory: Path | None = None) -> Iterator[None]:
    place = Path(tempfile.mkdtemp(prefix="syncd-server-")) if directory is None else directory
    # Nothing here is worth a graceful end, and SeaweedFS takes four seconds for one.
    with serving(
        command,
        directory=place,
        environment=_environment(os.environ),
        is_ready=lambda: ask(port, "GET", health) is not None,
        grace_seconds=0,
    ):
        yield


def _environment(surrounding: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in surrounding.items() if not name.startswith("AWS_")}


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _seaweed_identities(server: S3Server) -> Mapping[str, object]:
    credentials = [{"accessKey": server.access_key_id, "secretKey": server.secret_access_key}]
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    return {"identities": [{"name": "admin", "credentials": credentials, "actions": actions}]}


def _free_port_range() -> int:
    """A port such that SeaweedFS's ports from it on, and their gRPC counterparts, are free."""
    for _ in range(200):
        port = free_port()
        ports = [port + offset for offset in range(_SEAWEED_PORTS)]
        ports += [number + _SEAWEED_GRPC_OFFSET for number in ports]
        if ports[-1] <= _HIGHEST_PORT and all(map(_is_free, ports)):
            return port
    raise RuntimeError("no range of free ports was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
