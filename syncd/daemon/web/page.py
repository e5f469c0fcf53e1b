"""The overview page: each job, troubled jobs first, with problems and remedies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from syncd.daemon.board import JobBoard
from syncd.daemon.web.render import render
from syncd.job.health.health import Pulse, Standing, answer_words, failure_words, is_fresh, missing_words
from syncd.model import reasons
from syncd.model.escaping import safe_key
from syncd.model.reasons import Reason

JOBS_A_PAGE = 100
_SEARCH_FROM_JOBS = 11
_FAILING, _INCOMPLETE = "failing", "incomplete"

_BARS = 40
_BAR, _GAP, _HEIGHT = 3, 1, 24
_FAILED = ("failed", "already-running")


class State(NamedTuple):
    """A job's or a shard's state."""

    word: str
    kind: str
    """`good`, `warn`, `bad` or `none`, which decides the colour."""


class Problem(NamedTuple):
    """One thing that is wrong with a job."""

    words: str
    remedy: str = ""
    key: str = ""
    """The key of the object it is about, as it can be pasted into a shell."""
    answer: str = ""
    """The answer to the request for that object."""


class Bar(NamedTuple):
    """A rectangle of a chart, in pixels."""

    kind: str
    x: int
    y: int
    height: int
    width: int = _BAR


class Chart(NamedTuple):
    """The last ticks of a job as bars: how much each copied, which failed."""

    title: str
    bars: Sequence[Bar]
    width: int = _BARS * (_BAR + _GAP) - _GAP
    height: int = _HEIGHT


class _Row(NamedTuple):
    standing: Standing
    state: State
    chart: Chart
    copied: str
    problems: Sequence[Problem]


def overview(board: JobBoard, *, now: float, words: str = "", page: int = 1, refresh: bool = False) -> str:
    """Return the page of all jobs whose names contain `words`, a hundred to a page."""
    everything = board.standings()
    found = [standing for standing in everything if words.lower() in standing.job.lower()]
    found.sort(key=lambda standing: (state_of(standing, now).kind == "good", standing.job))
    last_page = max(1, -(-len(found) // JOBS_A_PAGE))
    page = min(max(1, page), last_page)
    shown = found[(page - 1) * JOBS_A_PAGE : page * JOBS_A_PAGE]
    jobs = f"{len(found)} {'job' if len(found) == 1 else 'jobs'}"
    return render(
        "overview.html",
        title="syncd",
        path="/",
        refresh=refresh,
        now=now,
        headline=_headline(everything, now),
        summary=_summary(everything),
        has_search=len(everything) >= _SEARCH_FROM_JOBS,
        words=words,
        caption=f"{len(shown)} of {jobs}" if len(shown) < len(found) else jobs,
        rows=[_row(board, standing, now) for standing in shown],
        page=page,
        last_page=last_page,
    )


def state_of(standing: Standing, now: float) -> State:
    """Return a job's state."""
    if standing.last is None:
        return State("no tick yet", "none")
    if standing.error is not None and standing.error.reason == Reason.CONFIGURATION:
        return State("refused", "bad")
    if not is_fresh(standing, now):
        return State("not on time", "bad")
    if standing.error is not None:
        return State(_FAILING, "warn")
    if standing.held:
        return State(_INCOMPLETE, "warn")
    return State("on time", "good")


def problems_of(board: JobBoard, standing: Standing, now: float) -> list[Problem]:
    """List everything that is wrong with a job."""
    found = [Problem(_sentence(why)) for why in board.why_late(standing, now, with_failure=False)]
    error, oldest = standing.error, standing.oldest_held
    refusal = board.refused().get(standing.job)
    if refusal is not None and refusal.is_kept:
        words = f"Its file was edited and cannot be used, so that it runs as before: {refusal.error.detail}"
        found.append(Problem(words, refusal.error.remedy))
    if error is not None:
        found.append(Problem(_sentence(failure_words(error)), error.remedy))
    if oldest is not None:
        remedy = reasons.remedy_of(oldest.reason, job=standing.job, key=oldest.object.key)
        found.append(Problem(missing_words(standing), remedy, safe_key(oldest.object.key), answer_words(oldest)))
    return found


def chart_of(pulses: Sequence[Pulse]) -> Chart:
    """Draw a bar for each of the last ticks, the newest at the right."""
    shown = pulses[-_BARS:]
    most = max((pulse.copied for pulse in shown), default=0)
    bars = [bar for number, pulse in enumerate(shown, _BARS - len(shown)) for bar in _bars(number, pulse, most)]
    return Chart(chart_words(shown), bars)


def chart_words(pulses: Sequence[Pulse]) -> str:
    """Describe the bars for readers who do not see them."""
    if not pulses:
        return "no ticks yet"
    copied = sum(pulse.copied for pulse in pulses)
    failed = sum(pulse.outcome in _FAILED for pulse in pulses)
    most = max(pulse.copied for pulse in pulses)
    ticks = "the last tick" if len(pulses) == 1 else f"the last {len(pulses)} ticks"
    failures = "no tick failed" if not failed else f"{failed} {'tick' if failed == 1 else 'ticks'} failed"
    return f"{copied:,} objects copied in {ticks}, {most:,} at most in one; {failures}"


def _bars(number: int, pulse: Pulse, most: int) -> list[Bar]:
    x = number * (_BAR + _GAP)
    if pulse.outcome in _FAILED:
        # Two pieces, so that a failure differs in shape as well as in colour.
        return [Bar("failed", x, y=0, height=10), Bar("failed", x, y=14, height=10)]
    height = max(1, round(_HEIGHT * pulse.copied / most)) if pulse.copied else 1
    return [Bar("copied" if pulse.copied else "idle", x, y=_HEIGHT - height, height=height)]


def _row(board: JobBoard, standing: Standing, now: float) -> _Row:
    copied = sum(pulse.copied for pulse in standing.pulses[-_BARS:])
    return _Row(
        standing,
        state_of(standing, now),
        chart_of(standing.pulses),
        f"{copied:,} objects" if standing.pulses else "",
        problems_of(board, standing, now),
    )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _headline(standings: Sequence[Standing], now: float) -> str:
    """Return how many jobs are late, and how many have some other problem."""
    count, late = len(standings), sum(not is_fresh(standing, now) for standing in standings)
    states: Mapping[str, int] = Counter(state_of(standing, now).word for standing in standings)
    if not count:
        return "There are no jobs"
    jobs = "The job is" if count == 1 else f"All {count} jobs are"
    found = f"{jobs} on time"
    if late:
        found = f"{late} of {count} {'job' if count == 1 else 'jobs'} {'is' if late == 1 else 'are'} not on time"
    troubled = [(states[word], word) for word in (_FAILING, _INCOMPLETE) if states.get(word)]
    if count == 1:
        return found + "".join(f", but {word}" for _, word in troubled)
    return "; ".join([found, *(f"{number} {'is' if number == 1 else 'are'} {word}" for number, word in troubled)])


def _summary(standings: Sequence[Standing]) -> str:
    copied = sum(pulse.copied for standing in standings for pulse in standing.pulses)
    held = sum(standing.held for standing in standings)
    return f"{copied:,} objects copied in the ticks shown here; {held:,} known and not at their destination."
