"""Connections and calls of ours, whatever drips: each is over in time."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from builders_copy import address_of
from hostile.server import Asked, HostileServer, answer, endless_proxy, hostile

from syncd.copy.workers.large.line import connection_to
from syncd.model.errors import ConfigError
from syncd.verify.evidence.timestamp import SUFFIX, stamp


def dripping_headers(server: HostileServer) -> Iterable[bytes]:
    return itertools.chain([b"HTTP/1.1 200 OK\r\nX-Padding: "], server.drip(itertools.repeat(b"H"), 0.05))


def dripping_body(server: HostileServer) -> Iterable[bytes]:
    return itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], server.drip(itertools.repeat(b"0"), 0.05))


def test_a_connection_through_a_proxy_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile(lambda _: endless_proxy(server)) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        connection = connection_to(address_of("https://example.com", "logs"), seconds=0.5)

        with pytest.raises(TimeoutError):
            connection.connect()
        connection.close()
        assert [(asked.method, asked.headers) for asked in server.asked] == [("CONNECT", {})]


@pytest.mark.parametrize("drips", [dripping_headers, dripping_body])
def test_a_time_stamp_that_drips_is_given_up(drips: Callable[[HostileServer], Iterable[bytes]], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}")

    def attack(_: Asked) -> Iterable[bytes]:
        return drips(server)

    with hostile(attack) as server, pytest.raises(ConfigError, match=r"no whole answer within 0\.5 s"):
        stamp(report, server.url, seconds=0.5)

    assert not report.with_name(report.name + SUFFIX).exists()


def test_a_time_stamp_that_comes_is_read_to_its_end(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}")

    with hostile(lambda _: [answer(b"<html>")]) as server, pytest.raises(ConfigError, match="no time stamp"):
        stamp(report, server.url, seconds=60)
