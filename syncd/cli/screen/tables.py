"""Tables of documents, and the lines below them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from syncd.cli.screen.parts import Line, Part, Remedy, Styled, Table
from syncd.job.report import utc
from syncd.model.escaping import safe_key, safe_line
from syncd.model.reasons import Reason, remedy_of
from syncd.model.reports import TickReport
from syncd.model.units import rounded_size

if TYPE_CHECKING:
    from syncd.job.planning import PlannedCopies

_GOOD, _BAD = "green", "red"
_OBJECTS_TOLD = 5


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


def held_table(entries: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Part]:
    """Yield the lines about quarantined objects. Keys are not folded, so that they can be copied."""
    for job, item in entries:
        yield from held_lines(job, item)


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
