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
    """Look whether a file has certificates.

    Raises:
        OSError: it cannot be read, or one of them is damaged.
        ValueError: it has none.
    """
    if not authorities:
        return
    if _BEGINS not in Path(authorities).read_bytes():
        raise ValueError("no certificates")
    version = version_of(authorities)
    if version:
        _load(authorities, version)
    else:
        _load.__wrapped__(authorities, version)


@lru_cache(16)
def _load(authorities: str, _version: tuple[int, ...]) -> None:
    ssl.create_default_context(cafile=authorities)


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
