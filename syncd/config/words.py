"""Values in messages, of which secrets are never shown."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from syncd.model.units import format_duration

LONGEST_SHOWN = 80

# IAM's unique ID prefixes: AKIA is a long-term access key, ASIA a temporary one.
_ACCESS_KEY = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")
_SECRET_KEY = re.compile(
    r"(?<![A-Za-z0-9+/])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[0-9])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/])"
)
_SECRET_NAMES = (
    "accesskey",
    "accesskeyid",
    "apikey",
    "password",
    "passwd",
    "passphrase",
    "privatekey",
    "secret",
    "secretaccesskey",
    "secretkey",
    "securitytoken",
    "sessiontoken",
    "token",
)
_REMEDY = "name a profile or a credentials_file in [consumer], and remove the secret from this file"


class Finding(NamedTuple):
    """One thing wrong with a value, at a dotted key."""

    key: str
    message: str


def shown(value: object) -> str:
    """Return the value as TOML would write it, shortened, and never what looks like a secret."""
    match value:
        case str() if holds_secret(value):
            word = "(not shown: it looks like a secret)"
        case str():
            short = value if len(value) <= LONGEST_SHOWN else value[: LONGEST_SHOWN - 1] + "…"
            word = json.dumps(short, ensure_ascii=not short.isprintable())
        case bool():
            word = "true" if value else "false"
        case int() | float():
            word = str(value)
        case timedelta():
            word = format_duration(value)
        case date() | time():
            word = value.isoformat()
        case list() | tuple():
            word = "a list"
        case _:
            word = "a table" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"
    return word


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question with the known word that is closest. Returns an empty text if none is close."""
    from difflib import get_close_matches  # noqa: PLC0415  # for a mistake

    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return f'; did you mean "{by_lower[close[0]]}"?' if close else ""


def holds_secret(text: str) -> bool:
    """Return whether the text holds what looks like an AWS access key ID or a secret access key."""
    return bool(_ACCESS_KEY.search(text) or _SECRET_KEY.search(text))


def without_secrets(document: Mapping[str, Any], findings: list[Finding], path: str = "") -> dict[str, Any]:
    """Leave out secrets. Appends a finding for each, which never repeats the secret."""
    clean: dict[str, Any] = {}
    for key, value in document.items():
        dotted = f"{path}.{key}" if path else key
        if _ACCESS_KEY.search(key):
            findings.append(Finding(path, f"a key here is an AWS access key ID; {_REMEDY}"))
        elif _names_secret(key) and not isinstance(value, Mapping):
            findings.append(Finding(dotted, f"a secret may not stand in a configuration file; {_REMEDY}"))
        elif isinstance(value, Mapping):
            clean[key] = without_secrets(value, findings, dotted)
        elif isinstance(value, list):
            items = [without_secrets({key: item}, findings, path) for item in value]
            clean.update({key: [item[key] for item in items]} if all(key in item for item in items) else {})
        elif isinstance(value, str) and _ACCESS_KEY.search(value):
            findings.append(Finding(dotted, f"holds an AWS access key ID; {_REMEDY}"))
        else:
            clean[key] = value
    return clean


def _names_secret(key: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", key.lower()).removeprefix("aws") in _SECRET_NAMES


class ExpandedPath(type(Path())):  # type: ignore[misc]  # Path itself cannot be derived from before Python 3.12
    """A path in which variables were expanded, and which is shown as it was written."""

    written: str = ""


def expanded_path(text: str, *, written: str) -> Path:
    """Return the path, which messages show as `written`."""
    found = ExpandedPath(text)
    found.written = written
    return found


def as_written(path: Path) -> str:
    """Return the path as the file has it if that names variables.

    Not everybody who reads messages may see their values.
    """
    return getattr(path, "written", "") or str(path)
