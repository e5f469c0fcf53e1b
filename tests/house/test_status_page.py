"""The status page as a real browser shows it, by day and by night."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import browse, served

WIDTH, HEIGHT = 1200, 700
LIGHT, DARK = (255, 255, 255), (18, 24, 30)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "state").mkdir()
    with served(tmp_path / "state") as found:
        yield found


def first_pixel(png: bytes) -> tuple[int, ...]:
    """The upper left pixel; in the first row of a PNG no filter changes the first one."""
    rows, position = b"", 8
    while position < len(png):
        length = int.from_bytes(png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            rows += png[position + 8 : position + 8 + length]
        position += length + 12
    return tuple(zlib.decompress(rows)[1:4])


def size(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


@pytest.mark.needs_tool("chromium")
def test_a_browser_shows_the_page_without_complaint(address: str, tool: Path, tmp_path: Path) -> None:
    run = browse(tool, tmp_path, "--dump-dom", f"{address}/")

    assert "needs attention: 1 late" in run.stdout
    assert run.stdout.index("third-party-z") < run.stdout.index("account-b")
    assert "AssumeRole by x: AccessDenied &lt;no&gt;" in run.stdout
    assert run.stdout.count("<svg") == 3
    assert "CONSOLE" not in run.stderr


@pytest.mark.needs_tool("chromium")
@pytest.mark.parametrize(("scheme", "ground"), [(1, LIGHT), (0, DARK)], ids=["light", "dark"])
def test_the_page_follows_the_readers_light_and_dark(
    address: str, tool: Path, tmp_path: Path, scheme: int, ground: tuple[int, ...]
) -> None:
    browse(
        tool,
        tmp_path,
        f"--window-size={WIDTH},{HEIGHT}",
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--screenshot={tmp_path / 'page.png'}",
        f"{address}/",
    )

    png = (tmp_path / "page.png").read_bytes()
    assert size(png) == (WIDTH, HEIGHT)
    assert first_pixel(png) == ground
    # A blank page of this size is smaller by far.
    assert len(png) > 20_000
