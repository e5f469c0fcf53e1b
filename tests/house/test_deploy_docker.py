"""The container: what the image runs as, what it may write, and how Compose starts it."""

import contextlib
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any

import pytest
from deployed import (
    CONFIG_OPTION,
    DEPLOY,
    DRAIN_SECONDS,
    PROJECT,
    VERBS,
    Instruction,
    read_dockerfile,
    read_yaml,
    seconds,
)

from syncd.daemon.web.messages import Reply
from syncd.daemon.web.server import WebServer

DOCKER = DEPLOY / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
SECRETS = PurePath("/run/secrets")


@pytest.fixture
def image() -> dict[str, Instruction]:
    """The last instruction of each name in the final stage."""
    return {instruction.name: instruction for instruction in read_dockerfile(DOCKERFILE)[-1]}


@pytest.fixture
def service() -> Any:
    return read_yaml(DOCKER / "compose.yaml")["services"]["syncd"]


def instructions() -> list[Instruction]:
    return [instruction for stage in read_dockerfile(DOCKERFILE) for instruction in stage]


def test_the_image_starts_syncd_without_a_shell_in_between(image: dict[str, Instruction]) -> None:
    assert image["ENTRYPOINT"].words == ["syncd"]
    assert image["CMD"].words == ["run", *CONFIG_OPTION]
    assert image["STOPSIGNAL"].text == "SIGTERM"


def test_the_image_runs_as_a_numbered_user_who_is_not_root(image: dict[str, Instruction]) -> None:
    user, group = image["USER"].text.split(":")

    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize(("status", "code"), [(HTTPStatus.OK, 0), (HTTPStatus.SERVICE_UNAVAILABLE, 1)])
def test_the_container_is_healthy_while_the_daemon_is_ready(
    image: dict[str, Instruction], status: HTTPStatus, code: int
) -> None:
    options, _, command = image["HEALTHCHECK"].text.partition("CMD ")
    words = Instruction("CMD", command).words
    asked: list[str] = []

    def answer(path: str, _query: object) -> Reply:
        asked.append(path)
        return Reply(b"", "text/plain", status)

    with contextlib.closing(WebServer(("127.0.0.1", 0), answer)) as server:
        script = words[2].replace("9464", server.address.rpartition(":")[2])
        ran = subprocess.run([sys.executable, words[1], script], check=False)

    assert words[0] == "python"
    assert (ran.returncode, asked) == (code, ["/readyz"])
    assert "--start-period=" in options


def test_the_image_writes_to_its_state_only(image: dict[str, Instruction]) -> None:
    assert image["VOLUME"].text == "/var/lib/syncd"
    assert image["WORKDIR"].text == "/var/lib/syncd"
    assert "PYTHONDONTWRITEBYTECODE=1" in image["ENV"].text.split()


def test_the_base_image_is_an_argument_that_the_build_requires(service: Any) -> None:
    bases = {instruction.text.split()[0] for instruction in instructions() if instruction.name == "FROM"}
    arguments = re.findall(r"^ARG (.*)$", DOCKERFILE.read_text(), re.MULTILINE)

    assert bases == {"${BASE_IMAGE}"}
    assert [name for name in set(arguments) if "=" not in name] == ["BASE_IMAGE"]
    assert service["build"]["args"] == {"BASE_IMAGE": "${SYNCD_BASE_IMAGE:-}"}


@pytest.mark.parametrize(
    ("image_name", "code"),
    [
        (f"python:3.11-slim-bookworm@sha256:{'0' * 64}", 0),
        (f"registry.example.com/python:3.12-slim-trixie@sha256:{'0' * 64}", 0),
        ("python:3.11-slim-bookworm", 1),
        (f"evil@sha256:{'0' * 64}", 1),
        ("", 1),
    ],
)
def test_a_base_image_without_a_digest_ends_the_build(image_name: str, code: int) -> None:
    check = next(line.text for line in instructions() if line.name == "RUN")

    run = subprocess.run(
        ["sh", "-c", check], env={"BASE_IMAGE": image_name}, capture_output=True, text=True, check=False
    )

    assert (run.returncode, bool(run.stderr)) == (code, bool(code))


def test_nothing_is_installed_that_is_not_pinned_by_its_hash_or_lies_there_already() -> None:
    commands = [part for line in instructions() if line.name == "RUN" for part in line.text.split("&&")]
    installs = [command for command in commands if re.search(r"\bpip\b.* install ", command)]

    assert len(installs) > 1
    assert all("--require-hashes" in command or "--no-index" in command for command in installs), installs


def test_what_the_build_copies_is_there_and_not_ignored() -> None:
    copies = [line.text.split() for line in instructions() if line.name == "COPY" and "--from=" not in line.text]
    sources = [source for copy in copies for source in copy[:-1]]
    let_in = {line.removeprefix("!").removesuffix("/**") for line in ignore_lines() if line.startswith("!")}

    assert [source for source in sources if not (PROJECT / source).exists()] == []
    assert set(sources) == let_in


def test_the_build_is_sent_nothing_by_default() -> None:
    assert ignore_lines()[0] == "**"


def ignore_lines() -> list[str]:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_compose_builds_the_dockerfile_from_the_root_of_the_project(service: Any) -> None:
    context = (DOCKER / service["build"]["context"]).resolve()

    assert context == PROJECT
    assert context / service["build"]["dockerfile"] == DOCKERFILE


def test_compose_keeps_the_container_closed(service: Any, image: dict[str, Instruction]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == image["USER"].text
    assert "noexec" in service["tmpfs"][0]
    assert service["ulimits"]["core"] == 0


def test_compose_publishes_the_port_on_loopback_only(service: Any) -> None:
    assert service["ports"] == ["127.0.0.1:9464:9464"]


def test_compose_mounts_the_configuration_read_only_and_the_state_by_name(service: Any) -> None:
    state, config = service["volumes"]

    assert state == "state:/var/lib/syncd"
    assert (config["target"], config["read_only"]) == ("/etc/syncd", True)


def test_compose_hands_over_credentials_as_a_secret(service: Any) -> None:
    (secret,) = service["secrets"]

    assert service["environment"]["AWS_SHARED_CREDENTIALS_FILE"] == str(SECRETS / secret)
    assert service["environment"]["CREDENTIALS_DIRECTORY"] == str(SECRETS)
    assert "file" in read_yaml(DOCKER / "compose.yaml")["secrets"][secret]


def test_compose_gives_longer_than_the_drain_limit_to_stop(service: Any) -> None:
    assert seconds(service["stop_grace_period"]) > DRAIN_SECONDS


def test_the_command_of_the_container_is_a_verb(image: dict[str, Instruction]) -> None:
    assert image["CMD"].words[0] in VERBS


@pytest.mark.needs_tool("hadolint")
def test_hadolint_finds_nothing_wrong_with_the_dockerfile(tool: Path) -> None:
    run = subprocess.run([tool, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (0, "")


def test_the_image_says_what_it_is_and_from_what_it_was_built(image: dict[str, Instruction]) -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', image["LABEL"].text))

    assert labels["licenses"] == "Apache-2.0"
    assert {"title", "description", "version", "revision", "source", "base.name"} <= set(labels)
    assert labels["base.name"] == "${BASE_IMAGE}"
