"""Events as lines for people: the time, the event, the job, and the facts in words.

Facts contain text from outside. It is escaped, and either quoted or at the end of its line, so that it can neither begin a
line nor pass for another fact.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from syncd.job.health.freshness import span
from syncd.job.health.progress import Progress, progress_words
from syncd.model import events
from syncd.model.escaping import cut, safe_indented, safe_key, safe_line
from syncd.model.units import rounded_size

Facts: TypeAlias = Mapping[str, Any]

TRACEBACK = "exception"
_KEY, _REMEDY, _ERROR = "key", "remedy", "error"
_LONGEST_FACT = 4_000
_LONGEST_WHY = 200
_LONGEST_TRACEBACK = 20_000
_OWN = frozenset({"event", "level", "timestamp", "job", _REMEDY, TRACEBACK})
_INDENT = "    "
_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m"}
_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"


def renderer(*, colors: bool) -> Callable[[Facts], str]:
    """Return the function that renders an event: one line, and below it what to do and the traceback."""

    def render(facts: Facts) -> str:
        head = _head(facts, colors=colors)
        event, rest = facts["event"], {name: value for name, value in facts.items() if name not in _OWN}
        if event in _SENTENCES:
            sentences = (f"{_INDENT}{_sentence(str(words))}" for words in rest[_SENTENCES[event]])
            return "\n".join([head, *sentences, *_below(facts)])
        written = _WORDS.get(event, _listed)(rest)
        return "\n".join([f"{head}: {written}" if written else head, *_below(facts)])

    return render


def _head(facts: Facts, *, colors: bool) -> str:
    time, event = f"{facts['timestamp'][:19]}Z", str(facts["event"])
    if colors:
        time = f"{_DIM}{time}{_PLAIN}"
        event = f"{_COLORS.get(facts['level'], _BOLD)}{event}{_PLAIN}"
    elif facts["level"] in _COLORS:
        event = f"{facts['level']}: {event}"
    return f"{time} {event} {safe_line(str(facts['job']))}" if facts.get("job") else f"{time} {event}"


def _below(facts: Facts) -> Iterator[str]:
    error = facts.get(_ERROR)
    remedy = facts.get(_REMEDY) or (error.get(_REMEDY) if isinstance(error, Mapping) else None)
    if remedy:
        yield f"{_INDENT}→ {safe_line(str(remedy), _LONGEST_FACT)}"
    if TRACEBACK in facts:
        for line in cut(str(facts[TRACEBACK]), _LONGEST_TRACEBACK).splitlines():
            yield f"{_INDENT}{safe_indented(line)}"


def _sentence(words: str) -> str:
    remedy = words.removeprefix("what to do: ")
    return safe_line(words, _LONGEST_FACT) if remedy == words else f"→ {safe_line(remedy, _LONGEST_FACT)}"


def _listed(facts: Facts) -> str:
    """Return the facts that say something, each as a name and a word or a text in quotes."""
    return " ".join(f"{name}={_word(name, value)}" for name, value in facts.items() if value not in (None, [], {}, ()))


def _word(name: str, value: Any) -> str:
    match value:
        case bool() | int() | float():
            return str(value)
        case Mapping():
            return _quoted(", ".join(f"{key} {item}" for key, item in value.items()))
        case list() | tuple():
            return _quoted("; ".join(map(str, value)))
    return safe_key(str(value)) if name == _KEY else _quoted(str(value))


def _quoted(value: str) -> str:
    text = safe_line(value, _LONGEST_FACT)
    return text if text and not set(text) & set(' "=') else '"' + text.replace('"', "\\x22") + '"'


def _run(facts: Facts) -> str:
    """Return what a tick or catch-up did."""
    outcome, error = facts["outcome"], facts.get(_ERROR)
    if error:
        return f"{outcome}, {_failure(error)}"
    copied = f"{facts['copied']:,} copied"
    if facts["copied_bytes"]:
        copied += f" ({rounded_size(facts['copied_bytes'])})"
    parts = [copied, f"{facts['listed']:,} listed"]
    for name, words in (
        ("already_there", "there already"),
        ("restored", "restored"),
        ("failed_count", "failed"),
        ("conflict_count", "in conflict"),
    ):
        parts += [f"{facts[name]:,} {words}"] if facts[name] else []
    archived = facts["skipped"].get("archived")
    parts += [f"{archived:,} archived"] if archived else []
    until = facts["complete_until"]
    parts.append(f"complete until {until[:16].replace('T', ' ')}" if until else "complete until no time yet")
    return f"{outcome}, {', '.join(parts)}, {facts['duration_seconds']:.1f} s"


def _failure(error: Facts) -> str:
    return f"{safe_line(str(error['reason']))}: {safe_line(str(error['detail']), _LONGEST_FACT)}"


def _failed(facts: Facts) -> str:
    error = facts.get(_ERROR)
    return _failure(error) if error else _listed(facts)


def _of_object(facts: Facts) -> str:
    """Return the key of an object and the answer, which is the last on its line."""
    words = [safe_key(str(facts[_KEY]))]
    words += [safe_line(str(facts[name]), _LONGEST_FACT) for name in ("reason", "detail") if facts.get(name)]
    return ": ".join(words)


def _mode(facts: Facts) -> str:
    signer = f", signed by the {facts['signer']}" if facts.get("signer") else ""
    return f"{facts['mode']}{signer}: {safe_line(str(facts['why']), _LONGEST_WHY)}"


def _progress(facts: Facts) -> str:
    progress = Progress.of({**facts, "began_at": 0.0, "at": 0.0})
    return f"{progress_words(progress)} ({rounded_size(progress.copied_bytes)})"


def _recovered(facts: Facts) -> str:
    return f"after {facts['failures']} failures in {span(facts['failing_seconds'])}"


_SENTENCES = {events.OBJECTIVE_MISSED: "why", events.CONFIGURATION_REFUSED: "problems", events.JOB_REFUSED: "problems"}
"""The fact of an event that is a list of sentences, which come below it."""

_WORDS: Mapping[str, Callable[[Facts], str]] = {
    events.TICK_FINISHED: _run,
    events.CATCH_UP_FINISHED: _run,
    events.TICK_FAILED: _failed,
    events.TICK_PROGRESS: _progress,
    events.TICK_RECOVERED: _recovered,
    events.OBJECT_FAILED: _of_object,
    events.OBJECT_ARCHIVED: _of_object,
    events.OBJECT_CONFLICTED: _of_object,
    events.MODE_CHOSEN: _mode,
}
