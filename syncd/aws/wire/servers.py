"""Servers, the proxies before them, and whom they have to be certified by: the same for every connection of ours."""

import os
from base64 import b64encode
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from syncd.aws.s3 import Address

_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy that the environment names."""

    host: str
    port: int
    authorization: str
    """The value of Proxy-Authorization, or empty."""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


class Server(NamedTuple):
    """Who is at the other end of a connection."""

    scheme: str
    host: str
    port: int
    authorities: str
    """The file of certificates that its own must come from. Empty for the system's."""
    proxy: Proxy | None

    @property
    def shown(self) -> str:
        """Its host, and its port if that is not the scheme's own."""
        return self.host if self.port == _PORTS[self.scheme] else named(self)


def named(server: Server | Proxy) -> str:
    """Return a server as HOST:PORT, an address of IPv6 in brackets."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port}"


def server_of(address: Address) -> Server:
    """Return the server of a bucket, behind the proxy of the environment if it names one.

    Raises:
        ValueError: the address, or the proxy's, is none.
    """
    parts = urlsplit(f"//{address.host}")
    host = parts.hostname or ""
    port = parts.port or _PORTS[address.scheme]
    return Server(address.scheme, host, port, address.authorities, _proxy(address.scheme, host, port))


def _proxy(scheme: str, host: str, port: int) -> Proxy | None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # It loads an HTTP client, a tenth of a worker's start.
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    names = getproxies()
    is_excepted = proxy_bypass(host) or proxy_bypass(f"{host}:{port}") or _is_in_networks(host, names.get("no", ""))
    return None if is_excepted or not names.get(scheme) else _parsed(names[scheme], f"{scheme.upper()}_PROXY")


def _parsed(url: str, variable: str) -> Proxy:
    """Return the proxy of a URL. What is said of one that is none has no password in it."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or _PORTS["http"]
    except ValueError:
        port = 0
    # An "@" after the host is that of a password with "/", "?" or "#" in it.
    if not port or not parts.hostname or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise ValueError(f"{variable} is no URL of a proxy: write special characters of its password as %XX")
    if parts.scheme != "http":
        raise ValueError(f"{variable} names a proxy that is reached by {parts.scheme}://: only http:// is known here")
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    return Proxy(parts.hostname, port, f"Basic {b64encode(user).decode()}" if parts.username else "")


def _is_in_networks(host: str, names: str) -> bool:
    """Return whether NO_PROXY has a network, such as 10.0.0.0/8, that an address is in. Python itself knows none."""
    with suppress(ValueError):
        number = ip_address(host)
        for entry in names.split(","):
            with suppress(ValueError):
                if number in ip_network(entry.strip(), strict=False):
                    return True
    return False
