"""The demo's output: a line or two per step, a table per tick."""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.kept.keeping import EVERY, Kept
from syncd.cli.demo.play.proof import Proved, problems, told
from syncd.cli.demo.play.steps import Built, Compared, Delivered, Raced, Step, Ticked, Tried
from syncd.cli.demo.world import World
from syncd.cli.screen.drawing import drawn_together
from syncd.cli.screen.tables import reports_table
from syncd.model.escaping import safe_line
from syncd.model.units import rounded_size

_WIDTH = 80
_YES, _NO = "[green]✓[/]", "[bold red]✗[/]"
_ROLES = {
    "account-b": "one of A's own accounts: can read its own logs",
    "account-c": "another one: can read its own logs",
    "account-z": "a third party with an external ID: can read all logs",
}
_HEADINGS: dict[type[object], tuple[str, str]] = {
    Raced: (
        "What would a marker lose?",
        (
            "A poller that remembers the greatest key it has read, and lists from there, shares a busy trail with syncd."
            " Both poll every five minutes. The logs arrive in the order in which a real trail delivered them: four times,"
            " a name that sorts earlier arrived later."
        ),
    ),
    Compared: (
        "Are they the same?",
        "Every object on both sides is read: bytes, type, encoding and user metadata.",
    ),
    Tried: ("What must be refused", "Three jobs try it for real. The server refuses, and syncd reports why."),
}
_INDENT = 4


def console() -> Console:
    """Return a console for stdout. In a pipe it is wide enough for whole tables."""
    plain = Console(highlight=False, emoji=False)
    return plain if plain.is_terminal else Console(highlight=False, emoji=False, width=_WIDTH)


