"""TLS that is not trusted or does not come about, and proxies that refuse, drip and want a password."""

import base64
import contextlib
import itertools
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from certificates import Authority
from proxy import ConnectProxy
from raw_server import OK, SECONDS, RawServer, answering, asked, get, head_of, sent, serving

from syncd.aws.transport import Transport
from syncd.aws.wire import certificates, exchange, opening


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)


# TLS

UNTRUSTED: dict[str, tuple[Callable[[Authority, Authority], Path], str]] = {
    "of another authority": (lambda _, other: other.certificate(), "issuer certificate"),
    "that has expired": (lambda authority, _: authority.certificate(is_expired=True), "expired"),
    "of another host": (lambda authority, _: authority.certificate(host="127.0.0.2"), "IP address mismatch"),
    "of a name": (lambda authority, _: authority.certificate(host="localhost"), "IP address mismatch"),
}


@pytest.mark.parametrize("what", UNTRUSTED)
def test_a_certificate_that_is_not_trusted_fails_at_once(authority: Authority, tmp_path: Path, what: str) -> None:
    made, why = UNTRUSTED[what]
    with serving(answering(), certificate=made(authority, Authority(tmp_path, "other"))) as server:
        answered = asked(Transport(), server.url, authorities=str(authority.path))

        assert (answered.status, answered.code) == (0, "certificate_untrusted")
        assert answered.message.startswith(f"the certificate of 127.0.0.1:{server.port} is not trusted: ")
        assert why in answered.message
        assert len(server.connections) == 1


