"""The overview page: each job, troubled jobs first, with problems and remedies."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from syncd.daemon.board import JobBoard
from syncd.daemon.web.render import render
from syncd.job.health.health import JobHealth, Pulse, answer_words, failure_words, is_starting, missing_words
from syncd.job.health.word import WORST_FIRST, Health, headline, health_word
from syncd.model import reasons
from syncd.model.escaping import safe_key, safe_line

JOBS_A_PAGE = 100
_SEARCH_FROM_JOBS = 11
_KINDS = {Health.HEALTHY: "good", Health.STARTING: "none", Health.FAILING: "warn", Health.INCOMPLETE: "warn"}

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
    health: JobHealth
    state: State
    chart: Chart
    copied: str
    problems: Sequence[Problem]


def overview(
    board: JobBoard,
    *,
    now: float,
    words: str = "",
    page: int = 1,
    refresh: bool = False,
    notes: Iterable[tuple[str, str]] = (),
) -> str:
    """Return the page of all jobs whose names contain `words`, a hundred to a page.

    `notes` are sentences about the daemon itself, each with a remedy or none.
    """
    everything = board.healths()
    found = [health for health in everything if words.lower() in health.job.lower()]
    found.sort(key=lambda health: (WORST_FIRST[health_word(health, now)], health.job))
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
        headline=headline(health_word(health, now) for health in everything),
        summary=_summary(everything),
        notes=[Problem(safe_line(sentence), remedy) for sentence, remedy in notes],
        has_search=len(everything) >= _SEARCH_FROM_JOBS,
        words=words,
        caption=f"{len(shown)} of {jobs}" if len(shown) < len(found) else jobs,
        rows=[_row(board, health, now) for health in shown],
        page=page,
        last_page=last_page,
    )


def state_of(health: JobHealth, now: float) -> State:
    """Return a job's health and its colour."""
    word = health_word(health, now)
    return State(word, _KINDS.get(word, "bad"))


def problems_of(board: JobBoard, health: JobHealth, now: float) -> list[Problem]:
    """List everything that is wrong with a job."""
    is_late = not is_starting(health, now)
    found = _with_remedies(board.why_late(health, now, with_failure=False)) if is_late else []
    error, oldest = health.error, health.oldest_held
    refusal = board.refused().get(health.job)
    if refusal is not None and refusal.is_kept:
        words = f"Its file was edited and cannot be used, so that it runs as before: {refusal.error.detail}"
        found.append(Problem(words, refusal.error.remedy))
    if error is not None:
        found.append(Problem(_sentence(failure_words(error)), error.remedy))
    if oldest is not None:
        remedy = reasons.remedy_of(oldest.reason, job=health.job, key=oldest.object.key, detail=oldest.detail)
        found.append(Problem(missing_words(health), remedy, safe_key(oldest.object.key), answer_words(oldest)))
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


def _row(board: JobBoard, health: JobHealth, now: float) -> _Row:
    copied = sum(pulse.copied for pulse in health.pulses[-_BARS:])
    return _Row(
        health,
        state_of(health, now),
        chart_of(health.pulses),
        f"{copied:,} objects" if health.pulses else "",
        problems_of(board, health, now),
    )


def _with_remedies(sentences: Sequence[str]) -> list[Problem]:
    """Return problems, each with the remedy that follows it."""
    found: list[Problem] = []
    for sentence in sentences:
        remedy = sentence.removeprefix("what to do: ")
        if found and remedy != sentence:
            found[-1] = found[-1]._replace(remedy=remedy)
        else:
            found.append(Problem(_sentence(sentence)))
    return found


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _summary(healths: Sequence[JobHealth]) -> str:
    copied = sum(pulse.copied for health in healths for pulse in health.pulses)
    held = sum(health.held for health in healths)
    return f"{copied:,} objects copied in the ticks shown here; {held:,} known and not at their destination."
