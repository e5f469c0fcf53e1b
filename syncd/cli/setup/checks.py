"""The findings of `syncd check`, as a person sees them."""

from collections.abc import Iterator, Sequence

from syncd.check.result import Check, JobChecks, Status
from syncd.cli.screen.output import show
from syncd.cli.screen.parts import Part, Spans, Styled
from syncd.model.escaping import safe_line

_MARKS = {
    "ok": ("✓", "green"),
    "failed": ("✗", "red"),
    "warning": ("!", "yellow"),
    "information": ("·", "dim"),
}
_WIDTH = 20
# A remedy may quote a whole statement, with a prefix for each account.
LONGEST_REMEDY = 20_000


def show_checks(found: Sequence[JobChecks]) -> None:
    """Print one line per step, and below it the remedy. Lines are not folded, so that they can be copied."""
    show(part for job in found for part in _parts(job))


def _parts(job: JobChecks) -> Iterator[Part]:
    yield Styled(job.job, "bold")
    for check in job.checks:
        yield _line(check)
        if check.remedy:
            yield f"    → {safe_line(check.remedy, LONGEST_REMEDY)}"
    yield Spans([_verdict(job)])


def _line(check: Check) -> Spans:
    mark, style = _MARKS[check.status]
    name = f"{check.name:<{_WIDTH}}"
    return Spans([Styled("  "), Styled(mark, style), Styled(" "), Styled(name, style), Styled(safe_line(check.detail))])


def _verdict(job: JobChecks) -> Styled:
    failed = [check.name for check in job.checks if check.status is Status.FAILED]
    if failed:
        return Styled(f"  {len(failed)} failed: {', '.join(failed)}", "red")
    warned = [check.name for check in job.checks if check.status is Status.WARNING]
    if warned:
        return Styled(f"  ready; worth a look: {', '.join(warned)}", "yellow")
    return Styled("  ready", "green")
