"""Hooks of MkDocs for the documentation site (mkdocs.yml).

The pages are written to be read as plain Markdown too, so they link to files outside docs/ and to folders. The site
shows both: a linked Markdown file is a page, a linked folder is a page with its files, and any other file is copied.
Mermaid diagrams become SVG while the site is built, so that no page loads a script from another host.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from zlib import crc32

import mermaidx
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.superfences import SuperFencesException

PROJECT = Path(__file__).parents[1]
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")
_LANGUAGES = {".conf": "ini", ".service": "ini", ".timer": "ini", ".yaml": "yaml", ".json": "json", ".toml": "toml"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Draw each fence of the language mermaid."""
    fence = {"name": "mermaid", "class": "diagram", "format": draw}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add everything outside docs/ that a page leads to, and every folder that is linked."""
    waiting = [Path(config.docs_dir, file.src_uri) for file in files.documentation_pages()]
    waiting += [PROJECT / name for name in ("deploy/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    while waiting:
        path = waiting.pop()
        uri = _uri(path)
        if uri not in files.src_uris:
            files.append(_added(config, path, uri))
        elif path.is_dir():
            continue
        if path.suffix == ".md":
            waiting += [linked for linked in _linked(path) if _uri(linked) not in files.src_uris]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page at the places of their targets in the site."""
    del config, files
    origin = PROJECT / page.file.src_uri
    path = origin if origin.exists() else PROJECT / "docs" / page.file.src_uri
    here = PurePosixPath(page.file.src_uri).parent

    def moved(found: re.Match[str]) -> str:
        target = _target(path, found[2])
        if target is None:
            return found[0]
        return found[1] + os.path.relpath(_uri(target), here) + found[3]

    return _outside_code(markdown, lambda text: _LINK.sub(moved, text))


def draw(source: str, _language: str, css_class: str, *_: object, **__: Any) -> str:
    """Return a Mermaid diagram as SVG.

    Raises:
        SuperFencesException: the diagram is not valid, which fails the build.
    """
    try:
        drawn = mermaidx.render(source).svg()
    except RuntimeError as error:
        raise SuperFencesException(f"{error} in the diagram:\n{source}") from error
    # Mermaid gives every diagram one ID, and its style refers to it.
    return f'<div class="{css_class}">{drawn.replace("my-svg", f"diagram-{crc32(source.encode()):08x}")}</div>'


def _added(config: MkDocsConfig, path: Path, uri: str) -> File:
    if path.is_dir():
        return File.generated(config, uri, content="".join(_folder(path)))
    return File.generated(config, uri, abs_src_path=str(path))


def _folder(path: Path) -> Iterator[str]:
    """The page of a folder: links to its Markdown files, and the text of all others."""
    yield f"# {path.relative_to(PROJECT).as_posix().removeprefix('docs/')}/\n\n"
    for file in sorted(path.iterdir()):
        text = file.read_text() if file.is_file() else ""
        if file.suffix == ".md":
            title = text.partition("\n")[0].removeprefix("# ")
            yield f"- [{title}]({file.name})\n"
        elif text:
            yield f"\n## {file.name}\n\n````{_LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n````\n"


def _linked(path: Path) -> Iterator[Path]:
    found: list[str] = []
    _outside_code(path.read_text(), lambda text: str(found.extend(link[2] for link in _LINK.finditer(text))))
    for link in found:
        target = _target(path, link)
        if target is not None:
            yield target


def _target(path: Path, link: str) -> Path | None:
    """The file or folder of the project that a link of the file at `path` leads to. None if there is none."""
    target = Path(os.path.normpath(path.parent / link))
    return target if target.exists() and target.is_relative_to(PROJECT) else None


def _uri(path: Path) -> str:
    """The address in the site's sources: docs/ is their root, and a folder is its index."""
    if path.is_dir():
        path = path / "index.md"
    return path.relative_to(PROJECT).as_posix().removeprefix("docs/")


def _outside_code(markdown: str, change: Any) -> str:
    """Apply `change` to the text between fenced blocks."""
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))
