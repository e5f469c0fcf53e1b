"""Lookups of credentials: code of others, such as helpers and token files, run apart and under a deadline.

botocore's providers start programs, read files and ask servers. They may raise anything, print anything, or never end.
"""

import os
import select
import signal
import stat
import subprocess
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread, local
from typing import Any, TypeVar

from syncd.aws.identity.refusals import passwords_of_proxies, raised_by_botocore, without
from syncd.config.words import as_written

T = TypeVar("T")

LOOKUP_SECONDS = 30.0
# What a helper prints is one JSON document: a session token has a few kilobytes.
_PRINTED_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
# So long nothing comes of a helper that has ended: it has printed all.
_SILENT_MS = 200
# Files with a token, and files that name providers.
_FILES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)
_TOKEN_FILES = _FILES[:2]

_HELPER_REMEDY = (
    "run this helper by hand as the user that runs syncd: it must end by itself within"
    f" {LOOKUP_SECONDS:.0f} s, without asking anybody, and print the JSON of credential_process (Version 1, AccessKeyId,"
    " SecretAccessKey, and for a session SessionToken and Expiration, as in 2026-11-01T12:00:00Z)"
)
_FILE_REMEDY = (
    "let the user that runs syncd read this token file, or correct what names it: on EKS the service account's annotation or"
    " its Pod Identity association, and the projected volume of the pod"
)
_SSO_REMEDY = (
    "have somebody log in as the user that runs syncd (`aws sso login --profile NAME`), which lasts for hours only: a daemon needs"
    " credentials that nobody has to renew, such as the role of its machine or container, or a credential_process"
)
_MFA_REMEDY = (
    "point the job at credentials that need no MFA code, since syncd has nobody to ask: a role or key of its own, or a"
    " session that somebody gets by `aws sts get-session-token` and writes where the job looks"
)


