"""Connections for large bodies, by Python's HTTP client, which can read into a buffer and send from it.

That client and what it loads are a tenth of the start of a copy worker, and most workers need none.
"""

import ssl
from base64 import b64encode
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from syncd.aws.s3 import Address
from syncd.aws.wire.timed_http import TlsConnection


def connection_to(address: Address, *, seconds: float) -> HTTPConnection:
    """Return a connection to a server that is not open yet. It has so many seconds to open.

    It goes through the proxy of the environment, as curl's connections do.

    Raises:
        HTTPException: plain HTTP goes through no tunnel, and what a proxy does then is not done here.
    """
    parts = urlsplit(f"//{address.host}")
    host, proxy = parts.hostname or "", _proxy(address.scheme, parts.hostname or "")
    if address.scheme == "http":
        if proxy.hostname:
            raise HTTPException("plain HTTP, and a proxy")
        return HTTPConnection(host, parts.port or 80, timeout=seconds)
    options: dict[str, Any] = {"context": _context(address.authorities), "timeout": seconds}
    if not proxy.hostname:
        return TlsConnection(host, parts.port or 443, **options)
    through = TlsConnection(proxy.hostname, proxy.port or 80, **options)
    user = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()
    asked = {"Proxy-Authorization": f"Basic {b64encode(user).decode()}"} if proxy.username else {}
    through.set_tunnel(host, parts.port or 443, headers=asked)
    return through


@lru_cache(8)
def _context(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities or None)
    # curl is not as strict, and a server that it trusts must not be refused here.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy(scheme: str, host: str) -> SplitResult:
    """Return the proxy's URL, or an empty one. Of NO_PROXY, Python knows no networks such as 10.0.0.0/8."""
    names = {} if proxy_bypass(host) else getproxies()
    with suppress(ValueError):
        number = ip_address(host)
        for entry in names.get("no", "").split(","):
            with suppress(ValueError):
                if number in ip_network(entry.strip(), strict=False):
                    names = {}
    return urlsplit(names.get(scheme, ""))