class DemoScreen:
    """Printer of the demo's progress. Without a console it prints nothing."""

    def __init__(self, shown_on: Console | None, program: str = "syncd") -> None:
        self._console = shown_on or Console(quiet=True)
        self._last: type[object] = object
        self._headings = 0
        self._program = program

    @contextmanager
    def working(self) -> Iterator[Callable[[str], None]]:
        """Show a spinner on a terminal. Yields a function that says what is being done."""
        with self._console.status("starting") as status:
            yield status.update

    def begun(self, url: str) -> None:
        """Print that the server is up."""
        self._console.print(f"[bold]syncd demo[/]\nAn embedded AWS runs at {_plain(url)}: S3, STS, IAM.\n")

    def show(self, step: Step) -> None:
        """Print a step and its result."""
        self._begin(step)
        match step:
            case Built():
                self._built(step.world)
            case Delivered():
                self._console.print(f"{_mark(step)} CloudTrail delivers {_objects(step.objects)}: {step.what}")
            case Ticked():
                self._ticked(step)
            case Raced():
                self._raced(step)
            case Compared():
                self._compared(step)
            case Tried():
                self._tried(step)
            case Proved():
                self._proved(step)

    def _begin(self, step: Step) -> None:
        """Print the heading of a step, if it begins a chapter."""
        is_next = type(step) is not self._last
        self._last = type(step)
        if isinstance(step, Ticked | Proved):
            self._heading(step.title, step.remark)
        elif is_next and type(step) in _HEADINGS:
            self._heading(*_HEADINGS[type(step)])
        elif is_next and isinstance(step, Delivered):
            self._console.print()

    def ended(self, *, holds: bool, seconds: float, is_kept: bool) -> None:
        """Print the verdict."""
        verdict = "[bold green]All checks passed.[/]" if holds else "[bold red]A check failed: see ✗ above.[/]"
        self._console.print(f"\n{verdict} {seconds:.0f} s.")
        if not is_kept:
            self._console.print("Nothing is left behind. This leaves it running, with a status page to watch:")
            self._lines(f"  {self._program} demo --keep")

    def interrupted(self) -> None:
        """Print that a signal ended the demo."""
        self._console.print("\nInterrupted; nothing is left behind.")

    def stopped(self) -> None:
        """Print that a demo that was kept has ended."""
        self._console.print("\nStopped; nothing is left behind.")

    def kept(self, kept: Kept) -> None:
        """Print what to look at and to try while it keeps running."""
        world, folder, program = kept.world, kept.folder, self._program
        consumer = world.consumers[0]
        aws = f"aws --region {world.region} --endpoint-url {world.url} s3 ls"
        own = f"AWS_SHARED_CREDENTIALS_FILE={folder / 'credentials'} AWS_PROFILE={consumer.name}"
        root = f"AWS_ACCESS_KEY_ID={world.account_id} AWS_SECRET_ACCESS_KEY={ROOT_SECRET}"
        self._console.print(f"\n[bold]It keeps running until Ctrl-C, and its status page is {_plain(kept.page)}[/]")
        self._lines(
            f"A daemon ticks its jobs every {EVERY}. In another terminal:",
            f"  export SYNCD_CONFIG={kept.config}",
            f"  {program} status --watch",
            f"  {program} check account-b",
            f"  {program} verify --no-heal --keys {folder / 'cloudtrail-public-keys.json'}",
            "Break something, watch the job change its colour, and mend it:",
            *(f"  {program} demo break {trouble}" for trouble in ("role", "late", "conflict", "clock")),
            "A second daemon that has lost the state finds all at the destination, and copies nothing:",
            f"  {program} run --config {kept.stateless}",
            "With the AWS command line, as Account B and as the root user of Account A:",
            f"  {own} {aws} --recursive s3://{consumer.bucket}",
            f"  {root} {aws} s3://{world.bucket}/AWSLogs/",
            f"The jobs are in {folder / 'jobs.d'}, their log is {folder / 'demo.log'}.",
        )

    def _lines(self, *lines: str) -> None:
        """Print lines that are not broken, so that they can be copied."""
        for line in lines:
            self._console.print(line, soft_wrap=True, markup=False)

    def _heading(self, title: str, remark: str) -> None:
        self._headings += 1
        self._console.print(f"\n[bold]{self._headings}. {title}[/]")
        self._wrapped(remark)

    def _wrapped(self, text: str) -> None:
        """Print a remark, wrapped between words."""
        for line in textwrap.wrap(text, min(_WIDTH, self._console.width)):
            self._console.print(line, soft_wrap=True, markup=False, style="dim")

    def _quote(self, *lines: str) -> None:
        """Print an answer, indented and wrapped between words."""
        for line in lines:
            for part in textwrap.wrap(
                safe_line(line), self._console.width - _INDENT, break_long_words=False, break_on_hyphens=False
            ):
                self._console.print(" " * _INDENT + part, soft_wrap=True, markup=False, style="dim")

    def _built(self, world: World) -> None:
        self._console.print(
            f"{world.account_id}  account-a  owns the trail and its bucket, s3://{_plain(world.bucket)}"
        )
        for consumer in world.consumers:
            self._console.print(f"{consumer.account_id}  {consumer.name}  {_ROLES[consumer.name]}")

    def _ticked(self, step: Ticked) -> None:
        self._console.print(drawn_together(reports_table(step.reports)))
        late = max(step.reports, key=lambda report: report.worst_lateness_seconds)
        if late.worst_lateness_seconds:
            hours = late.worst_lateness_seconds / 3600
            self._console.print(f"[dim]Found and logged: a log file that arrived {hours:.0f} hours late.[/]")
        for report, expected in zip(step.reports, step.expected, strict=True):
            if report.copied != expected:
                self._console.print(f"{_NO} {report.job} copied {report.copied} objects instead of {expected}")
        if step.holds:
            others = "" if not step.denied else f"; {', '.join(step.denied)} failed and read nothing"
            self._console.print(f"{_YES} each job copied exactly its new objects{others}")

    def _raced(self, step: Raced) -> None:
        marker, syncd = (step.delivered - len(lost) for lost in (step.marker_lost, step.syncd_lost))
        self._console.print(f"{'':10} {'Copied':>6} {'Lost':>6}", style="bold")
        self._console.print(f"{'a marker':10} {marker:6} {len(step.marker_lost):6}")
        self._console.print(f"{'syncd':10} {syncd:6} {len(step.syncd_lost):6}")
        verdict = (
            "the marker lost these for good" if step.holds else "the marker lost these, which is not what it should"
        )
        self._console.print(f"{_mark(step)} of {_logs(step.delivered)} in {step.polls} polls, {verdict}:")
        self._quote(*map(_file, step.marker_lost))
        for key in step.syncd_lost:
            self._console.print(f"{_NO} syncd has lost {_plain(key)}")
        self._wrapped(
            f"It loses {step.fewest} to {step.most} of these logs, depending on when it polls."
            " `make simulate` shows sixty days."
        )

    def _compared(self, step: Compared) -> None:
        verdict = "identical" if step.holds else f"{len(step.differences)} differences"
        self._console.print(
            f"{_mark(step)} {step.job}  {_plain(step.destination)}: "
            f"{_objects(step.objects)}, {rounded_size(step.size_bytes)}, {verdict}"
        )
        for difference in step.differences[:5]:
            self._console.print(f"    {_plain(difference)}")

    def _tried(self, step: Tried) -> None:
        error = step.report.error
        verdict = f"refused at {step.operation}" if step.holds else "NOT refused as it should be"
        self._console.print(f"{_mark(step)} {step.what}: {verdict}")
        if error is not None:
            self._quote(f"{error.reason}: {error.detail}", f"what to do: {error.remedy}")

    def _proved(self, step: Proved) -> None:
        for document in step.documents:
            is_tampered = document["job"] == step.tampered
            is_right = set(step.named) <= told(document) if is_tampered else document["verdict"] == "proved"
            counts = f"{document['digests']:,} digests and {document['logs']:,} logs, until {document['proved_until']}"
            verdict = "not all is proved:" if is_tampered else f"proved by {counts}"
            self._console.print(f"{_YES if is_right else _NO} {document['job']}  {verdict}")
            for problem in problems(document):
                self._quote(f"{problem['reason']}: {problem['detail']}", _file(problem["key"] or ""))


def _plain(text: str) -> str:
    """Escape markup and control characters."""
    return escape(safe_line(text))


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"


def _logs(count: int) -> str:
    return f"{count:,} logs"


def _file(key: str) -> str:
    """Return the last part of a key, which fits a line."""
    return key.rpartition("/")[2]


def _mark(step: Step) -> str:
    return _YES if step.holds else _NO
