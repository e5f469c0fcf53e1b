"""The table of `syncd status`: 80 columns wide, the worst job first."""

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from syncd.cli.screen.parts import Line, Part, Remedy, Styled, Table
from syncd.job.health.freshness import span
from syncd.job.health.progress import Progress, progress_words
from syncd.job.health.word import WORST_FIRST, Health, headline

MOST_HEALTHY = 20
"""Of more jobs than fit a screen, so many that are well are shown."""
_MOST_EXPLAINED = 20
_SCREEN_JOBS = 40
_LONGEST_NAME = 22
WATCH_SECONDS = 2.0
_STYLES = {Health.HEALTHY: "green", Health.STARTING: "cyan", Health.FAILING: "yellow", Health.INCOMPLETE: "yellow"}


def worst_first(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of a status document, the worst first, then by name."""
    return sorted(jobs, key=lambda job: (WORST_FIRST[Health(job["health"])], job["job"]))


def status_table(document: dict[str, Any], *, shows_all: bool = True, shows_healthy: bool = True) -> list[Part]:
    """Return a headline, a table of jobs, what runs now, and what is wrong with the worst.

    Unless `shows_all`, many jobs that are well become one line.
    """
    jobs = worst_first(document["jobs"])
    shown = jobs if shows_all or len(jobs) <= _SCREEN_JOBS else _without_most_healthy(jobs)
    if not shows_healthy:
        jobs = shown = [job for job in jobs if not job["healthy"]]
    words = [Health(job["health"]) for job in document["jobs"]]
    lines: list[Part] = [Styled(f"{headline(words)}.", "bold"), *([_table(shown)] if shown else [])]
    if left_out := len(jobs) - len(shown):
        lines.append(Line(f"{left_out:,} more jobs are healthy: `syncd status '*'` shows them."))
    if (fleet := document.get("fleet")) is not None:
        slot = f"Slot {fleet['slot']} of {fleet['members']}, {fleet['owner']}."
        lines.append(Line(slot if fleet["is_held"] else "No slot: this daemon stands by, or does not run."))
    return [*lines, *_running(shown), *_proved(shown), *_troubles(shown)]


def watch(read: Callable[[], list[Part]]) -> None:
    """Show what `read` returns until Ctrl-C, again every two seconds."""
    from rich.live import Live  # for terminals alone

    from syncd.cli.screen.drawing import drawn_together, plain_console

    pause = Event()
    with Live(drawn_together(read()), console=plain_console(), screen=True, auto_refresh=False) as live:
        while True:
            pause.wait(WATCH_SECONDS)
            live.update(drawn_together(read()), refresh=True)


def _without_most_healthy(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    well = sum(job["health"] == Health.HEALTHY for job in jobs)
    return jobs[: len(jobs) - well + min(well, MOST_HEALTHY)]


def _table(jobs: Sequence[dict[str, Any]]) -> Table:
    numbers = ("Lag", "Ticked", "In time", "Missing")
    return Table(("Job", "Health", "Complete until"), numbers, [_row(job) for job in jobs], longest=_LONGEST_NAME)


def _row(job: dict[str, Any]) -> tuple[str | Styled, ...]:
    word, last, until = Health(job["health"]), job["last_tick"], job["complete_until"]
    return (
        job["job"],
        Styled(word, _STYLES.get(word, "red")),
        until[:16].replace("T", " ") if until else "-",
        "-" if job["lag_seconds"] is None else span(job["lag_seconds"]),
        f"{_largest_unit(last['age_seconds'])} ago" if last else "-" if job["state_error"] else "never",
        _in_time(job["freshness"]),
        f"{job['quarantine']['count']:,}",
    )


def _largest_unit(seconds: float) -> str:
    unit = next((unit for unit in (86400, 3600, 60) if seconds >= unit), 1)
    return span(seconds - seconds % unit)


def _in_time(freshness: dict[str, Any]) -> str:
    """Format the share of recent objects that were copied within the objective."""
    share = freshness["within_objective"]
    # Rounded down, so that 100 % means all of them.
    return "-" if share is None else f"{int(share * 1000) / 10:g} %"


def _running(jobs: Sequence[dict[str, Any]]) -> list[Line]:
    """Return a line for each run under way."""
    lines = []
    for job in jobs:
        for document in job["running"]:
            kind = "first copy" if job["health"] == Health.STARTING else document["kind"]
            lines.append(Line(f"{job['job']}: {kind} under way: {progress_words(Progress.of(document))}"))
    return lines


def _proved(jobs: Sequence[dict[str, Any]]) -> list[Line]:
    """Return a line for each job whose digests are checked as they arrive."""
    verified = [job for job in jobs if job.get("verify", "off") != "off"]
    return [Line(f"{job['job']}: proved until {job['proved_until'] or 'never'}") for job in verified]


def _troubles(jobs: Sequence[dict[str, Any]]) -> list[Line | Remedy]:
    """Return what is wrong, each sentence with what to do below it."""
    lines: list[Line | Remedy] = []
    troubled = [job for job in jobs if job["why"]]
    for job in troubled[:_MOST_EXPLAINED]:
        # Keys and servers' words inside these sentences are escaped already.
        for sentence in job["why"]:
            remedy = sentence.removeprefix("what to do: ")
            lines.append(Line(f"{job['job']}: {sentence}") if remedy == sentence else Remedy(remedy))
    if (more := len(troubled) - _MOST_EXPLAINED) > 0:
        lines.append(Line(f"{more:,} more jobs need attention: `syncd status JOB` explains one."))
    return lines
