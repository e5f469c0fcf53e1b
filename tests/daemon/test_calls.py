"""Calls of webhooks and heartbeats: each ends, whatever the other side does."""

import itertools
from collections.abc import Iterable

import pytest
from hostile.server import Asked, answer, endless_proxy, hostile

from syncd.daemon.notify.calls import failure_of

BODIES = [None, b"{}"]


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_that_drips_holds_nobody_for_longer_than_a_call(body: bytes | None) -> None:
    def dripping(_: Asked) -> Iterable[bytes]:
        return itertools.chain([b"HTTP/1.1 200 OK\r\nX-Padding: "], server.drip(itertools.repeat(b"H"), 0.05))

    with hostile(dripping) as server:
        assert failure_of(server.url, body, seconds=0.5) == "TimeoutError"


def test_a_tls_handshake_that_drips_is_given_up_too() -> None:
    # The beginning of a record of 16 KiB.
    record = itertools.chain([b"\x16\x03\x03\x3f\x00\x02"], itertools.repeat(b"\x00"))

    with hostile(lambda _: [], greeting=lambda server: server.drip(record, 0.05)) as server:
        assert failure_of(server.url.replace("http:", "https:"), seconds=0.5) == "TimeoutError"


def test_a_proxy_that_drips_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile(lambda _: endless_proxy(server)) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)

        assert failure_of("https://example.com/", seconds=0.5) == "TimeoutError"
        assert [asked.method for asked in server.asked] == ["CONNECT"]


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_that_comes_is_taken_as_it_is(body: bytes | None) -> None:
    with hostile(lambda _: [answer(b"no", "503 Service Unavailable")]) as server:
        assert failure_of(server.url, body, seconds=60) == "HTTP 503"
    with hostile(lambda _: [answer(b"yes")]) as server:
        assert failure_of(server.url, body, seconds=60) is None
