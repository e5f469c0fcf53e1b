"""curl's handles: what is sent on one, and what comes back within bounds."""

import os
from collections.abc import Mapping

import pycurl

from syncd.aws.wire import certificates

HEAD_BYTES = 64 * 1024
"""The largest header block. S3's own have a few kilobytes."""
_CONNECT_SECONDS = 10
# A connection on which nothing moves for so long is given up, and the request sent again.
_STALLED_SECONDS = 30
# S3 closes connections that are idle for longer than about this.
_KEPT_SECONDS = 15
_BUFFER_BYTES = 128 * 1024
# What a callback returns to end a transfer.
_END = -1
# What curl would add of its own accord.
_UNWANTED = [b"Accept:", b"Expect:"]


class Handle:
    """One of curl's handles, for requests of one method that trust the same authorities, one after the other."""

    __slots__ = ("_body", "_body_bytes", "_has_body", "_head", "_head_bytes", "_most_bytes", "curl")

    def __init__(self, method: str, scheme: str, authorities: str) -> None:
        """`authorities` is a file of certificates, or empty for the system's."""
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = self._most_bytes = 0
        self._has_body = method in {"PUT", "POST"}
        self.curl = curl = pycurl.Curl()
        for option, value in _options(scheme, authorities).items():
            curl.setopt(option, value)
        if method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        elif method != "GET":
            curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HEADERFUNCTION, self._take_head)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def ask(self, url: str, headers: list[tuple[str, str]], body: bytes, most_bytes: int) -> None:
        """Make the next request. No more than `most_bytes` of an answer's body are taken."""
        self._head.clear()
        self._body.clear()
        self._head_bytes = self._body_bytes = 0
        self._most_bytes = most_bytes
        # An empty value is marked by a semicolon (CURLOPT_HTTPHEADER).
        lines = [f"{name}: {value}".encode("latin-1") if value else f"{name};".encode() for name, value in headers]
        curl = self.curl
        if self._has_body:
            curl.setopt(pycurl.POSTFIELDS, body)
            if "content-type" not in dict(headers):
                lines.append(b"Content-Type:")
        curl.setopt(pycurl.HTTPHEADER, lines + _UNWANTED)
        curl.setopt(pycurl.URL, url)

    def answer(self) -> tuple[int, list[bytes], bytes]:
        """Return status, header lines and body of the answer. Forgets what was sent and what came."""
        curl = self.curl
        if self._has_body:
            curl.setopt(pycurl.POSTFIELDS, b"")
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        head, body = self._head, self._body
        self._head, self._body = [], []
        return status, head, body[0] if len(body) == 1 else b"".join(body)

    @property
    def is_too_large(self) -> str:
        """What is too large about the answer: a few words. Empty if nothing is."""
        if self._head_bytes > HEAD_BYTES:
            return f"a header block of more than {HEAD_BYTES} bytes"
        if self._body_bytes > self._most_bytes:
            return f"an answer of more than {self._most_bytes} bytes"
        return ""

    def _take_head(self, line: bytes) -> int | None:
        self._head_bytes += len(line)
        if self._head_bytes > HEAD_BYTES:
            return _END
        self._head.append(line)
        return None

    def _take_body(self, piece: bytes) -> int | None:
        self._body_bytes += len(piece)
        self._body.append(piece)
        return _END if self._body_bytes > self._most_bytes else None


def _options(scheme: str, authorities: str) -> Mapping[int, object]:
    """Return what holds for every request on a handle."""
    options: dict[int, object] = {
        # Keys are sent as they were signed: "a/../b" is one, and not "b".
        pycurl.PATH_AS_IS: 1,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
        pycurl.NOSIGNAL: 1,
        pycurl.CONNECTTIMEOUT: _CONNECT_SECONDS,
        pycurl.LOW_SPEED_LIMIT: 1,
        pycurl.LOW_SPEED_TIME: _STALLED_SECONDS,
        pycurl.MAXAGE_CONN: _KEPT_SECONDS,
        pycurl.BUFFERSIZE: _BUFFER_BYTES,
        pycurl.USERAGENT: "syncd",
    }
    if scheme == "http" and "http_proxy" not in os.environ and "HTTP_PROXY" in os.environ:
        # curl leaves this one in capitals alone, as a request to a CGI could set it. Here is none.
        options[pycurl.PROXY] = os.environ["HTTP_PROXY"]
    file, folder = certificates.trusted(authorities)
    if file:
        options |= {pycurl.CAINFO: file, pycurl.PROXY_CAINFO: file}
    if folder:
        options |= {pycurl.CAPATH: folder, pycurl.PROXY_CAPATH: folder}
    return options