@pytest.mark.parametrize("content", ["no certificate", None], ids=["no certificate", "no file"])
def test_authorities_that_cannot_be_used_fail_at_once(
    authority: Authority, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    with serving(answering(), certificate=authority.certificate()) as server:
        answered = asked(Transport(), server.url, authorities=str(path))

        assert answered.code == "certificate_untrusted"
        assert str(path) in answered.message
        assert len(server.connections) <= 1


@pytest.mark.parametrize("what", ["cut off", "broken"])
def test_authorities_that_are_damaged_are_named(authority: Authority, tmp_path: Path, what: str) -> None:
    """OpenSSL alone says "PEM lib", of no file."""
    whole = authority.path.read_text()
    file = tmp_path / "damaged.pem"
    file.write_text(whole[: len(whole) // 2] if what == "cut off" else whole.replace("MII", "!!!"))

    with pytest.raises(ssl.SSLError) as raised:
        certificates.check(str(file))

    said = certificates.unusable(str(file), raised.value)
    assert (str(file) in said, "damaged or cut off" in said) == (True, True)
    file.write_text(whole)
    certificates.check(str(file))


def test_a_server_is_trusted_by_the_authorities_of_each_request(authority: Authority, tmp_path: Path) -> None:
    """A connection of one that trusts is not used for one that does not."""
    other, transport = Authority(tmp_path, "other"), Transport()
    with serving(answering(), certificate=authority.certificate()) as server:
        codes = [
            asked(transport, server.url, authorities=str(path)).code
            for path in (authority.path, other.path, authority.path)
        ]

        assert codes == ["", "certificate_untrusted", ""]
        assert len(server.connections) == 2


def dripping(data: bytes, rest: bytes = b"\0") -> Callable[[socket.socket, int], None]:
    """Serve by bytes that come one by one."""

    def serve(connection: socket.socket, _: int) -> None:
        connection.sendall(data)
        while not threading.Event().wait(0.02):
            connection.sendall(rest)

    return serve


def silent(connection: socket.socket, _: int) -> None:
    while connection.recv(65_536):
        pass


def ending(connection: socket.socket, _: int) -> None:
    connection.recv(1)


WITHOUT_TLS = {
    "a handshake that does not begin": (silent, "no connection to 127.0.0.1:PORT within 0 s"),
    # A record of TLS of 16 KiB that does not come to its end.
    "a handshake that drips": (dripping(b"\x16\x03\x03\x40\x00\x02"), "no connection to 127.0.0.1:PORT within 0 s"),
    "a handshake that ends": (ending, "127.0.0.1 ends the connection before TLS has begun"),
    "plain HTTP": (
        lambda connection, _: connection.sendall(OK),
        "127.0.0.1:PORT speaks no TLS that is understood here",
    ),
}


@pytest.mark.parametrize("what", WITHOUT_TLS)
def test_a_server_without_tls_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(opening, "_OPEN_SECONDS", 0.3)
    serve, why = WITHOUT_TLS[what]
    with serving(serve) as server:
        answered = asked(Transport(attempts=2), server.url.replace("http:", "https:"))

        assert answered.code == "connection_failed"
        assert answered.message.startswith(why.replace("PORT", str(server.port)))
        assert len(server.connections) == 2


def test_authorities_that_are_edited_twice_at_once_are_those_of_the_last_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems stamp by the second. Two edits within one leave the same times, and here the same size and inode."""
    stat, trusted = os.stat, tmp_path / "trusted.pem"

    def by_the_second(path: Any, **more: Any) -> Any:
        found = stat(path, **more)
        if path != str(trusted):
            return found
        mtime_ns, ctime_ns = (ns // 10**9 * 10**9 for ns in (found.st_mtime_ns, found.st_ctime_ns))
        return SimpleNamespace(st_mtime_ns=mtime_ns, st_ctime_ns=ctime_ns, st_ino=found.st_ino, st_size=found.st_size)

    monkeypatch.setattr(os, "stat", by_the_second)
    texts = [Authority(tmp_path, name).path.read_text() for name in ("one", "two")]
    padded = [text + "#" * (max(map(len, texts)) - len(text)) for text in texts]
    subjects = []
    trusted.write_text(padded[0])
    for text in padded * 5:
        with trusted.open("r+") as file:
            file.write(text)
        subjects.append(str(certificates.context_of(str(trusted)).get_ca_certs()[0]["subject"]))

    assert len(set(subjects)) == 2
    assert subjects == subjects[:2] * 5


def test_authorities_that_are_replaced_count_for_the_next_connection(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other, trusted = Authority(folder), tmp_path / "trusted.pem"
    trusted.write_bytes(authority.path.read_bytes())
    transport = Transport(attempts=1)
    with serving(
        answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")), certificate=authority.certificate()
    ) as server:
        assert asked(transport, server.url, authorities=str(trusted)).body == b"body"
        trusted.write_bytes(other.path.read_bytes())
        assert asked(transport, server.url, authorities=str(trusted)).code == "certificate_untrusted"
        trusted.write_bytes(authority.path.read_bytes() + other.path.read_bytes())
        assert asked(transport, server.url, authorities=str(trusted)).body == b"body"


# Proxies that CONNECT


def through(proxy: str, server: RawServer, monkeypatch: pytest.MonkeyPatch, scheme: str = "https") -> None:
    """Reach a server by a proxy."""
    assert server.url.startswith(scheme)
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy)


def test_a_proxy_is_told_the_server_and_sees_nothing_else(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = Transport()
    with serving(answering(), certificate=authority.certificate()) as server, ConnectProxy() as proxy:
        through(proxy.url, server, monkeypatch)
        bodies = [asked(transport, server.url, authorities=str(authority.path)).body for _ in range(3)]

        assert bodies == [b"body"] * 3
        assert proxy.targets == [f"CONNECT 127.0.0.1:{server.port}"]


def test_a_proxy_is_told_an_address_of_ipv6_in_brackets(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(), host="::1", certificate=authority.certificate(host="::1")) as server:
        with ConnectProxy(refusal="403 Forbidden") as proxy:
            through(proxy.url, server, monkeypatch)
            asked(Transport(attempts=1), server.url)

        assert proxy.targets == [f"CONNECT [::1]:{server.port}"]


REFUSED = {
    "a refusal": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answers 403 Forbidden to CONNECT"),
    "a refusal with a body": (
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 9\r\n\r\nno,\r\n\r\nno",
        "answers 407 Proxy Authentication Required to CONNECT",
    ),
    "a refusal without an end": (
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n" + bytes(200_000),
        "answers 502 Bad Gateway to CONNECT",
    ),
    "a refusal in HTTP/1.0": (b"HTTP/1.0 503 Busy\r\n\r\n", "answers 503 Busy to CONNECT"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "answers no HTTP: it does not begin as HTTP/1.1 does to CONNECT"),
    "nothing": (b"", "ends the connection"),
    "a half": (b"HTTP/1.1 200 OK\r\n", "ends the connection"),
    "more than was asked for": (
        b"HTTP/1.1 200 OK\r\n\r\nmore",
        "answers 200 OK and more to CONNECT",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_proxy_that_refuses_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    answer, why = REFUSED[what]

    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(answer)

    with serving(serve) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        answered = asked(Transport(attempts=2), "https://bucket.example.com")

        assert answered.code == "connection_failed"
        assert answered.message == f"the proxy 127.0.0.1:{proxy.port} {why}"
        assert len(proxy.connections) == 2


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_proxy_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch, begins: bytes) -> None:
    def serve(connection: socket.socket, number: int) -> None:
        head_of(connection)
        connection.sendall(begins)
        if begins.endswith(b"\r\n\r\n"):
            silent(connection, number)
        lines = itertools.cycle(b"HTTP/1.1 200 OK\r\nX: y\r\n" if not begins else b"X: y\r\n")
        for byte in lines:
            connection.sendall(bytes([byte]))
            threading.Event().wait(0.01)

    monkeypatch.setattr(opening, "_OPEN_SECONDS", 0.3)
    with serving(serve) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        answered = asked(Transport(attempts=1), "https://bucket.example.com")

        assert answered.code == "connection_failed"
        assert answered.message == f"no connection to the proxy 127.0.0.1:{proxy.port} within 0 s"


USERS = {
    "user:password": b"user:password",
    "user:p%40ss%3Aw%2Frd%0A": b"user:p@ss:w/rd\n",
    "user": b"user:",
    "%C3%BC:%F0%9F%98%80": "ü:😀".encode(),
}


@pytest.mark.parametrize("user", USERS)
def test_a_proxy_is_given_its_password_and_nobody_else(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    told, heads = [], []

    def serve_proxy(connection: socket.socket, _: int) -> None:
        told.append(head_of(connection).decode())
        with socket.create_connection(("127.0.0.1", server.port)) as behind:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pumps = [threading.Thread(target=pump, args=ends) for ends in ((connection, behind), (behind, connection))]
            for each in pumps:
                each.start()
            for each in pumps:
                each.join()

    def serve(connection: socket.socket, _: int) -> None:
        heads.append(head_of(connection).decode())
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    with serving(serve, certificate=authority.certificate()) as server, serving(serve_proxy) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{user}@"))
        answered = asked(Transport(), server.url, authorities=str(authority.path))

    expected = base64.b64encode(USERS[user]).decode()
    assert answered.body == b"body"
    place = f"127.0.0.1:{server.port}"
    asked_for = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: Basic {expected}\r\n\r\n"
    assert told == [asked_for]
    assert "proxy" not in heads[0].lower()


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


# Proxies of plain HTTP


def test_plain_http_goes_through_a_proxy_in_absolute_form(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = []

    def serve(connection: socket.socket, _: int) -> None:
        while True:
            heads.append(head_of(connection).decode())
            connection.sendall(OK)

    transport = Transport()
    with serving(serve) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:password@"))
        answers = [
            asked(transport, "http://s3.example.com:9000", get("a b")._replace(query="list-type=2")) for _ in range(2)
        ]

        assert [each.body for each in answers] == [b"body"] * 2
        assert len(proxy.connections) == 1
    lines = heads[0].split("\r\n")
    assert lines[0] == "GET http://s3.example.com:9000/bucket/a%20b?list-type=2 HTTP/1.1"
    assert "host: s3.example.com:9000" in lines
    assert f"proxy-authorization: Basic {base64.b64encode(b'user:password').decode()}" in lines
    assert "proxy-authorization" not in next(line for line in lines if line.startswith("authorization"))


EXCEPT = {
    "127.0.0.1": True,
    "localhost,127.0.0.1": True,
    "10.0.0.0/8, 127.0.0.0/8": True,
    "*": True,
    "127.0.0.1:PORT": True,
    "127.0.0.1:1": False,
    "127.0.0.2": False,
    "10.0.0.0/8,example.com,,x/y": False,
    "": False,
}


@pytest.mark.parametrize("names", EXCEPT)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_without_a_proxy_is_asked_directly(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, scheme: str, names: str
) -> None:
    with (
        serving(answering(), certificate=authority.certificate() if scheme == "https" else None) as server,
        serving(answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")) as proxy,
    ):
        through(proxy.url, server, monkeypatch, scheme)
        monkeypatch.setenv("NO_PROXY", names.replace("PORT", str(server.port)))
        answered = asked(Transport(attempts=1), server.url, authorities=str(authority.path))

        assert (answered.body == b"body", len(proxy.connections) == 0) == (EXCEPT[names], EXCEPT[names])


ODD_PROXIES = [
    "https://127.0.0.1:1",
    "socks5://127.0.0.1:1",
    "http://127.0.0.1:99999",
    "http://[::1",
    "http://",
    "http://me:se#cret@127.0.0.1:1",
    "http://me:se/cret@127.0.0.1:1",
    "http://me:12/cret@127.0.0.1:1",
]


@pytest.mark.parametrize("proxy", ODD_PROXIES)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_used_fails_each_request(
    monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy)
    transport = Transport()

    waiting = [sent(transport, f"{scheme}://s3.example.com") for _ in range(3)]

    answers = [each.result(SECONDS) for each in waiting]
    assert [answer.code for answer in answers] == ["connection_failed"] * 3
    assert f"{scheme.upper()}_PROXY" in answers[0].message
    assert not any(word in answers[0].message for word in ("se#", "cret", "12"))
