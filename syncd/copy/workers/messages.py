"""Messages between the parent and its copy workers.

Messages are tuples whose first element is one of the words below. Transfers travel as plain tuples, since pickling a
thousand objects a second costs more than sending them.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from syncd.aws.s3 import Address, Side
from syncd.aws.wire.signing import Credentials
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps, Terms
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Mode, Outcome, Shard, Transfer

PREPARE, OPEN, COPY, CREDENTIALS, END, STOP = "prepare", "open", "copy", "credentials", "end", "stop"
"""Messages from the parent.

(PREPARE, 0): bodies will be streamed, so load what makes their checksums and moves large ones,
(OPEN, channel, opening), (COPY, channel, parcels), (CREDENTIALS, channel, side, credentials), (END, channel): no more
transfers follow, (STOP, channel): begin no more copies."""
OUTCOMES, RENEW, CLOSED = "outcomes", "renew", "closed"
"""From the worker: (OUTCOMES, channel, results, requests), (RENEW, channel, side, rejected), (CLOSED, channel, error)."""

OTHER_VERSION = 76
"""The exit code of a worker of another version than its parent: its messages may mean something else."""
OF_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that the parent alone acts on."""

Parcel: TypeAlias = tuple[int, str, str, int, str, bool, bool]
"""A transfer: number, source key, ETag, size in bytes, destination key, compare_first, is_changed."""
Result: TypeAlias = tuple[int, str, str, str]
"""An outcome: the transfer's number, its type's letter, reason or replica's ETag, and detail, or content's hash."""

_NOWHERE = Shard("")


class Limits(NamedTuple):
    """One worker's part of the limits of the whole process. None is no limit."""

    in_flight: int
    memory_bytes: int
    requests_per_second: float | None
    bytes_per_second: float | None
    deadline_seconds: float


class EndpointSpec(NamedTuple):
    """One endpoint, as it can be sent: with the name of its principal only."""

    bucket: str
    owner: str
    address: Address
    principal: str
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of every request to it."""


class Order(NamedTuple):
    """Everything that a worker needs to know about a job."""

    job: str
    mode: Mode
    terms: Terms
    ends: Mapping[Side, EndpointSpec]
    in_flight: int
    memory_bytes: int
    requests_per_second: float | None = None
    bytes_per_second: float | None = None

    def divided(self, workers: int) -> "Order":
        """Return the order for each of so many workers, which share the job's limits."""
        return self._replace(
            in_flight=self.in_flight // workers,
            memory_bytes=self.memory_bytes // workers,
            requests_per_second=None if self.requests_per_second is None else self.requests_per_second / workers,
            bytes_per_second=None if self.bytes_per_second is None else self.bytes_per_second / workers,
        )

    @property
    def begin(self) -> Callable[[Transfer], Steps]:
        """The function that makes the generator of one copy."""
        way, terms = (server_side if self.mode is Mode.SERVER_SIDE else stream), self.terms
        return lambda transfer: way(Copy(transfer, terms))

    @property
    def requests_a_copy(self) -> int:
        """Minimum requests per copy, for the rate limit."""
        return 1 if self.mode is Mode.SERVER_SIDE else 2


def parcel_of(number: int, transfer: Transfer) -> Parcel:
    """Return a transfer in the form that is sent."""
    _, item, destination_key, compare_first, is_changed = transfer
    return number, item.key, item.etag, item.size_bytes, destination_key, compare_first, is_changed


def transfer_of(parcel: Parcel) -> Transfer:
    """Return a sent transfer, without its shard and times, which no copy needs."""
    _, key, etag, size, destination_key, compare_first, is_changed = parcel
    return Transfer(_NOWHERE, LogObject(key, etag, size, 0.0), destination_key, compare_first, is_changed)


def result_of(number: int, outcome: Outcome) -> Result:
    """Return an outcome in the form that is sent."""
    match outcome:
        case Copied(_, replica_etag, content):
            return number, "c", replica_etag, content
        case AlreadyThere(_, replica_etag):
            return number, "a", replica_etag, ""
        case Conflict(_, detail):
            return number, "x", "", detail
        case Failed(_, reason, detail):
            return number, "f", reason, detail


def outcome_of(result: Result, transfer: Transfer) -> Outcome:
    """Return a sent outcome, of the parent's own transfer."""
    _, letter, word, detail = result
    match letter:
        case "c":
            return Copied(transfer, word, detail)
        case "a":
            return AlreadyThere(transfer, word)
        case "x":
            return Conflict(transfer, detail)
        case _:
            return Failed(transfer, word, detail)


class Opening(NamedTuple):
    """The payload of OPEN."""

    order: Order
    credentials: Mapping[Side, Credentials]
    locks: int
    """Number of lock descriptors that follow."""


Parcels: TypeAlias = Sequence[Parcel]
