"""Tables and lines for people. Terminals get them folded and in colours (`cli/terminal/drawing.py`), pipes as they are."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from syncd.job.report import utc
from syncd.model.escaping import safe_key, safe_line
from syncd.model.reasons import Reason, remedy_of
from syncd.model.reports import TickReport
from syncd.model.units import rounded_size

if TYPE_CHECKING:
    from syncd.job.planning import PlannedCopies

_GOOD, _BAD = "green", "red"
_OBJECTS_TOLD = 5
_OF_TERMINALS = frozenset({"FORCE_COLOR", "TTY_COMPATIBLE"})
"""Variables that make a pipe a terminal, or a terminal none."""


class Styled(NamedTuple):
    """Text in a style."""

    text: str
    style: str = ""


class Spans(NamedTuple):
    """A line of several styles, which is never folded."""

    spans: Sequence[Styled]

    @property
    def text(self) -> str:
        """The text of the line."""
        return "".join(span.text for span in self.spans)


class Line(NamedTuple):
    """A line of text. On a narrow terminal its continuation lines are indented, so none looks like a new line."""

    text: str


class Remedy(NamedTuple):
    """A remedy. A command that folding breaks is repeated whole, so that it can be copied."""

    remedy: str

    @property
    def text(self) -> str:
        """The text of the line."""
        return f"→ {self.remedy}"


class Table(NamedTuple):
    """Rows below titles. The columns of numbers follow those of words."""

    words: Sequence[str]
    numbers: Sequence[str]
    rows: Sequence[Sequence[str | Styled]]
    longest: int | None = None
    """The width to which the first column is folded."""


Part: TypeAlias = str | Styled | Spans | Line | Remedy | Table
"""What is printed. A `str` is a line that is never folded."""


def show(parts: Iterable[Part]) -> None:
    """Print to stdout, each part as it arrives. In a pipe, no line is folded."""
    if sys.stdout.isatty() or not _OF_TERMINALS.isdisjoint(os.environ):
        _draw(parts)
        return
    for part in parts:
        text = _plain(part)
        if text is None:
            _draw([part])
        else:
            sys.stdout.write(text)


def _draw(parts: Iterable[Part]) -> None:
    from syncd.cli.terminal import drawing  # which takes a tenth of a start

    drawing.draw(parts)


def _plain(part: Part) -> str | None:
    """Return a part as pipes get it, or None for what is drawn: control characters, and columns that are not ASCII."""
    if isinstance(part, Table):
        return _plain_table(part)
    text = part if isinstance(part, str) else part.text
    return f"{text}\n" if text.isprintable() else None


def _plain_table(table: Table) -> str | None:
    rows = [[*table.words, *table.numbers], *([_text(cell) for cell in row] for row in table.rows)]
    if not all(cell.isascii() and cell.isprintable() for row in rows for cell in row):
        return None
    if table.longest is not None:
        if any(" " in row[0] and len(row[0]) > table.longest for row in rows):
            return None  # it is folded between words
        rows = [line for row in rows for line in _folded(row, table.longest)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<"] * len(table.words) + [">"] * len(table.numbers)
    form = " ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True)) + "\n"
    return "".join(form.format(*row) for row in rows)


def _folded(row: list[str], longest: int) -> Iterator[list[str]]:
    first, *others = row
    yield [first[:longest], *others]
    for start in range(longest, len(first), longest):
        yield [first[start : start + longest], *[""] * len(others)]


def _text(cell: str | Styled) -> str:
    return cell if isinstance(cell, str) else cell.text


def show_held(entries: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Print quarantined objects as they arrive. Keys are not folded, so that they can be copied."""
    show(line for job, item in entries for line in held_lines(job, item))


def reports_table(reports: Sequence[TickReport]) -> list[Part]:
    """Return a table of ticks, one row per job, followed by problems and remedies."""
    rows = [
        (
            report.job,
            Styled(report.outcome, _GOOD if report.outcome == "ok" else _BAD),
            _minute(report.complete_until),
            str(report.listed),
            str(report.copied),
            rounded_size(report.copied_bytes),
            str(report.already_there),
            str(report.failed_count + report.conflict_count),
            f"{report.duration_seconds:.1f}",
        )
        for report in reports
    ]
    numbers = ("Listed", "Copied", "Bytes", "There", "Failed", "Seconds")
    remarks = (remark for report in reports for remark in _remarks(report))
    return [Table(("Job", "Outcome", "Complete until"), numbers, rows), *remarks]


