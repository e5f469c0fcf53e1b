"""The demo's output: a line or two per step, a table per tick."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.proof import Proved, problems, told
from syncd.cli.demo.story import Built, Compared, Delivered, Step, Ticked, Tried
from syncd.cli.demo.world import World
from syncd.cli.screen import reports_table
from syncd.model.escaping import safe_line
from syncd.model.units import rounded_size

_WIDTH = 100
_YES, _NO = "[green]✓[/]", "[bold red]✗[/]"
_ROLES = {
    "account-b": "one of A's own accounts: can read its own logs",
    "account-c": "another one: can read its own logs",
    "account-z": "a third party with an external ID: can read all logs",
}
_HEADINGS = {
    Compared: "\n[bold]Are they the same?[/]\n"
    "[dim]Every object on both sides is read: bytes, type, encoding and user metadata.[/]",
    Tried: "\n[bold]What must be refused[/]\n[dim]Three jobs try it for real. The server refuses, and syncd reports why.[/]",
}


def console() -> Console:
    """Return a console for stdout. In a pipe it is wide enough for whole tables."""
    plain = Console(highlight=False, emoji=False)
    return plain if plain.is_terminal else Console(highlight=False, emoji=False, width=_WIDTH)


class DemoScreen:
    """Printer of the demo's progress. Without a console it prints nothing."""

    def __init__(self, shown_on: Console | None) -> None:
        self._console = shown_on or Console(quiet=True)
        self._last: type[object] = object

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show a spinner on a terminal."""
        with self._console.status("working"):
            yield

    def begun(self, url: str) -> None:
        """Print that the server is up."""
        self._console.print(f"[bold]syncd demo[/]\nAn embedded AWS runs at {_plain(url)}: S3, STS, IAM.")

    def show(self, step: Step) -> None:
        """Print a step and its result."""
        if type(step) is not self._last or isinstance(step, Ticked | Proved):
            self._console.print(_HEADINGS.get(type(step), ""))
        self._last = type(step)
        match step:
            case Built():
                self._built(step.world)
            case Delivered():
                self._console.print(f"{_mark(step)} CloudTrail delivers {_objects(step.objects)}: {step.what}")
            case Ticked():
                self._ticked(step)
            case Compared():
                self._compared(step)
            case Tried():
                self._tried(step)
            case Proved():
                self._proved(step)

    def ended(self, *, holds: bool, seconds: float, is_kept: bool) -> None:
        """Print the verdict."""
        verdict = "[bold green]All checks passed.[/]" if holds else "[bold red]A check failed: see ✗ above.[/]"
        rest = "" if is_kept else " Nothing is left behind; --keep leaves it running, so that you can try things."
        self._console.print(f"\n{verdict} {seconds:.0f} s.{rest}")

    def interrupted(self) -> None:
        """Print that a signal ended the demo."""
        self._console.print("\nInterrupted; nothing is left behind.")

    def kept(self, world: World, config: Path, program: str) -> None:
        """Print commands to try while it keeps running."""
        consumer = world.consumers[0]
        credentials = f"AWS_SHARED_CREDENTIALS_FILE={config.parent / 'credentials'} AWS_PROFILE={consumer.name}"
        aws = f"aws --region {world.region} --endpoint-url {world.url}"
        root = f"AWS_ACCESS_KEY_ID={world.account_id} AWS_SECRET_ACCESS_KEY={ROOT_SECRET}"
        lines = (
            f"\n[bold]It keeps running at {_plain(world.url)} until Ctrl-C.[/] In another terminal:",
            f"  export SYNCD_CONFIG={config}",
            f"  {program} status",
            f"  {program} tick",
            f"  {program} verify --no-heal --keys {config.parent / 'cloudtrail-public-keys.json'}",
            f"  {program} plan --from 2026-01-01 --json",
            "With the AWS command line, as Account B and as the root user of Account A:",
            f"  {credentials} {aws} s3 ls --recursive s3://{consumer.bucket}",
            f"  {root} {aws} s3 ls s3://{world.bucket}/AWSLogs/",
            f"The jobs are in {config.parent / 'jobs.d'}, their log is {config.parent / 'demo.log'}.",
        )
        title, *rest = lines
        self._console.print(title, soft_wrap=True)
        for line in rest:
            self._console.print(line, soft_wrap=True, markup=False)

    def _built(self, world: World) -> None:
        self._console.print(
            f"{world.account_id}  account-a  owns the trail and its bucket, s3://{_plain(world.bucket)}"
        )
        for consumer in world.consumers:
            self._console.print(f"{consumer.account_id}  {consumer.name}  {_ROLES[consumer.name]}")

    def _ticked(self, step: Ticked) -> None:
        self._console.print(f"[bold]{step.title}[/]\n[dim]{step.remark}[/]")
        self._console.print(reports_table(step.reports))
        late = max(step.reports, key=lambda report: report.worst_lateness_seconds)
        if late.worst_lateness_seconds:
            hours = late.worst_lateness_seconds / 3600
            self._console.print(f"[dim]Found and logged: a log file that arrived {hours:.0f} hours late.[/]")
        for report, expected in zip(step.reports, step.expected, strict=True):
            if report.copied != expected:
                self._console.print(f"{_NO} {report.job} copied {report.copied} objects instead of {expected}")
        if step.holds:
            self._console.print(f"{_YES} each job copied exactly its new objects")

    def _compared(self, step: Compared) -> None:
        verdict = "identical to the trail's" if step.holds else f"{len(step.differences)} differences"
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
            said = Text(f"{error.reason}: {safe_line(error.detail)}\n→ {safe_line(error.remedy)}", style="dim")
            self._console.print(Padding(said, (0, 0, 0, 4)))

    def _proved(self, step: Proved) -> None:
        self._console.print(f"[bold]{step.title}[/]\n[dim]{step.remark}[/]")
        for document in step.documents:
            is_tampered = document["job"] == step.tampered
            is_right = set(step.named) <= told(document) if is_tampered else document["verdict"] == "proved"
            counts = f"{document['digests']:,} digests and {document['logs']:,} logs, until {document['proved_until']}"
            verdict = "not all is proved:" if is_tampered else f"proved by {counts}"
            self._console.print(f"{_YES if is_right else _NO} {document['job']}  {verdict}")
            for problem in problems(document):
                words = safe_line(f"{problem['reason']}: {problem['detail']}\n{problem['key'] or ''}")
                self._console.print(Padding(Text(words, style="dim"), (0, 0, 0, 4)))


def _plain(text: str) -> str:
    """Escape markup and control characters."""
    return escape(safe_line(text))


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"


def _mark(step: Step) -> str:
    return _YES if step.holds else _NO
