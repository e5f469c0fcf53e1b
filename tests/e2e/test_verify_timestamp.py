"""`syncd verify --report DIR --timestamp URL`: a time-stamping authority's signature, checked by OpenSSL."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from test_verify import Replicated, replicated  # noqa: F401  # the fixture

_CONFIG = """
[tsa]
default_tsa = only
[only]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
"""


@contextmanager
def answering(answer: Callable[[bytes], tuple[int, bytes]]) -> Iterator[str]:
    """Yields the address of a server that answers each body."""

    class Authority(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Authority)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        server.server_close()


def openssl(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with an authority's key, certificate and configuration."""
    folder = tmp_path / "authority"
    folder.mkdir()
    (folder / "tsa.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    made = openssl(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem"),
        *("-subj", "/CN=authority", "-addext", "extendedKeyUsage=critical,timeStamping"),
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.needs_tool("openssl")
def test_a_report_is_stamped_and_openssl_agrees(replicated: Replicated, authority: Path, tmp_path: Path) -> None:  # noqa: F811
    def reply(query: bytes) -> tuple[int, bytes]:
        (authority / "query").write_bytes(query)
        made = openssl(authority, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        assert made.returncode == 0, made.stderr
        return 200, (authority / "reply").read_bytes()

    with answering(reply) as url:
        code, entry = replicated.verify("--report", str(tmp_path / "evidence"), "--timestamp", url)

    assert (code, entry["verdict"]) == (0, "proved")
    (report,) = (tmp_path / "evidence").glob("*.json")
    check = ("ts", "-verify", "-data", str(report), "-in", f"{report}.tsr", "-CAfile", "tsa.pem")
    assert "Verification: OK" in openssl(authority, *check).stdout
    report.write_text(report.read_text().replace('"proved"', '"unproved"'))
    assert openssl(authority, *check).returncode != 0


@pytest.mark.needs_tool("openssl")
def test_a_stamp_that_is_none_or_of_something_else_is_refused(
    replicated: Replicated,  # noqa: F811
    authority: Path,
    tmp_path: Path,
) -> None:
    openssl(authority, "ts", "-query", "-data", "tsa.cnf", "-sha256", "-cert", "-out", "other")
    openssl(authority, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "other", "-out", "reply")
    of_something_else = (authority / "reply").read_bytes()
    answers = {
        "something else": (200, of_something_else),
        "no time stamp": (200, b"<html>"),
        "HTTP 503": (503, b""),
        "larger than": (200, b"0" * 70_000),
    }
    for told, answer in answers.items():
        with answering(lambda _, answer=answer: answer) as url:  # type: ignore[misc]
            ran = replicated.stage.syncd(
                *("verify", "--no-heal", "--keys", str(replicated.keys)),
                *("--report", str(tmp_path / "evidence"), "--timestamp", url),
            )
        assert (ran.code, told in ran.stderr, "Traceback" in ran.stderr) == (2, True, False), ran
    assert list((tmp_path / "evidence").glob("*.json"))
    assert not list((tmp_path / "evidence").glob("*.tsr"))
