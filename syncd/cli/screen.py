"""Tables for people."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from syncd.job.report import utc
from syncd.model.escaping import safe_key, safe_line
from syncd.model.reasons import Reason, remedy_of
from syncd.model.reports import TickReport
from syncd.model.units import rounded_size

if TYPE_CHECKING:
    from syncd.job.planning import PlannedCopies

_UNBOUNDED = 10_000
_INDENT = 4
_LEAST_WIDTH = 20
_GOOD, _BAD = "green", "red"
_OBJECTS_TOLD = 5
_COMMAND = re.compile(r"`(syncd (?:check|policies|tick|ledger quarantine (?:accept|retry|list)) [^`]+)`")


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
        yield from self._folded(console, max(options.max_width, _LEAST_WIDTH))

    def _folded(self, console: Console, first: int) -> list[Text]:
        if self._text.cell_len <= first:
            return [self._text]
        lines = list(self._text.wrap(console, first - _INDENT))
        for line in lines:
            line.rstrip()
        return [lines[0], *(Text.assemble(" " * _INDENT, line) for line in lines[1:])]


class Remedy(Line):
    """A remedy. A command that folding breaks is repeated whole, so that it can be copied."""

    def __init__(self, remedy: str) -> None:
        super().__init__(f"→ {remedy}")
        # With a backtick in a key there are more than two.
        found = _COMMAND.search(remedy) if remedy.count("`") == 2 else None
        self._command = found[1] if found else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fold to the width of the console, the command excepted."""
        lines = self._folded(console, max(options.max_width, _LEAST_WIDTH))
        yield from lines
        if self._command and not any(self._command in line.plain for line in lines):
            yield Text(" " * _INDENT + f"$ {self._command}", no_wrap=True, overflow="ignore")


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
            rounded_size(report.copied_bytes),
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
    """Return what went wrong and what to do about it: the failure, and the first objects."""
    if (error := report.error) is not None:
        words = f"{report.job}: {error.reason}: {safe_line(error.detail)}"
        return [Line(words), Remedy(safe_line(error.remedy))]
    found = [(Reason.CONFLICT.value, key, detail) for key, detail in report.conflicts]
    found += [(item.reason, item.key, item.detail) for item in (*report.failed, *report.archived)]
    lines: list[Line] = []
    told = ""
    for reason, key, detail in found[:_OBJECTS_TOLD]:
        lines.append(Line(f"{report.job}: {reason}: {safe_key(key)}: {safe_line(detail)}"))
        remedy = remedy_of(reason, job=report.job, key=key, detail=detail)
        # The same advice once, for all objects in a row that it holds for.
        lines += [Remedy(safe_line(remedy))] if remedy != told else []
        told = remedy
    count = report.failed_count + report.conflict_count + len(report.archived)
    if count > _OBJECTS_TOLD:
        lines.append(Line(f"{report.job}: {count - _OBJECTS_TOLD:,} more: `syncd ledger quarantine list {report.job}`"))
    return lines


def plans_table(plans: "Sequence[tuple[TickReport, PlannedCopies]]", *, with_month: bool = False) -> RenderableType:
    """Return a table of planned ticks, one row per job, followed by problems and remedies, and of a month."""
    from syncd.copy.cost import PRICED_ON

    table = _table("Job", "Mode", numbers=("Listed", "To copy", "Bytes", "Tasks", "Requests", "Cost", "Time"))
    remarks: list[RenderableType] = []
    for report, copies in plans:
        made = copies.estimate
        table.add_row(
            report.job,
            copies.mode or "-",
            str(report.listed),
            str(copies.objects),
            rounded_size(copies.size_bytes),
            "-" if copies.tasks is None else str(copies.tasks),
            str(sum(made.requests.values())) if made else "-",
            f"${made.cost_usd:.4f}" if made else "-",
            f"{made.seconds:.0f} s" if made else "-",
        )
        remarks += _remarks(report)
    prices = (
        f"Prices of {PRICED_ON}, us-east-1, unless [prices] says otherwise; time at the best rate of the last runs."
    )
    months = [_months_table(plans)] if with_month else []
    return Group(table, *remarks, *months, Text(prices, style="dim"))


def _months_table(plans: "Sequence[tuple[TickReport, PlannedCopies]]") -> RenderableType:
    table = _table("30 days", numbers=("Objects", "Bytes", "Ticks", "Requests", "Cost", "aws s3 sync"))
    for report, copies in plans:
        month = copies.month
        if month is None:
            table.add_row(report.job, *["-"] * 6)
            continue
        table.add_row(
            report.job,
            f"{month.objects:,}",
            rounded_size(month.size_bytes),
            f"{month.ticks:,}",
            f"{sum(month.requests.values()):,}",
            f"${month.cost_usd:,.2f}",
            f"${month.sync_cost_usd:,.2f}",
        )
    about = "At the rate of the last full days, without storage. `aws s3 sync`, run as often, lists both sides whole each time."
    return Group(Text(), table, Text(about, style="dim"))


def rebuild_table(document: dict[str, Any]) -> RenderableType:
    """Return a table of rebuilt jobs, one row per job."""
    table = _table("Job", numbers=("Shards", "Replicas"))
    remarks: list[RenderableType] = []
    for job in document["jobs"]:
        table.add_row(job["job"], str(job["shards"]), str(job["replicas"]))
        if (would := job["would"]) is not None:
            kept = would["keep"]
            remarks.append(
                Line(
                    f"{job['job']}: would forget {would['forget']:,} objects and list both sides with about"
                    f" {would['list']:,} requests; {kept['quarantined']:,} in quarantine and {kept['accepted']:,} accepted"
                    " stay. Nothing was changed"
                )
            )
        if job["error"]:
            remarks.append(Line(f"{job['job']}: {job['error']['reason']}: {safe_line(job['error']['detail'])}"))
    return Group(table, *remarks)


def held_lines(job: str, item: dict[str, Any]) -> Sequence[str]:
    """Return the lines about a quarantined object: its key, the attempts, and the answer."""
    times = "once" if item["attempts"] == 1 else f"{item['attempts']} times"
    again = f"again from {item['next_at']}" if item["next_at"] else "not tried again by itself"
    remedy = remedy_of(item["reason"], job=job, key=item["key"], detail=item["detail"])
    return (
        f"{job}: {safe_key(item['key'])}",
        f"  {item['reason']}, tried {times} since {item['first_at']}, {again}",
        f"  {safe_line(item['detail'])}",
        f"  → {safe_line(remedy)}",
    )
