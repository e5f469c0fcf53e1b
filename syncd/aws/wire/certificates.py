"""Certificates of servers: which authorities are trusted.

Each request may name a file of them. Without one, those that OpenSSL trusts hold: SSL_CERT_FILE and SSL_CERT_DIR, else
the system's. curl's library brings an OpenSSL that looks for the system's in the folders of the machine that built it.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.session import Session

# Where systems keep them: those of Debian, Fedora, openSUSE, Alpine (crypto/x509/root_linux.go of Go has the same list).
_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_BEGINS = b"-----BEGIN "


def authorities_of(session: "Session") -> str:
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


def trusted(authorities: str) -> tuple[str, str]:
    """Return the file and the folder of the authorities to trust, each empty if there is none. `authorities` may name one."""
    if authorities:
        return authorities, ""
    file, folder = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    return (file, folder) if file or folder else _of_the_system()


@lru_cache(1)
def _of_the_system() -> tuple[str, str]:
    file = next((path for path in _FILES if Path(path).is_file()), "")
    return file, "" if file else next((path for path in _FOLDERS if Path(path).is_dir()), "")


def unusable(authorities: str, error: Exception) -> str:
    """Return a sentence about a file of authorities that cannot be used."""
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it has no PEM certificates"
    return f"the authorities in {authorities} (AWS_CA_BUNDLE, ca_bundle of the profile, or SSL_CERT_FILE): {why}"
