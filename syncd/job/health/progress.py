"""The progress of a tick or catch-up under way: copied of known, rate, time left. Pure."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from syncd.job.health.freshness import span
from syncd.model import events

if TYPE_CHECKING:
    from syncd.tick.recorder import Recorder

STALLED_SECONDS = 600.0
"""Longer than any timeout inside a tick: AssumeRole has a minute and a half, S3 one minute, the state file less."""
EVERY_SECONDS = 1.0
TOLD_EVERY_SECONDS = 60.0
_RATE_SECONDS = 30.0
# A share below this says too little of the rest.
_LEAST_SHARE = 0.02


class Progress(NamedTuple):
    """The progress of one run at one moment. Times are seconds since the epoch."""

    kind: str
    """`tick` or `catch-up`."""
    began_at: float
    at: float
    listed: int = 0
    copied: int = 0
    copied_bytes: int = 0
    done: int = 0
    """Objects that are copied, found there, or failed."""
    known: int = 0
    """Objects to copy that were found so far."""
    is_total: bool = False
    """The listing has ended, so that `known` is all there is to copy."""
    per_second: float | None = None
    """Objects done a second, lately."""
    seconds_left: float | None = None
    listed_until: str = ""
    """The day, `YYYY-MM-DD`, that the listing furthest behind has come to."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self._asdict()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Progress":
        """Return the progress that a document holds. Raises TypeError if it holds none."""
        return cls(**{name: value for name, value in document.items() if name in cls._fields})


def count_words(progress: Progress) -> str:
    """Return how much is copied of what: `448 of at least 1,073 objects copied`."""
    if not progress.known:
        return "nothing to copy" if progress.is_total else f"{progress.listed:,} objects listed"
    least = "" if progress.is_total else "at least "
    return f"{progress.done:,} of {least}{progress.known:,} objects copied"


def progress_words(progress: Progress) -> str:
    """Return the progress in a line: `448 of at least 1,073 objects copied, 67/s, about 40s left`."""
    parts = [count_words(progress)]
    if progress.per_second is not None and progress.known:
        parts.append(f"{rate(progress.per_second)}/s")
    if progress.seconds_left is not None:
        parts.append(f"about {span(progress.seconds_left)} left")
    if progress.listed_until and not progress.is_total:
        parts.append(f"at {progress.listed_until}")
    return ", ".join(parts)


def rate(per_second: float) -> str:
    """Format a rate for people."""
    return f"{per_second:.1f}" if per_second < 10 else f"{per_second:,.0f}"


class Tracker:
    """The progress of one run, told once a second, and logged once a minute.

    Belongs to the thread of the run.
    """

    def __init__(
        self,
        kind: str,
        *,
        now: Callable[[], float],
        tell: Callable[..., None],
        show: Callable[[Progress], None],
    ) -> None:
        """Pass each progress to `show`, and log it with `tell`, which knows the job."""
        self._kind = kind
        self._now = now
        self._tell = tell
        self._show = show
        self._began_at = self._shown_at = self._told_at = now()
        self._samples: deque[tuple[float, int]] = deque()

    def begin(self) -> None:
        """Show that the run has begun."""
        self._show(Progress(kind=self._kind, began_at=self._began_at, at=self._began_at))

    def take(self, recorder: "Recorder") -> None:
        """Look at the run, if a second has passed."""
        now = self._now()
        if now < self._shown_at:
            # The clock was set back: rates would be wrong.
            self._samples.clear()
            self._shown_at = self._told_at = now
        if now - self._shown_at < EVERY_SECONDS:
            return
        self._shown_at = now
        progress = self._progress(recorder, now)
        self._show(progress)
        if now - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = now
            self._tell(events.TICK_PROGRESS, **_facts(progress))

    def _progress(self, recorder: "Recorder", now: float) -> Progress:
        counts, reach = recorder.counts, recorder.reach
        known = max(recorder.wanted, recorder.planned)
        per_second = self._rate(recorder.ended, now)
        share = 1.0 if reach.is_whole else reach.share(now) or 0.0
        left = None
        if per_second and share >= _LEAST_SHARE:
            # Days that are not listed yet are taken to hold as much as the others.
            left = max(0.0, known / share - recorder.ended) / per_second
        return Progress(
            kind=self._kind,
            began_at=self._began_at,
            at=now,
            listed=counts.listed,
            copied=counts.copied,
            copied_bytes=counts.copied_bytes,
            done=recorder.ended,
            known=known,
            is_total=reach.is_whole,
            per_second=None if per_second is None else round(per_second, 1),
            seconds_left=None if left is None else round(left, 1),
            listed_until=reach.day,
        )

    def _rate(self, done: int, now: float) -> float | None:
        self._samples.append((now, done))
        while now - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        return (done - before) / (now - since) if now - since >= EVERY_SECONDS else None


def _facts(progress: Progress) -> dict[str, Any]:
    left_out = ("began_at", "at")
    return {name: value for name, value in progress.document().items() if name not in left_out}