def _minute(instant: float) -> str:
    """Format an instant in UTC, to the minute."""
    text = utc(instant)
    return text[:16].replace("T", " ") if text else "-"


def _remarks(report: TickReport) -> "list[Line | Remedy]":
    """Return what went wrong and what to do about it: the failure, and the first objects."""
    if (error := report.error) is not None:
        words = f"{report.job}: {error.reason}: {safe_line(error.detail)}"
        return [Line(words), Remedy(safe_line(error.remedy))]
    found = [(Reason.CONFLICT.value, key, detail) for key, detail in report.conflicts]
    found += [(item.reason, item.key, item.detail) for item in (*report.failed, *report.archived)]
    lines: list[Line | Remedy] = []
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


def plans_table(plans: "Sequence[tuple[TickReport, PlannedCopies]]", *, with_month: bool = False) -> list[Part]:
    """Return a table of planned ticks, one row per job, followed by problems and remedies, and of a month."""
    from syncd.copy.cost import PRICED_ON

    rows = [
        (
            report.job,
            copies.mode or "-",
            str(report.listed),
            str(copies.objects),
            rounded_size(copies.size_bytes),
            "-" if copies.tasks is None else str(copies.tasks),
            str(sum(made.requests.values())) if (made := copies.estimate) else "-",
            f"${made.cost_usd:.4f}" if made else "-",
            f"{made.seconds:.0f} s" if made else "-",
        )
        for report, copies in plans
    ]
    numbers = ("Listed", "To copy", "Bytes", "Tasks", "Requests", "Cost", "Time")
    remarks = (remark for report, _ in plans for remark in _remarks(report))
    prices = (
        f"Prices of {PRICED_ON}, us-east-1, unless [prices] says otherwise; time at the best rate of the last runs."
    )
    months = _months_table(plans) if with_month else ()
    return [Table(("Job", "Mode"), numbers, rows), *remarks, *months, Styled(prices, "dim")]


def _months_table(plans: "Sequence[tuple[TickReport, PlannedCopies]]") -> list[Part]:
    numbers = ("Objects", "Bytes", "Ticks", "Requests", "Cost", "aws s3 sync")
    rows = [
        (
            report.job,
            f"{month.objects:,}",
            rounded_size(month.size_bytes),
            f"{month.ticks:,}",
            f"{sum(month.requests.values()):,}",
            f"${month.cost_usd:,.2f}",
            f"${month.sync_cost_usd:,.2f}",
        )
        if (month := copies.month) is not None
        else (report.job, *["-"] * len(numbers))
        for report, copies in plans
    ]
    about = "At the rate of the last full days, without storage. `aws s3 sync`, run as often, lists both sides whole each time."
    return [Styled(""), Table(("30 days",), numbers, rows), Styled(about, "dim")]


def rebuild_table(document: dict[str, Any]) -> list[Part]:
    """Return a table of rebuilt jobs, one row per job."""
    rows = [(job["job"], str(job["shards"]), str(job["replicas"])) for job in document["jobs"]]
    remarks: list[Part] = []
    for job in document["jobs"]:
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
    return [Table(("Job",), ("Shards", "Replicas"), rows), *remarks]


def held_lines(job: str, item: dict[str, Any]) -> Sequence[Part]:
    """Return the lines about a quarantined object: its key, the attempts, and the answer."""
    times = "once" if item["attempts"] == 1 else f"{item['attempts']} times"
    again = f"again from {item['next_at']}" if item["next_at"] else "not tried again by itself"
    remedy = remedy_of(item["reason"], job=job, key=item["key"], detail=item["detail"])
    return (
        f"{job}: {safe_key(item['key'])}",
        Line(f"  {item['reason']}, tried {times} since {item['first_at']}, {again}"),
        Line(f"  {safe_line(item['detail'])}"),
        Line(f"  → {safe_line(remedy)}"),
    )
