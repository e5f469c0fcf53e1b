"""Connections for large bodies, by Python's HTTP client, which can read into a buffer and send from it.

That client and what it loads are a tenth of the start of a copy worker, and most workers need none.
"""

from http.client import HTTPConnection, HTTPException

from syncd.aws.s3 import Address
from syncd.aws.wire.servers import context_of, server_of
from syncd.aws.wire.timed_http import TlsConnection


def connection_to(address: Address, *, seconds: float) -> HTTPConnection:
    """Return a connection to a server that is not open yet. It has so many seconds to open.

    It goes through the proxy of the environment, as the transport's connections do.

    Raises:
        HTTPException: plain HTTP goes through no tunnel, and what a proxy does then is not done here.
    """
    server = server_of(address)
    proxy = server.proxy
    if server.scheme == "http":
        if proxy is not None:
            raise HTTPException("plain HTTP, and a proxy")
        return HTTPConnection(server.host, server.port, timeout=seconds)
    context = context_of(server.authorities)
    if proxy is None:
        return TlsConnection(server.host, server.port, context=context, timeout=seconds)
    through = TlsConnection(proxy.host, proxy.port, context=context, timeout=seconds)
    asked = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    through.set_tunnel(server.host, server.port, headers=asked)
    return through
