"""Docstrings are plain English: a summary says one thing, and begins with a verb or a noun."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "syncd"
OPENERS = re.compile(r"(What|Whether|Where|Why|How|Whoever|As|Until)\b")
MOST_WHERE_PER_1000_WORDS = 1.0


class Docstring(NamedTuple):
    """A docstring, or the string below an attribute."""

    place: str
    is_attributes: bool
    text: str

    @property
    def summary(self) -> str:
        """The first paragraph on one line."""
        return " ".join(self.text.strip().split("\n\n")[0].split())


def docstrings(path: Path) -> Iterator[Docstring]:
    """Yield every docstring of a module, and every string below an attribute."""
    for parent in ast.walk(ast.parse(path.read_text())):
        body = getattr(parent, "body", None)
        for number, node in enumerate(body if isinstance(body, list) else ()):
            match node:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield Docstring(f"{path.relative_to(PROJECT)}:{node.lineno}", number > 0, text)


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_summary_begins_with_a_verb_or_a_noun_and_has_one_idea(path: Path) -> None:
    found = list(docstrings(path))

    assert [item for item in found if OPENERS.match(item.summary)] == []
    assert [item for item in found if ";" in item.summary and not item.is_attributes] == []


def test_where_is_a_place() -> None:
    words = [word.lower() for path in MODULES for item in docstrings(path) for word in re.findall(r"\w+", item.text)]

    assert 1000 * words.count("where") / len(words) <= MOST_WHERE_PER_1000_WORDS


PAGES = sorted(
    [
        *(PROJECT / "docs").rglob("*.md"),
        *PROJECT.glob("*.md"),
        *(PROJECT / "deploy").rglob("*.md"),
        *(PROJECT / "config").rglob("*.toml"),
    ]
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_page_names_who_it_means(path: Path) -> None:
    assert re.findall(r"(?i)\bwhoever\b|\bwhosoever\b", path.read_text()) == []
