"""Certificates of servers: which authorities are trusted.

Each request may name a file of them. Without one, those of OpenSSL hold: SSL_CERT_FILE and SSL_CERT_DIR, else the system's.
"""

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from syncd.config.reading.versions import version_of


class Session(Protocol):
    """Session that knows a user's settings."""

    def get_config_variable(self, logical_name: str) -> Any:
        """Return a setting."""
        ...


_BEGINS = b"-----BEGIN "


def authorities_of(session: Session) -> str:
    """Return the file of authorities that a session trusts, or empty for the default.

    That is AWS_CA_BUNDLE or the profile's `ca_bundle`, then what botocore and OpenSSL fall back on.
    """
    configured = session.get_config_variable("ca_bundle")
    return str(configured or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or "")


def check(authorities: str) -> None:
    """Look whether a file of authorities can be used.

    Raises:
        OSError: it cannot be read, or a certificate in it is damaged.
        ValueError: it has no certificates.
    """
    if authorities:
        context_of(authorities)


def context_of(authorities: str) -> ssl.SSLContext:
    """Return how TLS is spoken with servers that these authorities certify, as the file has them now.

    Raises:
        OSError: the file cannot be read, or there is no descriptor to read it.
        ValueError: it has no certificates.
    """
    version = version_of(authorities) if authorities else ()
    if authorities and not version:
        return _new_context(authorities)
    return _kept_context(authorities, version)


@lru_cache(16)
def _kept_context(authorities: str, _version: tuple[int, ...]) -> ssl.SSLContext:
    return _new_context(authorities)


def _new_context(authorities: str) -> ssl.SSLContext:
    if authorities and _BEGINS not in Path(authorities).read_bytes():
        raise ValueError("no certificates")
    # OpenSSL passes over what it cannot read of the system's, and the context is kept.
    look_for_descriptor()
    context = ssl.create_default_context(cafile=authorities or None)
    # OpenSSL by itself is not as strict, and private authorities are often not what RFC 5280 says.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # Python may have it set: a body without a length would seem whole wherever somebody ends the connection.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def look_for_descriptor() -> None:
    """Look whether a file can be opened.

    Raises:
        OSError: there are no descriptors.
    """
    os.close(os.open("/", os.O_RDONLY))


def unusable(authorities: str, error: Exception) -> str:
    """Return a sentence about a file of authorities that cannot be used."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it has no PEM certificates"
    if isinstance(error, ssl.SSLError):
        why = "a certificate in it is damaged or cut off"
    return f"the authorities in {authorities} (AWS_CA_BUNDLE, ca_bundle of the profile, or SSL_CERT_FILE): {why}"
