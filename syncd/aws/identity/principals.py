"""The consumer of a job: its own credentials, wherever they come from."""

import re
from collections.abc import Callable
from threading import Lock
from typing import Any

from syncd.aws.identity import refusals
from syncd.aws.identity.lookups import LookupFailed, Lookups, require_files
from syncd.aws.identity.plain.session import Session
from syncd.aws.wire.signing import Credentials
from syncd.config.job import Consumer
from syncd.config.words import as_written
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason
from syncd.model.shortage import resource_limit, shortage

_IN_A_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")


class ConsumerPrincipal:
    """The consumer's own credentials: a profile, a credentials file, or the default chain."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        session: Callable[[], Session],
        identify: Callable[[Credentials], str | None] = lambda _: None,
        renew: Callable[[], object] = lambda: None,
        narrow: Callable[[Credentials], Credentials] = lambda credentials: credentials,
        lookups: Lookups | None = None,
    ) -> None:
        """Look the credentials up.

        `session` returns the consumer's session, a new one if its files have changed since, or after `renew`. `identify`
        returns the name behind credentials that appear later, and raises JobFailed if they belong to somebody else.
        `narrow` returns credentials that may do less.
        """
        self._consumer = consumer
        self._session = session
        self._identify = identify
        self._renew = renew
        self._narrow = narrow
        self._lookups = lookups or Lookups()
        self._lock = Lock()
        self.name = f"the consumer ({consumer.account_id})"
        self._found = self._frozen()
        self._current = self._found

    def identify(self) -> None:
        """Ask whose the credentials are, and narrow them. Credentials that are rejected are looked up anew, once.

        Raises:
            JobFailed: they are somebody else's, or rejected.
        """
        try:
            self.name = self._identify(self._found) or self.name
        except JobFailed as error:
            rejected = self._found
            if error.reason not in refusals.REJECTED or self._looked_up_anew() == rejected:
                raise
            self.name = self._identify(self._found) or self.name
        self._current = self._narrow(self._found)

    def current(self) -> Credentials:
        """Return the credentials last looked up."""
        return self._current

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Ask the provider, which renews temporary credentials by itself and reads a changed file again.

        If those in use were rejected, ask a provider that remembers nothing. It may have the same ones again.

        Raises:
            JobFailed: those in use were rejected and there are no others, or the others are somebody else's.
        """
        with self._lock:
            is_rejected = rejected == self._current
            before = self._found
            try:
                found = self._frozen()
                if is_rejected and found == before:
                    found = self._looked_up_anew()
            except JobFailed:
                # A file may be about to be written: use what was read before until it is rejected.
                if is_rejected:
                    raise
                return self._current
            if found != before:
                self.name = self._identify(found) or self.name
                self._found = found
            self._current = self._narrow(found)
            return self._current

    def _looked_up_anew(self) -> Credentials:
        self._renew()
        self._found = self._frozen()
        return self._found

    def _frozen(self) -> Credentials:
        consumer = self._consumer
        try:
            return self._lookups.run(
                (consumer.profile, str(consumer.credentials_file)),
                lambda: _checked(self._provided().get_frozen_credentials()),
            )
        except LookupFailed as failed:
            cause = failed.__cause__
            if isinstance(cause, JobFailed):
                raise cause from failed
            if cause is not None and shortage(cause):
                what = f"looking for the credentials of {described(consumer)}"
                raise resource_limit(what, cause) from failed
            raise _no_credentials(consumer, failed) from failed
        except RuntimeError as error:
            raise resource_limit(f"looking for the credentials of {described(consumer)}", error) from error

    def _provided(self) -> Any:
        path = self._consumer.credentials_file
        if path is not None and not path.is_file():
            raise LookupFailed(f"consumer.credentials_file {as_written(path)} is not there or is no file")
        require_files(with_tokens=path is None and self._consumer.profile is None)
        found = self._session().get_credentials()
        if found is None:
            raise LookupFailed("no credentials were found, or whoever runs syncd may not read them")
        return found


def _checked(frozen: Any) -> Credentials:
    """Return what a provider gave. Raises ValueError if no signed request can carry it."""
    access_key_id, secret, token = frozen.access_key, frozen.secret_key, frozen.token or None
    for what, text in (("access key ID", access_key_id), ("session token", token)):
        if what == "session token" and text is None:
            continue
        if not isinstance(text, str) or not _IN_A_HEADER.fullmatch(text):
            raise ValueError(f"the {what} is no text that a header can carry")
    if not isinstance(secret, str) or not secret:
        raise ValueError("the secret access key is no text, or empty")
    return Credentials(access_key_id, secret, token, None)


def described(consumer: Consumer) -> str:
    """Return the consumer's account and the source of its credentials, for reports."""
    named = [f"profile {consumer.profile}"] if consumer.profile is not None else []
    path = consumer.credentials_file
    named += [f"credentials file {as_written(path)}"] if path is not None else []
    return f"the consumer ({consumer.account_id}, {' of '.join(named) or 'the default chain'})"


def _no_credentials(consumer: Consumer, failed: LookupFailed) -> JobFailed:
    """Return the failure of a lookup. A provider may ask AWS (a profile with `role_arn`), which refuses a wrong clock."""
    path, what, cause = consumer.credentials_file, failed.detail, failed.__cause__
    if path is not None:
        what = what.replace(str(path), as_written(path))
    # What others print may have any number of lines.
    what = " ".join(what.split())
    detail = f"looking for the credentials of {described(consumer)}: {what}"
    if cause is not None and refusals.reason_of(cause) is Reason.CLOCK_SKEWED:
        return JobFailed(Reason.CLOCK_SKEWED, detail, refusals.remedy_for(cause))
    return JobFailed(Reason.NO_CREDENTIALS, detail, failed.remedy)
