"""Printing: terminals get lines folded and in colours (`drawing`), pipes get them as they are."""

import os
import sys
from collections.abc import Iterable, Iterator

from syncd.cli.screen.parts import Part, Styled, Table

_OF_TERMINALS = frozenset({"FORCE_COLOR", "TTY_COMPATIBLE"})
"""Variables that make a pipe a terminal, or a terminal none."""


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
    from syncd.cli.screen import drawing  # which takes a tenth of a start

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
