"""Access keys in the environment and in files, where nothing else is written about a consumer."""

import os
import shlex
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from pathlib import Path
from typing import NamedTuple

from syncd.config.job import Consumer

KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
"""The names of keys in files. In the environment they are in upper case."""
_VARIABLES = frozenset(
    {
        *map(str.upper, KEYS),
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_DEFAULT_OUTPUT",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_PAGER",
        "AWS_REGION",
        "AWS_SHARED_CREDENTIALS_FILE",
    }
)
"""Variables that neither name another provider nor move STS."""
_SETTINGS = frozenset({"ca_bundle", "cli_pager", "max_attempts", "output", "region", "retry_mode"})
"""Likewise the settings of a profile."""


class Keys(NamedTuple):
    """Access keys, with the names that botocore gives them. Their representation never shows the secret."""

    access_key: str
    secret_key: str
    token: str | None
    method: str

    def get_frozen_credentials(self) -> "Keys":
        """Return the keys, which do not change."""
        return self

    def __repr__(self) -> str:
        return f"Keys({self.access_key}, method={self.method})"


def written_down(consumer: Consumer) -> tuple[Keys, Mapping[str, str]] | None:
    """Return a consumer's keys and the settings of its profile. None if botocore has to look for them."""
    if any(name.startswith("AWS_") and name not in _VARIABLES for name in os.environ):
        return None
    try:
        keys, profile = _found(consumer)
        has_models = os.path.exists(os.path.expanduser("~/.aws/models"))  # noqa: PTH110, PTH111  # as botocore looks
    except (Error, OSError, ValueError, RuntimeError):
        return None
    return (keys, profile) if keys is not None and not has_models else None


def _found(consumer: Consumer) -> tuple[Keys | None, Mapping[str, str]]:
    """Return a consumer's keys, if they are all that is written about it, and its profile.

    botocore's order is the environment, unless a profile or a file is named, and then the file of credentials.
    """
    environ, is_named = os.environ, consumer.profile is not None or consumer.credentials_file is not None
    name = consumer.profile or "default"
    in_file = _sections(consumer.credentials_file or environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
    kept = in_file.get(name, {})
    profile = {**_configured(name, environ.get("AWS_CONFIG_FILE", "~/.aws/config")), **kept}
    method, found = "shared-credentials-file", [kept.get(name) for name in KEYS]
    if not is_named and environ.get("AWS_ACCESS_KEY_ID"):
        method, found = "env", [environ.get(name.upper()) for name in KEYS]
    key, secret, token = found
    is_plain = profile.keys() <= _SETTINGS | set(KEYS) and not any(value[:1] == "\n" for value in profile.values())
    return Keys(key, secret, token, method) if key and secret and is_plain else None, profile


def _configured(name: str, path: str) -> Mapping[str, str]:
    """Return the settings of a profile in the configuration file of AWS's tools.

    Raises:
        ValueError: it is written in a way that botocore has to read.
    """
    sections = _sections(path)
    named = [section for section in sections if name == (section if section == "default" else _profile_in(section))]
    if len(named) > 1:
        raise ValueError(name)
    return sections[named[0]] if named else {}


def _profile_in(section: str) -> str | None:
    """Return the name of the profile of a section, as botocore finds it. Raises ValueError for an open quotation."""
    words = shlex.split(section) if section.startswith("profile") else []
    return words[1] if len(words) == 2 else None


def _sections(path: str | Path) -> Mapping[str, Mapping[str, str]]:
    """Return what a file says, parsed as botocore parses it. A file that is not there says nothing."""
    parser = RawConfigParser()
    # Not by Path, which would find the file of a path that ends with a slash.
    found = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111
    if os.path.isfile(found):  # noqa: PTH113
        parser.read([found])
    return {section: dict(parser.items(section)) for section in parser.sections()}
