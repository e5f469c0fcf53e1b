"""The documentation site has every page in its menu, and builds without a broken link or anything from another host."""

import os
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
SITE = yaml.safe_load((PROJECT / "mkdocs.yml").read_text())
START = (DOCS / "index.md").read_text()
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}


class Read(HTMLParser):
    """What one page of the site defines, loads and leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids.add(found.get("id", ""))
        if LOADED.get(tag) in found and found.get("rel") not in {"canonical", "prev", "next"}:
            self.loads.append(found[LOADED[tag]])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


def menu(entries: list[Any]) -> Iterator[str]:
    """The files that the menu names, in order."""
    for entry in entries:
        (value,) = entry.values()
        if isinstance(value, str):
            yield value
        else:
            yield from menu(value)


def broken(site: Path, page: Path, link: str, pages: dict[Path, Read]) -> bool:
    """Whether a link or a loaded file is not in the site."""
    path, anchor = urldefrag(unquote(link))
    target = Path(os.path.normpath(page.parent / path)) if path else page
    if target.is_dir():
        target /= "index.html"
    return not target.is_relative_to(site) or not target.exists() or bool(anchor and anchor not in pages[target].ids)


def test_every_page_is_in_the_menu_once() -> None:
    named = list(menu(SITE["nav"]))
    pages = [str(page.relative_to(DOCS)) for folder in (DOCS, DOCS / "tutorials") for page in folder.glob("*.md")]

    assert len(named) == len(set(named))
    assert sorted(set(pages) - set(named)) == []


def test_the_start_page_answers_ten_questions_and_each_answer_leads_to_more() -> None:
    table = START.partition("\n## Ten questions\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]

    assert len(rows) == 10
    assert all(row[0].endswith("?") and re.search(r"\]\([\w#./-]+\)", row[2]) for row in rows)


@pytest.mark.needs_tool("mkdocs")
def test_the_site_builds_and_every_link_leads_somewhere_in_it(tool: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    built = subprocess.run(
        [tool, "build", "--strict", "--quiet", "--site-dir", site],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {path: Read(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}
    followed = [
        (path.relative_to(site).as_posix(), link)
        for path, page in pages.items()
        for link in [*page.loads, *(link for link in page.links if "://" not in link)]
        if broken(site, path, link, pages)
    ]

    assert followed == []
    assert len(pages) > len(list(menu(SITE["nav"])))
    sources = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    assert sum(path.read_text().count('<div class="diagram"><svg') for path in pages) == sources.count("```mermaid")
