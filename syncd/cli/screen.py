"""Tables and progress bars for people."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from syncd.job.health.freshness import span
from syncd.job.report import utc
from syncd.model.escaping import safe_key, safe_line
from syncd.model.reasons import Reason, remedy_of
from syncd.model.reports import TickReport

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID

    from syncd.job.planning import PlannedCopies
    from syncd.tick.recorder import Recorder

_UNBOUNDED = 10_000
_INDENT = 4
_LEAST_WIDTH = 20
_GOOD, _BAD = "green", "red"


def show(table: RenderableType) -> None:
    """Print to stdout. In a pipe, no line is folded."""
    console = plain_console()
    if not console.is_terminal:
        console.width = _UNBOUNDED
    if isinstance(table, str):
        table = Text(table, no_wrap=True, overflow="ignore")
    console.print(table, crop=False)


def show_held(entries: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Print quarantined objects as they arrive. Keys are not folded, so that they can be copied."""
    console = plain_console()
    for job, item in entries:
        key, *others = held_lines(job, item)
        if console.is_terminal:
            console.print(Text(key, no_wrap=True, overflow="ignore"), *map(Line, others), sep="\n", crop=False)
        else:
            console.file.write("\n".join((key, *others, "")))


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console that prints text literally: no markup, emoji or highlighting."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


