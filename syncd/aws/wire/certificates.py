"""Certificates of servers: which authorities are trusted, and why a server is not.

AWS's runtime trusts what OpenSSL trusts: SSL_CERT_FILE and SSL_CERT_DIR, else the system's authorities. It does not know
AWS_CA_BUNDLE. It also says nothing of a certificate that it does not trust: the connection hangs and is tried again, so
that only the deadline ends a request. A silent server is therefore asked for its certificate here.
"""

import os
import ssl
from http.client import HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from awscrt import io

from syncd.aws.s3 import Address
from syncd.model.reasons import Reason

if TYPE_CHECKING:
    from botocore.session import Session

_HANDSHAKE_SECONDS = 5.0


def authorities_of(session: "Session") -> str:
    """Return the file of authorities that a session trusts, or empty for the default.

    That is AWS_CA_BUNDLE or the profile's `ca_bundle`, then what botocore and OpenSSL fall back on.
    """
    configured = session.get_config_variable("ca_bundle")
    return str(configured or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or "")


def tls_options(authorities: str) -> io.TlsConnectionOptions | None:
    """Return the runtime's TLS options that trust only these authorities. None for the default.

    Raises:
        OSError: the file cannot be read.
        RuntimeError: it has no certificates.
    """
    if not authorities:
        return None
    options = io.TlsContextOptions()
    options.override_default_trust_store_from_path(None, authorities)
    return io.ClientTlsContext(options).new_connection_options()


def refusal(address: Address) -> tuple[Reason, str] | None:
    """Return why TLS cannot be spoken with a server: the reason and a sentence. None if it can, or if it is silent.

    Shakes hands with it, through the proxy of the environment if there is one, and sends no request.
    """
    connection = _connection(address)
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        return Reason.UNTRUSTED, f"the certificate of {address.host} is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return Reason.CONNECTION, f"{address.host} speaks no TLS that is understood here: {error.reason or error}"
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return None


def _connection(address: Address) -> HTTPSConnection:
    parts = urlsplit(f"//{address.host}")
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context(cafile=address.authorities or None)
    # The runtime is not as strict, and a server that it trusts must not be refused here.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    options: dict[str, Any] = {"context": context, "timeout": _HANDSHAKE_SECONDS}
    proxy = None if proxy_bypass(host) else urlsplit(getproxies().get("https", ""))
    if proxy is None or not proxy.hostname:
        return HTTPSConnection(host, port, **options)
    through = HTTPSConnection(proxy.hostname, proxy.port or 80, **options)
    through.set_tunnel(host, port)
    return through


def unusable(authorities: str, error: Exception) -> str:
    """Return a sentence about a file of authorities that cannot be used."""
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it has no PEM certificates"
    return f"the authorities in {authorities} (AWS_CA_BUNDLE, ca_bundle of the profile, or SSL_CERT_FILE): {why}"
