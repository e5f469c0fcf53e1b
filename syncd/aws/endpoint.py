"""Endpoint: one bucket on the wire. It pins each request to the bucket's owner, has it signed, and counts it."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from syncd.aws import answers
from syncd.aws.s3 import Address, Answer, Request
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials

# The same answer comes for a session that its owner has revoked. Assuming the role again cures that, once.
RENEWALS_A_REQUEST = 2


class Principal(Protocol):
    """The signer of one endpoint's requests, and its credentials, kept fresh."""

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def current(self) -> Credentials:
        """Return the credentials to sign with now. Makes no call."""
        ...

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Renew credentials that are near their end or were rejected. Raises JobFailed."""
        ...


class Endpoint(NamedTuple):
    """One bucket, and the principal that acts on it."""

    bucket: str
    owner: str
    """The account that must own the bucket. Empty for any account."""
    address: Address
    principal: Principal
    transport: Transport
    requests: Counter[str]
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of every request to it."""

    def send(self, request: Request, on_answer: Callable[[Answer, Credentials], None]) -> None:
        """Send a request, pinned to the owner, signed and counted. `on_answer` also gets the credentials that signed it."""
        credentials = self.principal.current()
        self.requests[request.operation] += 1
        self.transport.send(
            request, self.address, credentials, lambda answer: on_answer(answer, credentials), self._pin
        )

    def signed(self, request: Request, *, body_sha256: str) -> tuple[str, list[tuple[str, str]]]:
        """Return the target and headers of a request that is sent by somebody else, pinned, signed and counted."""
        self.requests[request.operation] += 1
        return self.transport.signed(
            request,
            self.address,
            self.principal.current(),
            self._pin,
            body_sha256=body_sha256,
        )

    @property
    def _pin(self) -> tuple[tuple[str, str], ...]:
        return (*self.headers, ("x-amz-expected-bucket-owner", self.owner)) if self.owner else self.headers


def is_expired(answer: Answer, request: Request) -> bool:
    """Return whether S3 refused the request because its credentials have ended."""
    return answers.is_expired(answer.status, answer.code, request.method)
