"""Certificates of servers: which authorities are trusted.

Each request may name a file of them. Without one, those of OpenSSL hold: SSL_CERT_FILE and SSL_CERT_DIR, else the system's.
"""

import os
from pathlib import Path
from typing import Any, Protocol


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
    """Look whether a file has certificates.

    Raises:
        OSError: it cannot be read.
        ValueError: it has none.
    """
    if authorities and _BEGINS not in Path(authorities).read_bytes():
        raise ValueError("no certificates")


def look_for_descriptor() -> None:
    """Look whether a file can be opened.

    Raises:
        OSError: there are no descriptors.
    """
    os.close(os.open("/", os.O_RDONLY))


def unusable(authorities: str, error: Exception) -> str:
    """Return a sentence about a file of authorities that cannot be used."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it has no PEM certificates"
    return f"the authorities in {authorities} (AWS_CA_BUNDLE, ca_bundle of the profile, or SSL_CERT_FILE): {why}"
