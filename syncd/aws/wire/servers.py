"""Servers, the proxies before them, and whom they have to be certified by: the same for every connection of ours."""

import os
import ssl
from base64 import b64encode
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from syncd.aws.s3 import Address
from syncd.aws.wire import certificates

_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy that the environment names."""

    scheme: str
    host: str
    port: int
    authorization: str
    """The value of Proxy-Authorization, or empty."""


class Server(NamedTuple):
    """Who is at the other end of a connection."""

    scheme: str
    host: str
    port: int
    authorities: str
    """The file of certificates that its own must come from. Empty for the system's."""
    proxy: Proxy | None


def server_of(address: Address) -> Server:
    """Return the server of a bucket, behind the proxy of the environment if it names one.

    Raises:
        ValueError: the address, or the proxy's, is none.
    """
    parts = urlsplit(f"//{address.host}")
    host = parts.hostname or ""
    return Server(
        address.scheme, host, parts.port or _PORTS[address.scheme], address.authorities, _proxy(address.scheme, host)
    )


@lru_cache(16)
def context_of(authorities: str) -> ssl.SSLContext:
    """Return how TLS is spoken with servers that these authorities certify.

    Raises:
        OSError: the file cannot be read, or there is no descriptor to read it.
        ValueError: it has no certificates.
    """
    certificates.check(authorities)
    # OpenSSL passes over what it cannot read of the system's, and the context is kept.
    certificates.look_for_descriptor()
    context = ssl.create_default_context(cafile=authorities or None)
    # OpenSSL by itself is not as strict, and private authorities are often not what RFC 5280 says.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy(scheme: str, host: str) -> Proxy | None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # It loads an HTTP client, a tenth of a worker's start.
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    names = {} if proxy_bypass(host) or _is_in_networks(host, getproxies().get("no", "")) else getproxies()
    url = names.get(scheme, "")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    authorization = f"Basic {b64encode(user).decode()}" if parts.username else ""
    return Proxy(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80), authorization)


def _is_in_networks(host: str, names: str) -> bool:
    """Return whether NO_PROXY has a network, such as 10.0.0.0/8, that an address is in. Python itself knows none."""
    with suppress(ValueError):
        number = ip_address(host)
        for entry in names.split(","):
            with suppress(ValueError):
                if number in ip_network(entry.strip(), strict=False):
                    return True
    return False
