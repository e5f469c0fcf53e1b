"""The question and the answer of a comparison. Pure."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from syncd.model.keys.stamps import DAY_SECONDS, day_start
from syncd.model.objects import Shard, Window
from syncd.model.reports import JobError
from syncd.verify.source.days import Day
from syncd.verify.source.probing import Reads

KEYS_KEPT = 1000
"""Of keys that the replica alone has; the count is of all."""


EVER = Window()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question: a span of time, and how much is read."""

    window: Window = EVER
    now: float
    reads: Reads = Reads.NEVER
    trusts_ledger: Callable[[Shard], bool] = lambda _: True
    """True for a shard in which the ledger's own rows count as evidence."""

    @property
    def last(self) -> float:
        """The end of the span."""
        return min(self.now, day_start(self.window.last) + DAY_SECONDS) if self.window.last else self.now


@dataclass(slots=True, kw_only=True)
class Compared:
    """The answer."""

    job: str
    asked: Asked
    days: dict[tuple[Shard, str], Day] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    """Objects that only the replica has, and that the ledger knows nothing of."""
    extra_count: int = 0
    gone_at_source: int = 0
    """Replicas of objects that the source has let go of since, as the ledger knows."""
    vouched_beside: int = 0
    """Replacements that `verify --repair` wrote beside altered replicas."""
    left_out: int = 0
    """Objects that the job leaves out: older than its start, or accepted by an operator."""
    not_copied_yet: int = 0
    """Objects beyond the horizon that a tick has yet to copy."""
    uncovered: list[str] = field(default_factory=list)
    """Folders of the source that the job neither covers nor ignores."""
    prefixes: set[str] = field(default_factory=set)
    """Those that were listed to their end, each of one shard."""
    open_days: set[tuple[Shard, str]] = field(default_factory=set)
    """Days of which the source has objects that were left out, or not copied yet."""
    complete_from: float = 0.0
    complete_until: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    duration_seconds: float = 0.0
    error: JobError | None = None

    @property
    def verdict(self) -> str:
        """`proved`, `unproved`, or `some` if parts of it are proved."""
        proved = [day for day in self.days.values() if day.is_proved]
        if self.error is not None or not proved:
            return "unproved"
        # Beyond a horizon that there is none of, an object that is not copied yet may never be.
        is_open = self.not_copied_yet and not self.complete_until
        is_all = len(proved) == len(self.days) and not self.extra_count and not self.uncovered and not is_open
        return "proved" if is_all else "some"

    @property
    def proved_until(self) -> float:
        """The end of what is proved without a break. It is 0.0 if nothing is."""
        days = self.by_day()
        good = [day_start(day) for day, found in days.items() if found.is_proved]
        bad = [day_start(day) for day, found in days.items() if not found.is_proved]
        if self.error is not None or not good:
            return 0.0
        until = min([*bad, self.asked.last, self.complete_until])
        return until if until > min(good) else 0.0

    def by_day(self) -> dict[str, Day]:
        """Return the days of all shards together, in order."""
        days: dict[str, Day] = {}
        for (_, day), found in sorted(self.days.items(), key=lambda entry: (entry[0][1], entry[0][0].prefix)):
            days.setdefault(day, Day()).add(found)
        return days

    def take_extra(self, key: str) -> None:
        """Note an object that only the replica has."""
        self.extra_count += 1
        if len(self.extra) < KEYS_KEPT:
            self.extra.append(key)
