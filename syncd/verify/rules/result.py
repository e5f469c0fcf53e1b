"""The findings of the audit of one account and region. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from syncd.verify.rules.digest import ChainName
from syncd.verify.rules.place import Place
from syncd.verify.rules.verdict import Flaw, Span


class Hashes(NamedTuple):
    """The SHA-256 of a log, as its digest names it and as the replica has it."""

    digest: str
    replica: str
    """Empty if the replica's content cannot be hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceResult:
    """The findings of the audit of one account and region."""

    place: Place
    chains: Mapping[ChainName, Sequence[Span]]
    extra: Sequence[str]
    """Objects that no digest names, although one tells of their time."""
    uncovered: Mapping[str, int]
    """Kinds that no digest names anything of, and how many objects there are."""
    logs: int
    """Logs that were compared."""
    logs_read: int = 0
    """Those of them that were read. Of the others, a hash was computed while they were copied."""
    log_bytes: int
    newest_end: float
    """The end of the newest digest; 0.0 if there is none."""
    ends: Mapping[ChainName, float] = field(default_factory=dict)
    """The end of each chain, also after the audit's end."""
    unnamed_after: Sequence[str]
    """Logs that are newer than the newest digest accounts for: the oldest of them."""
    unnamed_overdue: int = 0
    """The number of those that a digest should have named by the end of the audit."""
    in_flight: Sequence[str] = ()
    """Logs that the next digest may name: they were copied after the newest one."""
    beside: Sequence[str] = ()
    """Replacements beside altered logs, each with the content that the digest names."""
    hashes: Mapping[str, Hashes] = field(default_factory=dict)
    """Of logs that are not what their digest names, and of those that were watched."""
    tail: Span | None = None
    """The span after the newest digest."""

    @property
    def is_cut(self) -> bool:
        """The newest digests are missing, and not only late."""
        missing = (Flaw.DIGEST_MISSING, Flaw.MISSING_AT_SOURCE)
        return self.tail is not None and self.tail.problems[0].flaw in missing
