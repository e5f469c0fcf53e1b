"""The findings of `syncd check`, as a person sees them."""

from collections.abc import Sequence

from rich.text import Text

from syncd.check.result import Check, JobChecks, Status
from syncd.cli.terminal.drawing import plain_console
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
    console = plain_console()
    for job in found:
        console.print(Text(job.job, style="bold"))
        for check in job.checks:
            console.print(_line(check), soft_wrap=True)
            if check.remedy:
                console.print(Text(f"    → {safe_line(check.remedy, LONGEST_REMEDY)}"), soft_wrap=True)
        console.print(_verdict(job), soft_wrap=True)


def _line(check: Check) -> Text:
    mark, style = _MARKS[check.status]
    return Text.assemble("  ", (mark, style), " ", (f"{check.name:<{_WIDTH}}", style), safe_line(check.detail))


def _verdict(job: JobChecks) -> Text:
    failed = [check.name for check in job.checks if check.status is Status.FAILED]
    if failed:
        return Text(f"  {len(failed)} failed: {', '.join(failed)}", style="red")
    warned = [check.name for check in job.checks if check.status is Status.WARNING]
    if warned:
        return Text(f"  ready; worth a look: {', '.join(warned)}", style="yellow")
    return Text("  ready", style="green")
