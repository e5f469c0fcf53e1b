"""The pictures are there, are what their names say, and are drawn by the scripts from what was recorded."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

PROJECT = Path(__file__).parents[2]
DRAWING = PROJECT / "tools" / "pictures"
PAGES = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
NAMED = re.compile(r"""(?:!\[[^\]]*\]\(|\bsrc(?:set)?=["'])([^)"']+)""")
PICTURES = sorted({page.parent / name for page in PAGES for name in NAMED.findall(page.read_text())})
MOST_BYTES = 300_000


def test_readme_opens_with_a_recording_the_architecture_the_page_and_the_chart() -> None:
    named = NAMED.findall((PROJECT / "README.md").read_text())

    assert [Path(name).stem for name in named] == ["recording", "architecture", "page-dark", "page-light", "lost-logs"]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_that_a_page_names_is_one(picture: Path) -> None:
    content = picture.read_bytes()

    if picture.suffix == ".svg":
        root = ET.fromstring(content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.findtext("{http://www.w3.org/2000/svg}title")
    else:
        assert (content[:8], content[-8:-4]) == (b"\x89PNG\r\n\x1a\n", b"IEND")


def test_the_pictures_are_small_and_each_is_shown() -> None:
    assets = {path for path in (PROJECT / "docs" / "assets").iterdir() if path.suffix != ".css"}

    assert assets == {path.resolve() for path in PICTURES}
    assert sum(path.stat().st_size for path in assets) < MOST_BYTES


def test_drawings_are_what_the_scripts_draw_from_what_was_recorded() -> None:
    ran = subprocess.run([sys.executable, DRAWING / "draw.py", "--check"], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", ""), "make pictures"


def test_the_recording_shows_each_command_and_what_it_wrote() -> None:
    scenes = json.loads((DRAWING / "recording.json").read_text())["scenes"]
    picture = ET.parse(PROJECT / "docs" / "assets" / "recording.svg")
    shown = squeezed("".join(picture.getroot().itertext()))

    for scene in scenes:
        written = re.sub(r"\x1b\[[0-9;]*m", "", "".join(text for _, text in scene["pieces"]))
        assert squeezed(f"$ {scene['command']} {written}") in shown


def squeezed(text: str) -> str:
    """Text without spaces: a terminal breaks lines that do not fit."""
    return "".join(text.split())


def test_the_chart_says_what_a_marker_loses_of_the_real_listing() -> None:
    """As it was measured by hand: 2 to 4 of 19, 2.8 on average."""
    chart = (PROJECT / "docs" / "assets" / "lost-logs.svg").read_text()

    assert "never sees 2 to 4 of 19 logs" in chart
