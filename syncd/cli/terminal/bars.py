"""Progress bars on stderr, one for each job that runs."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

from syncd.cli.screen.drawing import plain_console
from syncd.daemon import logs
from syncd.job.health.freshness import span
from syncd.job.health.progress import Progress, rate
from syncd.model.reports import SpreadProgress
from syncd.model.units import rounded_size

_BAR_WIDTH = 16


@contextmanager
def bars() -> Iterator["Bars"]:
    """Show bars.

    Until the listing has ended, nobody knows the total, and the bar only moves.
    """
    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(_BAR_WIDTH),
        rich_progress.TextColumn("{task.fields[words]}", markup=False),
    )
    console = plain_console(stderr=True)
    shown = rich_progress.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    with shown, logs.written_to(_Above(console)):
        yield Bars(shown)


def words(progress: Progress) -> str:
    """Return the words beside a bar: `448/1,073+  67/s  12.3 MiB  40s left`."""
    if not progress.known:
        return f"{progress.listed:,} listed"
    parts = [f"{progress.done:,}/{progress.known:,}{'' if progress.is_total else '+'}"]
    if progress.per_second is not None:
        parts.append(f"{rate(progress.per_second)}/s")
    parts.append(rounded_size(progress.copied_bytes))
    if progress.seconds_left is not None:
        parts.append(f"{'' if progress.is_total else 'about '}{span(progress.seconds_left)} left")
    if progress.listed_until and not progress.is_total:
        parts.append(f"at {progress.listed_until}")
    return "  ".join(parts)


class Bars:
    """The bars of the jobs that run now."""

    def __init__(self, shown: "rich_progress.Progress") -> None:
        self._shown = shown
        self._tasks: dict[str, rich_progress.TaskID] = {}

    def show(self, job: str, progress: Progress | None) -> None:
        """Update a job's bar, or remove it."""
        if progress is None:
            if job in self._tasks:
                self._shown.remove_task(self._tasks.pop(job))
            return
        total = max(1, progress.known) if progress.is_total else None
        self._shown.update(self._bar(job), total=total, completed=progress.done, words=words(progress))

    def show_tasks(self, job: str, progress: SpreadProgress) -> None:
        """Update a job's bar with the tasks of its spread catch-up."""
        said = f"{progress.ended:,} of {progress.tasks:,} tasks" if progress.tasks else "finding tasks"
        total = max(1, progress.objects)
        self._shown.update(self._bar(job), total=total, completed=progress.objects_done, words=said)

    def _bar(self, job: str) -> rich_progress.TaskID:
        if job not in self._tasks:
            self._tasks[job] = self._shown.add_task(job, total=None, words="")
        return self._tasks[job]


class _Above(io.TextIOBase):
    """Lines of the log, printed above the bars."""

    def __init__(self, console: "Console") -> None:
        self._console = console

    def write(self, text: str) -> int:
        """Print lines. They are not folded, so that they can be copied."""
        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)
        return len(text)

    def isatty(self) -> bool:
        """Return true, since bars are shown on a terminal only."""
        return True
