"""Faults: which requests go wrong, how, and how often."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from faulty.answer import Answer
from faulty.request import Request

Predicate: TypeAlias = Callable[[Request], bool]


@dataclass(frozen=True)
class Status:
    """Answers with this status and S3 error code; `is_applied`: after doing what was asked, as when an answer is lost."""

    status: int
    code: str
    message: str = "A fault of the test"
    is_applied: bool = False


@dataclass(frozen=True)
class DropConnection:
    """Closes the connection without an answer; `is_applied`: after doing what was asked."""

    is_applied: bool = False


@dataclass(frozen=True)
class Stall:
    """Says nothing until `until` is set, then goes on as if nothing were; without `until`, until the server closes."""

    until: threading.Event | None = None


@dataclass(frozen=True)
class Slow:
    """Answers only after this time."""

    seconds: float


@dataclass(frozen=True)
class ShortBody:
    """Announces the whole body, sends this many bytes of it, and closes the connection."""

    sent_bytes: int


@dataclass(frozen=True)
class CorruptBody:
    """Flips a bit of the body and leaves the headers as they are."""


@dataclass(frozen=True)
class WrongChecksum:
    """Sends the right body with a wrong `x-amz-checksum-…` header."""


@dataclass(frozen=True)
class WithoutHeaders:
    """Leaves out the headers that begin so, as servers do that know no checksums."""

    prefix: str = "x-amz-checksum-"


@dataclass(frozen=True)
class Rewritten:
    """Answers with what `change` makes of the answer, as servers of another dialect do."""

    change: Callable[[Answer], Answer]


@dataclass(frozen=True)
class ErrorIn200:
    """Answers 200 with an error document, as CopyObject and CompleteMultipartUpload may; nothing is done."""

    code: str = "InternalError"
    message: str = "We encountered an internal error. Please try again."


@dataclass(frozen=True)
class Body:
    """Answers 200 with this body, whatever was asked; nothing is done."""

    body: bytes


@dataclass(frozen=True)
class Call:
    """Calls the hook before the request is looked at any further, then goes on to the next fault that matches."""

    hook: Callable[[Request], object]


Action: TypeAlias = (
    Status
    | DropConnection
    | Stall
    | Slow
    | ShortBody
    | CorruptBody
    | WrongChecksum
    | WithoutHeaders
    | Rewritten
    | ErrorIn200
    | Body
    | Call
)


def on(operation: str, *, bucket: str | None = None, key: str | None = None) -> Predicate:
    """Requests of this operation, and of this bucket and key where given."""

    def is_meant(request: Request) -> bool:
        return request.operation == operation and bucket in (None, request.bucket) and key in (None, request.key)

    return is_meant


class Fault:
    """One fault; `hits` counts the requests that met it."""

    def __init__(self, is_meant: Predicate, action: Action, times: int | None) -> None:
        self._is_meant = is_meant
        self.action = action
        self.hits = 0
        self._times = times

    def take(self, request: Request) -> bool:
        """Whether the request meets this fault, which counts it."""
        if (self._times is not None and self.hits >= self._times) or not self._is_meant(request):
            return False
        self.hits += 1
        return True


class Faults:
    """All faults; of those that match a request the first one acts, after any Call before it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, is_meant: Predicate | str, action: Action, *, times: int | None = None) -> Fault:
        """A new fault for requests that `is_meant` accepts, or of the operation named; None is for ever."""
        fault = Fault(on(is_meant) if isinstance(is_meant, str) else is_meant, action, times)
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Heals one fault."""
        with self._lock:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Heals everything."""
        with self._lock:
            self._faults.clear()

    def meet(self, request: Request) -> Action | None:
        """The action that befalls the request; hooks are called on the way."""
        hooks: list[Call] = []
        action: Action | None = None
        with self._lock:
            for fault in self._faults:
                if not fault.take(request):
                    continue
                if isinstance(fault.action, Call):
                    hooks.append(fault.action)
                else:
                    action = fault.action
                    break
        for call in hooks:
            call.hook(request)
        return action
