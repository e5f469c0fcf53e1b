"""Tables and lines on a terminal: folded to its width, in colours."""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from syncd.cli.screen.parts import Line, Part, Remedy, Spans, Styled, Table

_UNBOUNDED = 10_000
_INDENT = 4
_LEAST_WIDTH = 20
_COMMAND = re.compile(r"`(syncd (?:check|policies|tick|ledger quarantine (?:accept|retry|list)) [^`]+)`")


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that prints text literally: no markup, emoji or highlighting."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def draw(parts: Iterable[Part]) -> None:
    """Print to stdout, each part as it arrives. In a pipe, no line is folded."""
    console = plain_console()
    if not console.is_terminal:
        console.width = _UNBOUNDED
    for part in parts:
        # Of a Text alone, rich forgets that it is not to be folded.
        console.print(_drawn(part), crop=False, soft_wrap=isinstance(part, str | Spans))


def drawn_together(parts: Iterable[Part]) -> RenderableType:
    """Return what draws the parts, one below the other."""
    return Group(*map(_drawn, parts))


def _drawn(part: Part) -> RenderableType:
    match part:
        case Table():
            return _table(part)
        case Styled():
            return Text(*part)
        case Spans():
            return Text.assemble(*part.spans, no_wrap=True, overflow="ignore")
        case Line():
            return _Line(part.text)
        case Remedy():
            return _Remedy(part)
    return Text(part, no_wrap=True, overflow="ignore")


def _table(table: Table) -> RichTable:
    shown = RichTable(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    first, *words = table.words
    if table.longest is None:
        shown.add_column(first, no_wrap=True)
    else:
        shown.add_column(first, overflow="fold", max_width=table.longest)
    for title in words:
        shown.add_column(title, no_wrap=True)
    for title in table.numbers:
        shown.add_column(title, justify="right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(cell if isinstance(cell, str) else Text(*cell) for cell in row))
    return shown


class _Line:
    """A line that goes on indented."""

    def __init__(self, text: str) -> None:
        self._text = Text(text)

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


class _Remedy(_Line):
    """A remedy that goes on indented, with its command repeated if that is broken."""

    def __init__(self, part: Remedy) -> None:
        super().__init__(part.text)
        # With a backtick in a key there are more than two.
        found = _COMMAND.search(part.remedy) if part.remedy.count("`") == 2 else None
        self._command = found[1] if found else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fold to the width of the console, the command excepted."""
        lines = self._folded(console, max(options.max_width, _LEAST_WIDTH))
        yield from lines
        if self._command and not any(self._command in line.plain for line in lines):
            yield Text(" " * _INDENT + f"$ {self._command}", no_wrap=True, overflow="ignore")
