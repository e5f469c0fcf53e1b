"""One configuration file: a regular file of bounded size, with TOML that is parsed in bounded time, and paths in it."""

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from syncd.config.words import Finding, expanded_path, shown

_OF_A_JOB = (
    ("consumer", "credentials_file"),
    ("heartbeat_url_file",),
    *(("webhooks", name, "url_file") for name in ("healthchecks", "slack", "json")),
    ("webhooks", "pagerduty", "key_file"),
)
_PATH_KEYS = (("state_dir",), *_OF_A_JOB, *(("defaults", *keys) for keys in _OF_A_JOB))
_VARIABLES = (
    "CREDENTIALS_DIRECTORY, STATE_DIRECTORY, CONFIGURATION_DIRECTORY, RUNTIME_DIRECTORY, HOME, XDG_* and SYNCD_*"
)
_ALLOWED = r"(?:CREDENTIALS|STATE|CONFIGURATION|RUNTIME)_DIRECTORY|HOME|(?:XDG|SYNCD)_[A-Z0-9_]+"

LARGEST_BYTES = 1024 * 1024
MOST_DOTS = 8
"""In one line, outside of texts and comments. tomllib takes the square of a key's parts, and ours have four at most."""

_NAME = r"""name[ \t]*=[ \t]*(["'])([A-Za-z0-9][A-Za-z0-9._-]{0,63})\1[ \t]*(?:#.*)?"""
# In step with TOML up to the first mistake, which is as far as tomllib reads.
_TOKEN = re.compile(
    r"""
    \#[^\n]*
    | \"\"\"(?:[^\\]|\\.)*?\"\"\"\"{0,2}
    | '''.*?''''{0,2}
    | "(?:[^"\\\n]|\\.)*"
    | '[^'\n]*'
    | (?P<dot>\.)
    | (?P<end>\n)
    """,
    re.VERBOSE | re.DOTALL,
)


class UnusableError(Exception):
    """The file cannot be read, with the reason and the remedy."""

    def __init__(self, message: str, *, job: str | None = None) -> None:
        super().__init__(message)
        self.job = job
        """The name of its job, if that could be found."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file. Raises UnusableError if it cannot be read.

    Links to a file are followed: Kubernetes makes them for a ConfigMap.
    """
    try:
        text = _content(path).decode("utf-8-sig")
    except FileNotFoundError:
        reason = "there is no such file; name one with --config or $SYNCD_CONFIG, or write one with `syncd init`"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or type(error).__name__}; let the user that runs syncd read it"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text; save it as UTF-8"
    else:
        return _parsed(text)
    raise UnusableError(reason)


def _content(path: Path) -> bytes:
    # Looked at before it is opened, since opening alone waits for the other end of a pipe, or winds a tape.
    _require_regular(path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        _require_regular(os.fstat(descriptor))
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise UnusableError(
            f"is larger than {LARGEST_BYTES // 1024**2} MiB, which no configuration is; is it another file?"
        )
    return content


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnusableError("cannot be read: Is a directory; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableError("is not a regular file but a pipe, a socket or a device; put a file there")


def _parsed(text: str) -> dict[str, Any]:
    line = _line_of_many_dots(text)
    if line:
        reason = f"is not read, since line {line} has more than {MOST_DOTS} dots outside of texts; no key of syncd has as many"
        raise UnusableError(reason, job=_name(text))
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise UnusableError(_syntax(error), job=_name(text)) from None


def _line_of_many_dots(text: str) -> int:
    """Return the number of the first line with more than `MOST_DOTS`, or 0."""
    dots = 0
    for token in _TOKEN.finditer(text):
        if token["dot"]:
            dots += 1
            if dots > MOST_DOTS:
                return text.count("\n", 0, token.start()) + 1
        elif token["end"]:
            dots = 0
    return 0


def _syntax(error: Exception) -> str:
    found = re.fullmatch(r"(.*) \(at (.*)\)", str(error), re.DOTALL)
    what, where = found.groups() if found else (str(error) or "nested too deeply", "an unknown place")
    return f"is not valid TOML at {where}: {what}; texts and account IDs stand in quotes, numbers and true without"


def _name(text: str) -> str | None:
    """Find the job's name in a text that is no TOML, on a line before the first table."""
    for line in text.split("\n", 200)[:200]:
        if line.startswith("["):
            return None
        if found := re.fullmatch(_NAME, line.strip()):
            return found[2]
    return None


def name_of(raw: Mapping[str, Any] | None) -> str | None:
    """Return the job's name as the file has it, or None if that is no text."""
    name = raw.get("name") if raw is not None else None
    return name if isinstance(name, str) else None


def with_paths_expanded(
    raw: dict[str, Any], folder: Path, environ: Mapping[str, str], findings: list[Finding]
) -> dict[str, Any]:
    """Expand ~, variables and relative paths. Appends a finding for each path that cannot be expanded."""
    for keys in _PATH_KEYS:
        raw = _with_path_expanded(raw, keys, folder, environ, findings)
    return raw


def _with_path_expanded(
    raw: dict[str, Any], keys: Sequence[str], folder: Path, environ: Mapping[str, str], findings: list[Finding]
) -> dict[str, Any]:
    key, *rest = keys
    value = raw.get(key)
    if rest and isinstance(value, Mapping):
        inner: list[Finding] = []
        raw = {**raw, key: _with_path_expanded(dict(value), rest, folder, environ, inner)}
        findings += [Finding(f"{key}.{dotted}", message) for dotted, message in inner]
    elif not rest and isinstance(value, str) and value:
        names = re.findall(r"\$\{([^}]*)\}", value)
        if problem := _variable_problem(names, environ):
            findings.append(Finding(key, f"{shown(value)} names {problem}"))
            return {name: item for name, item in raw.items() if name != key}
        text = re.sub(r"\$\{([^}]*)\}", lambda found: environ[found[1]], value)
        expanded = str(folder / _home(text, environ))
        raw = {**raw, key: expanded_path(expanded, written=value) if names and "\0" not in expanded else expanded}
    return raw


def _variable_problem(names: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the first variable that cannot be used, or None."""
    for name in names:
        if not re.fullmatch(_ALLOWED, name):
            # Any other may hold a secret, and a path is printed, logged and stored.
            return f"{shown(f'${{{name}}}')}, which is not expanded; a path may name {_VARIABLES}"
        if name not in environ:
            return f"${{{name}}}, which is not set in the environment"
    return None


def _home(text: str, environ: Mapping[str, str]) -> str:
    if text.split("/", 1)[0] == "~" and environ.get("HOME"):
        return environ["HOME"] + text[1:]
    return os.path.expanduser(text)  # noqa: PTH111 - Path raises where there is no such user