class Line:
    """A line of text. On a narrow terminal its continuation lines are indented, so none looks like a new line."""

    def __init__(self, text: str, style: str = "") -> None:
        self._text = Text(text, style=style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fold to the width of the console."""
        first = max(options.max_width, _LEAST_WIDTH)
        if self._text.cell_len <= first:
            yield self._text
            return
        for number, line in enumerate(self._text.wrap(console, first - _INDENT)):
            line.rstrip()
            yield Text.assemble(" " * _INDENT, line) if number else line


def size(count: float) -> str:
    """Format a number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def reports_table(reports: Sequence[TickReport]) -> RenderableType:
    """Return a table of ticks, one row per job, followed by problems and remedies."""
    table = _table(
        "Job", "Outcome", "Complete until", numbers=("Listed", "Copied", "Bytes", "There", "Failed", "Seconds")
    )
    remarks: list[Line] = []
    for report in reports:
        style = _GOOD if report.outcome == "ok" else _BAD
        table.add_row(
            report.job,
            Text(report.outcome, style=style),
            _minute(report.complete_until),
            str(report.listed),
            str(report.copied),
            size(report.copied_bytes),
            str(report.already_there),
            str(report.failed_count + report.conflict_count),
            f"{report.duration_seconds:.1f}",
        )
        remarks += _remarks(report)
    return Group(table, *remarks)


def _table(*titles: str, numbers: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _minute(instant: float) -> str:
    """Format an instant in UTC, to the minute."""
    text = utc(instant)
    return text[:16].replace("T", " ") if text else "-"


def _remarks(report: TickReport) -> list[Line]:
    """Return what went wrong and what to do about it."""
    if report.error is not None:
        said, remedy = f"{report.error.reason}: {safe_line(report.error.detail)}", report.error.remedy
    elif report.failed:
        first = report.failed[0]
        said = f"{first.reason}: {safe_line(first.detail)}"
        remedy = remedy_of(first.reason, job=report.job, key=first.key, detail=first.detail)
    elif report.conflicts:
        key, detail = report.conflicts[0]
        said = f"conflict: {safe_key(key)}: {safe_line(detail)}"
        remedy = remedy_of(Reason.CONFLICT, key=key)
    else:
        return []
    return [Line(f"{report.job}: {said}"), Line(f"→ {safe_line(remedy)}")]


def plans_table(plans: "Sequence[tuple[TickReport, PlannedCopies]]") -> RenderableType:
    """Return a table of planned ticks, one row per job, followed by problems and remedies."""
    from syncd.copy.cost import PRICED_ON

    table = _table("Job", "Mode", numbers=("Listed", "To copy", "Bytes", "Requests", "Cost", "Time"))
    remarks: list[RenderableType] = []
    for report, copies in plans:
        made = copies.estimate
        table.add_row(
            report.job,
            copies.mode or "-",
            str(report.listed),
            str(copies.objects),
            size(copies.size_bytes),
            str(sum(made.requests.values())) if made else "-",
            f"${made.cost_usd:.4f}" if made else "-",
            f"{made.seconds:.0f} s" if made else "-",
        )
        remarks += _remarks(report)
    prices = (
        f"Prices of {PRICED_ON}, us-east-1, unless [prices] says otherwise; time at the best rate of the last runs."
    )
    return Group(table, *remarks, Text(prices, style="dim"))


def status_table(document: dict[str, Any]) -> RenderableType:
    """Return a table of jobs' health, followed by what is wrong with them.

    The objective met now, and the share of recent objects copied within it, are two different facts.
    """
    is_verified = any(job.get("verify", "off") != "off" for job in document["jobs"])
    proved = ("Proved until",) if is_verified else ()
    titles = ("Job", "Health", "Objective", "Last tick", "Complete until", *proved)
    table = _table(*titles, numbers=("Lag", "Copied in time", "Quarantine"))
    remarks = []
    for job in document["jobs"]:
        last = job["last_tick"]
        until = job["complete_until"]
        never = "-" if job["state_error"] else "never"
        table.add_row(
            job["job"],
            Text("healthy", style=_GOOD) if job["healthy"] else Text("unhealthy", style=_BAD),
            job["freshness"]["objective"],
            f"{last['outcome']}, {span(last['age_seconds'])} ago" if last else never,
            _to_the_minute(until),
            *((_to_the_minute(job.get("proved_until")),) if is_verified else ()),
            "-" if job["lag_seconds"] is None else span(job["lag_seconds"]),
            _copied_in_time(job["freshness"]),
            str(job["quarantine"]["count"]),
        )
        # Keys and servers' words inside these sentences are escaped already.
        remarks += [Line(f"{job['job']}: {sentence}") for sentence in job["why"]]
    return Group(table, *remarks)


def _to_the_minute(instant: str | None) -> str:
    return instant[:16].replace("T", " ") if instant else "-"


def _copied_in_time(freshness: dict[str, Any]) -> str:
    """Format the share of recent objects that were copied within the objective."""
    share = freshness["within_objective"]
    # Rounded down, so that 100 % means all of them.
    return "-" if share is None else f"{int(share * 1000) / 10:g} % of {freshness['objects']:,}"


def rebuild_table(document: dict[str, Any]) -> RenderableType:
    """Return a table of rebuilt jobs, one row per job."""
    table = _table("Job", numbers=("Shards", "Replicas"))
    remarks = []
    for job in document["jobs"]:
        table.add_row(job["job"], str(job["shards"]), str(job["replicas"]))
        if job["error"]:
            remarks.append(Line(f"{job['job']}: {job['error']['reason']}: {safe_line(job['error']['detail'])}"))
    return Group(table, *remarks)


def held_lines(job: str, item: dict[str, Any]) -> Sequence[str]:
    """Return the lines about a quarantined object: its key, the attempts, and the answer."""
    times = "once" if item["attempts"] == 1 else f"{item['attempts']} times"
    again = f", again from {item['next_at']}" if item["next_at"] else ""
    return (
        f"{job}: {safe_key(item['key'])}",
        f"  {item['reason']}, tried {times} since {item['first_at']}{again}",
        f"  {safe_line(item['detail'])}",
    )


class Bars:
    """One progress bar per job. Totals grow as the listing goes on."""

    def __init__(self, progress: "Progress | None") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, job: str, recorder: "Recorder") -> None:
        """Update a job's bar."""
        if self._progress is None:
            return
        if job not in self._tasks:
            self._tasks[job] = self._progress.add_task(job, total=None, bytes="")
        counts = recorder.counts
        done = counts.copied + counts.already_there + counts.failed_count + counts.conflict_count
        self._progress.update(
            self._tasks[job], completed=done, total=max(recorder.planned, 1), bytes=size(counts.copied_bytes)
        )


@contextmanager
def progress(*, is_shown: bool) -> Iterator[Bars]:
    """Show progress bars on stderr, with rate and time left, if `is_shown`."""
    if not is_shown:
        yield Bars(None)
        return
    from rich import progress as bars

    class Rate(bars.ProgressColumn):
        """A column with the objects copied per second."""

        def render(self, task: "Task") -> Text:
            return Text(f"{task.speed or 0:.0f}/s")

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[bytes]}", markup=False),
        Rate(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=plain_console(stderr=True), transient=True) as shown:
        yield Bars(shown)