class LookupFailed(Exception):
    """A lookup that raised or did not end. The cause is what was raised, if anything."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class CodeAskedError(Exception):
    """A prompt for an MFA code."""


class _Lookup:
    """One lookup in its thread: the program that it is waiting for."""

    def __init__(self) -> None:
        self.helper = ""
        self.helper_ending = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_late = False
        self._lock = Lock()

    def waits_for(self, process: "subprocess.Popen[bytes] | None") -> None:
        with self._lock:
            self._process = process
            if self._is_late and process is not None:
                _kill(process)

    def end(self) -> None:
        """End the program, and every one that follows."""
        with self._lock:
            self._is_late = True
            if self._process is not None:
                _kill(self._process)


_under_way = local()


class Lookups:
    """Runner of lookups. One that does not end occupies one thread, however often it is asked for again."""

    def __init__(self, *, seconds: float = LOOKUP_SECONDS) -> None:
        """`seconds` is how long one may take."""
        self._seconds = seconds
        self._hanging: dict[Hashable, Thread] = {}

    def run(self, key: Hashable, look: Callable[[], T]) -> T:
        """Return what `look` returns. Lookups with the same key ask the same provider.

        Raises:
            LookupFailed: it raised something, or has not ended in time.
            RuntimeError: there is no thread for it.
        """
        hanging = self._hanging.get(key)
        if hanging is not None and hanging.is_alive():
            raise LookupFailed("an earlier lookup has still not ended", "")
        lookup, found, raised = _Lookup(), [], []

        def run() -> None:
            _under_way.lookup = lookup
            try:
                found.append(look())
            except BaseException as error:  # noqa: BLE001  # code of others may raise anything
                raised.append(error)

        thread = Thread(target=run, name="lookup", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if found:
            return found[0]
        if not raised:
            self._hanging[key] = thread
            lookup.end()
            waiting = lookup.helper or _token_file(None)
            remedy = _HELPER_REMEDY if lookup.helper else ""
            raise LookupFailed(f"{f'{waiting}: ' if waiting else ''}not ended after {self._seconds:.0f} s", remedy)
        raise _failed(raised[0], lookup) from raised[0]


def require_files(*, with_tokens: bool) -> None:
    """Refuse a device in place of a configuration or, if `with_tokens`, a token: it may never end.

    Raises:
        LookupFailed: a variable names one.
    """
    for name in _FILES if with_tokens else _FILES[len(_TOKEN_FILES) :]:
        path = os.environ.get(name)
        with suppress(OSError, ValueError):
            if path and not _is_readable_to_its_end(Path(path).expanduser().stat().st_mode):
                raise LookupFailed(f"{name} {as_written(Path(path))} is no regular file")


class Helper(subprocess.Popen[bytes]):
    """A credential helper: without a terminal, and with a bound on what it prints."""

    def __init__(self, command: Sequence[str], *, profile: str, **more: Any) -> None:
        self._lookup: _Lookup = getattr(_under_way, "lookup", None) or _Lookup()
        # Its arguments may be secret.
        program = as_written(Path(command[0])) if command else "(empty)"
        self._lookup.helper = f"credential_process {program} of profile {profile}"
        super().__init__(command, stdin=subprocess.DEVNULL, start_new_session=True, **more)
        self._lookup.waits_for(self)

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002
        """Return what it prints, after its end.

        Raises:
            ValueError: it prints more than any credentials have.
        """
        del input, timeout
        assert self.stdout is not None
        assert self.stderr is not None
        try:
            return _printed(self.pid, self.stdout.fileno(), self.stderr.fileno())
        except BaseException:
            _kill(self)
            raise
        finally:
            # Until it is reaped, its number is nobody else's and the deadline may kill it.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._lookup.waits_for(None)
            self._lookup.helper_ending = _ending(self.wait())
            self.stdout.close()
            self.stderr.close()


def _ending(code: int) -> str:
    """Return how a program ended, if that was not well."""
    if code < 0:
        return f" (it was ended by signal {-code})"
    return f" (it ended with exit status {code})" if code else ""


def _printed(pid: int, *descriptors: int) -> tuple[bytes, bytes]:
    """Return what comes from two pipes until both end, or their process has. Raises ValueError if it is too much.

    A process of its own session that the helper leaves behind, such as an agent, may keep them open for ever.
    """
    printed = dict.fromkeys(descriptors, b"")
    poll = select.poll()
    for descriptor in printed:
        poll.register(descriptor, select.POLLIN)
    left = len(printed)
    while left:
        # In this order: what it printed before its end is in the pipe.
        has_ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        ready = poll.poll(_SILENT_MS)
        if has_ended and not ready:
            break
        for descriptor, _ in ready:
            data = os.read(descriptor, _READ_BYTES)
            printed[descriptor] += data
            if not data:
                poll.unregister(descriptor)
                left -= 1
            if len(printed[descriptor]) > _PRINTED_BYTES:
                raise ValueError(f"it prints more than {_PRINTED_BYTES // 1024} KiB")
    out, err = printed.values()
    return out, err


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a helper and whatever it started. Its process group is its own, and remains until it is waited for."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _failed(error: BaseException, lookup: _Lookup) -> LookupFailed:
    helper = lookup.helper
    is_botocores = raised_by_botocore(error, "BotoCoreError", "ClientError")
    what = str(error) if is_botocores else f"{type(error).__name__}: {error}"
    what = without(what, tuple(passwords_of_proxies()))
    if isinstance(error, CodeAskedError):
        return LookupFailed(str(error), _MFA_REMEDY)
    if isinstance(error, LookupFailed):
        return LookupFailed(error.detail, error.remedy)
    if helper and not raised_by_botocore(error, "ClientError", "HTTPClientError"):
        return LookupFailed(f"{helper}: {what.strip().rstrip(':')}{lookup.helper_ending}", _HELPER_REMEDY)
    empty = _empty_token_file()
    if is_botocores and (empty or "WebIdentityToken" in what):
        return LookupFailed(
            f"{empty or 'the token file of the profile'}: there is no token in it: {what}", _FILE_REMEDY
        )
    if raised_by_botocore(error, "SSOError", "TokenRetrievalError"):
        return LookupFailed(what, _SSO_REMEDY)
    token_file = _token_file(error)
    if token_file:
        return LookupFailed(f"{token_file}: {what}", _FILE_REMEDY)
    return LookupFailed(what)


def _token_file(error: BaseException | None) -> str:
    """Return the token file that a lookup was about, or an empty text."""
    if error is not None and not isinstance(error, OSError | UnicodeError):
        return ""
    named = getattr(error, "filename", None)
    path = str(named) if named else next((os.environ[name] for name in _TOKEN_FILES if os.environ.get(name)), "")
    return f"token file {as_written(Path(path))}" if path else ""


def _empty_token_file() -> str:
    """Return the token file of the environment that is empty, or an empty text."""
    for name in _TOKEN_FILES:
        path = Path(os.environ.get(name) or os.devnull)
        with suppress(OSError):
            if path.is_file() and path.stat().st_size == 0:
                return f"token file {as_written(path)}"
    return ""


def _is_readable_to_its_end(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)
