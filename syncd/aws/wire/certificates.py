"""Certificates of servers: which authorities are trusted, and why a server is not.

AWS's runtime trusts what OpenSSL trusts: SSL_CERT_FILE and SSL_CERT_DIR, else the system's authorities. It does not know
AWS_CA_BUNDLE. It also says nothing of a certificate that it does not trust: the connection hangs and is tried again, so
that only the deadline ends a request. A silent server is therefore asked for its certificate (`handshake`).
"""

import os
from typing import TYPE_CHECKING

from awscrt import io

if TYPE_CHECKING:
    from botocore.session import Session


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


def unusable(authorities: str, error: Exception) -> str:
    """Return a sentence about a file of authorities that cannot be used."""
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it has no PEM certificates"
    return f"the authorities in {authorities} (AWS_CA_BUNDLE, ca_bundle of the profile, or SSL_CERT_FILE): {why}"
