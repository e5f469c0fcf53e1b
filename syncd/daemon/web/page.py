"""The status page: every job in a row, the troubled ones first, each with what is wrong and what to do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from syncd import __version__
from syncd.daemon.board import Board
from syncd.daemon.web.html import Markup, element, join
from syncd.daemon.web.pagestyle import STYLE
from syncd.daemon.web.sparkline import SHOWN, sparkline
from syncd.job.health.freshness import span, within_words
from syncd.job.health.health import Standing, answer_words, failure_words, is_fresh, missing_words
from syncd.job.report import utc
from syncd.model import reasons
from syncd.model.escaping import safe_key, safe_line
from syncd.model.reasons import Reason

JOBS_A_PAGE = 100
REFRESH_SECONDS = 30
_FAILING, _INCOMPLETE = "failing", "incomplete"
_COLUMNS = ("State", "Job", "Mode", "Lag", "Complete until", "Last tick", "Last ticks", "Not copied")


def overview(board: Board, *, now: float, words: str = "", page: int = 1, refresh: bool = False) -> str:
    """All jobs whose names hold `words`, a hundred a page."""
    everything = board.standings()
    found = [standing for standing in everything if words.lower() in standing.job.lower()]
    found.sort(key=lambda standing: (not _is_troubled(standing, now), standing.job))
    last_page = max(1, -(-len(found) // JOBS_A_PAGE))
    page = min(max(1, page), last_page)
    shown = found[(page - 1) * JOBS_A_PAGE : page * JOBS_A_PAGE]
    states = Counter(_state(standing, now)[0] for standing in everything)
    late = sum(not is_fresh(standing, now) for standing in everything)
    body = join(
        element("h1", _headline(len(everything), late, states)),
        element("p", _summary(everything), class_="soft"),
        _search(words) if len(everything) > 10 else None,
        _jobs_table(board, shown, len(found), now) if found else element("p", "No job's name holds this."),
        _pages(words, page, last_page),
    )
    return document("syncd", body, now=now, path="/", refresh=refresh)


def document(title: str, body: Markup, *, now: float, path: str, refresh: bool) -> str:
    """A whole page around a body."""
    again = element(
        "a",
        "stop refreshing" if refresh else f"refresh every {REFRESH_SECONDS} s",
        href=path if refresh else f"{path}?refresh=1",
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="refresh", content=REFRESH_SECONDS) if refresh else None,
        element("title", title),
        element("style", Markup(STYLE)),
    )
    header = element(
        "header",
        element("a", "syncd", href="/", class_="brand"),
        again,
        element("span", element("time", utc(now), datetime=utc(now)), class_="clock"),
    )
    footer = element(
        "footer",
        f"syncd {__version__} · times are UTC · ",
        element("a", "metrics", href="/metrics"),
        " · ",
        element("a", "readiness", href="/readyz"),
    )
    page = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        header,
        element("main", body, id="content"),
        footer,
    )
    return f"<!doctype html>\n{element('html', head, page, lang='en')}\n"


def badge(standing: Standing, now: float) -> Markup:
    """A job's state in a word."""
    word, kind = _state(standing, now)
    return element("span", word, class_=f"badge {kind}")


def ago(instant: float, now: float) -> str:
    """How long an instant is past; `never` for 0.0."""
    return f"{span(now - instant)} ago" if instant else "never"


def minute(instant: float) -> str:
    """An instant to the minute, in UTC."""
    written = utc(instant)
    return written[:16].replace("T", " ") if written else "-"


def table(caption: str, titles: Sequence[str], rows: Sequence[Markup], *, numbers: Sequence[str] = ()) -> Markup:
    """A table that scrolls sideways where there is no room, also by keyboard."""
    head = [element("th", title, scope="col", class_="number" if title in numbers else None) for title in titles]
    inner = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *rows),
    )
    return element("div", inner, class_="scroll", role="region", aria_label=caption, tabindex="0")


