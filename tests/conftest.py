"""Fixtures of all tests: an environment without anybody's AWS, and servers that start when first asked for."""

import contextlib
import functools
import gc
import os
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import hypothesis
import pytest
from botocore.config import Config
from faulty import FaultyS3
from needed_tools import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
    tool,
)
from place import Place
from servers import MakeClient, S3Server, ask, fauxqs_server, ministack_server, moto_server, seaweed_server

from syncd.cli.demo.world import ACCOUNT_A, REGION, World, build_world

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "tool",
]

_FOREIGN = ("AWS_", "SYNCD_", "MOTO_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

# How long an example takes, and drawing the first ones, says nothing on a machine that others use too.
hypothesis.settings.register_profile(
    "syncd", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("syncd")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option of `make queues`."""
    parser.addoption(
        "--queues", choices=["ministack", "fauxqs"], default="ministack", help="whose queues the tests of queues use"
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays: looking for garbage among it takes a tenth of a run."""
    del session
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def _aws_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the surrounding AWS environment reaches a test."""
    empty = tmp_path_factory.mktemp("aws")
    (empty / "config").touch()
    (empty / "credentials").touch()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_FOREIGN) or name.upper() in _PROXIES:
                patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", str(empty / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty / "credentials"))
        yield


@pytest.fixture
def make_client(_aws_environment: None) -> Iterator[MakeClient]:
    """A boto3 client, path style and without retries of its own unless `config` says otherwise."""
    with contextlib.ExitStack() as stack:

        def make(
            url: str,
            service: str = "s3",
            *,
            access_key_id: str,
            secret_access_key: str,
            session_token: str | None = None,
            **config: Any,
        ) -> Any:
            settings = {"s3": {"addressing_style": "path"}, "retries": {"total_max_attempts": 1}, **config}
            client = _session().client(  # type: ignore[call-overload]
                service,
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret_access_key,
                aws_session_token=session_token,
                config=Config(**settings),
            )
            return stack.enter_context(contextlib.closing(client))

        yield make


@functools.cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()


@pytest.fixture(scope="session")
def _ministack_process(_aws_environment: None) -> Iterator[S3Server]:
    with ministack_server() as server:
        yield server


@pytest.fixture
def ministack(_ministack_process: S3Server) -> S3Server:
    """MiniStack, emptied."""
    _reset(_ministack_process, "/_ministack/reset")
    return _ministack_process


@pytest.fixture
def fauxqs(_aws_environment: None) -> Iterator[S3Server]:
    """fauxqs, a new one for each test, since nothing empties it."""
    with fauxqs_server() as server:
        yield server


@pytest.fixture
def queue_server(request: pytest.FixtureRequest) -> S3Server:
    """A server of queues without any: MiniStack, or the one that --queues names."""
    server: S3Server = request.getfixturevalue(request.config.getoption("--queues"))
    return server


@pytest.fixture(scope="session")
def _moto_process(_aws_environment: None) -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def moto(_moto_process: S3Server) -> S3Server:
    """moto's server, emptied."""
    _reset(_moto_process, "/moto-api/reset")
    return _moto_process


@pytest.fixture(scope="session")
def seaweed(_aws_environment: None) -> Iterator[S3Server]:
    """SeaweedFS; nothing empties it between tests: use `fresh_bucket_name`."""
    with seaweed_server() as server:
        yield server


@pytest.fixture
def faulty() -> Iterator[FaultyS3]:
    """A fake of S3 and STS in this process, whose faults are scripted."""
    with FaultyS3() as server:
        yield server


@pytest.fixture
def nobody() -> Iterator[str]:
    """An endpoint that refuses connections: its port is taken, so that no other test comes to listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def held_addresses() -> Iterator[list[str]]:
    """Two addresses where a program may be told to listen: whoever asks for a free port is not given theirs."""
    with socket.socket() as one, socket.socket() as other:
        for held in (one, other):
            # Without it nobody could listen there. With it somebody can, as long as this one does not.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
        yield [f"127.0.0.1:{held.getsockname()[1]}" for held in (one, other)]


@pytest.fixture(params=["faulty", "ministack", "moto", "seaweed"])
def place(request: pytest.FixtureRequest, make_client: MakeClient) -> Place:
    """A fresh bucket on each of the servers in turn; `place.server` is its name."""
    server = request.getfixturevalue(request.param)
    if isinstance(server, FaultyS3):
        keys = server.add_user(ACCOUNT_A)
        server.create_bucket("bucket", account_id=ACCOUNT_A)
        client = make_client(server.url, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
        return Place("faulty", client, "bucket")
    assert isinstance(server, S3Server)
    client = make_client(server.url, access_key_id=server.access_key_id, secret_access_key=server.secret_access_key)
    name = server.fresh_bucket_name()
    client.create_bucket(Bucket=name)
    return Place(server.name, client, name)


@pytest.fixture
def world(ministack: S3Server) -> World:
    """The sample world on MiniStack: Account A's empty trail bucket, and the consumers B, C and Z."""
    return build_world(ministack.url)


def _reset(server: S3Server, path: str) -> None:
    """Empties a server; one that did not answer in time is asked once more."""
    port = int(server.url.rpartition(":")[2])
    assert (ask(port, "POST", path) or ask(port, "POST", path)) == 200
