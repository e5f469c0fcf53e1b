"""The parts of what is printed: lines and tables."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias


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
"""Anything that is printed. A `str` is a line that is never folded."""