def why_list(board: Board, standing: Standing, now: float) -> Markup | None:
    """Everything that is wrong with a job, with the remedies; None where nothing is."""
    items = [element("li", _sentence(reason)) for reason in board.why_late(standing, now, with_failure=False)]
    error, oldest = standing.error, standing.oldest_held
    refusal = board.refused().get(standing.job)
    if refusal is not None and refusal.is_kept:
        words = f"Its file was edited and cannot be used, so that it runs as before: {refusal.error.detail}"
        items.append(element("li", words, _remedy(refusal.error.remedy)))
    if error is not None:
        items.append(element("li", _sentence(failure_words(error)), _remedy(error.remedy)))
    if oldest is not None:
        key = element("span", safe_key(oldest.object.key), class_="key")
        remedy = reasons.remedy_of(oldest.reason, job=standing.job, key=oldest.object.key)
        items.append(element("li", missing_words(standing), key, f": {answer_words(oldest)}", _remedy(remedy)))
    return element("ul", *items, class_="why") if items else None


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _remedy(remedy: str) -> Markup:
    return element("div", element("b", "What to do: "), safe_line(remedy), class_="remedy")


def _state(standing: Standing, now: float) -> tuple[str, str]:
    if standing.last is None:
        return "no tick yet", "none"
    if standing.error is not None and standing.error.reason == Reason.CONFIGURATION:
        return "refused", "bad"
    if not is_fresh(standing, now):
        return "not on time", "bad"
    if standing.error is not None:
        return _FAILING, "warn"
    if standing.held:
        return _INCOMPLETE, "warn"
    return "on time", "good"


def _is_troubled(standing: Standing, now: float) -> bool:
    return _state(standing, now)[1] != "good"


def _headline(count: int, late: int, states: Mapping[str, int]) -> str:
    """How many are late, and how many of the others have something wrong with them all the same."""
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


def _search(words: str) -> Markup:
    return element(
        "form",
        element("label", "Jobs whose name holds ", for_="q"),
        element("input", id="q", name="q", value=words, type="search"),
        element("button", "Show", type="submit"),
        method="get",
        action="/",
        role="search",
    )


def _pages(words: str, page: int, last_page: int) -> Markup | None:
    if last_page == 1:
        return None
    links = [
        element("a", label, href="/?" + urlencode({"q": words, "page": number}))
        for label, number in (("Previous", page - 1), ("Next", page + 1))
        if 1 <= number <= last_page
    ]
    return element("nav", f"Page {page} of {last_page}", *links, class_="pages", aria_label="Pages")


def _jobs_table(board: Board, standings: Sequence[Standing], count: int, now: float) -> Markup:
    rows = [row for standing in standings for row in _job_rows(board, standing, now)]
    caption = (
        f"{len(standings)} of {count} jobs" if len(standings) < count else f"{count} {'job' if count == 1 else 'jobs'}"
    )
    return table(caption, _COLUMNS, rows, numbers=("Lag", "Not copied"))


def _job_rows(board: Board, standing: Standing, now: float) -> list[Markup]:
    last = standing.last
    rows = [
        element(
            "tr",
            element("td", badge(standing, now)),
            element("th", element("a", standing.job, href=f"/jobs/{quote(standing.job)}"), scope="row"),
            element("td", (last.mode if last else None) or "-", class_="word"),
            element("td", span(now - standing.complete_until) if standing.complete_until else "-", class_="number"),
            element("td", minute(standing.complete_until), class_="time"),
            element(
                "td",
                ago(standing.finished_at, now),
                element("small", f"{last.outcome}, {last.duration_seconds:.1f} s") if last else None,
                class_="time",
            ),
            element("td", sparkline(standing.pulses), element("small", _objects(standing))),
            element("td", f"{standing.held:,}", class_="number"),
        )
    ]
    why = why_list(board, standing, now)
    if why is not None and last is not None:
        rows.append(element("tr", element("td"), element("td", why, colspan=len(_COLUMNS) - 1), class_="why"))
    return rows


def _objects(standing: Standing) -> str:
    copied = sum(pulse.copied for pulse in standing.pulses[-SHOWN:])
    return f"{copied:,} objects" if standing.pulses else ""


def objective_tile(standing: Standing, now: float) -> Markup:
    """Whether the objective is kept, with the percentile."""
    word = "kept" if is_fresh(standing, now) else "missed"
    lags = standing.lags
    percentiles = (
        f"half within {span(lags.p50)}, 99 % within {span(lags.p99)}"
        if lags.p50 is not None and lags.p99 is not None
        else ""
    )
    return element(
        "div",
        element("dt", f"Objective {span(standing.promise.objective)}"),
        element("dd", word, element("small", f"{within_words(lags)}{'; ' if percentiles else ''}{percentiles}")),
    )
