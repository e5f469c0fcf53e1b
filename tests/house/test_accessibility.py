"""The pages as a browser and an accessibility checker find them: wide and narrow, by day and by night."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from pages import JOB, browse, served

AXE = files("axe_core_python") / "axe.min.js"
PAGES = {"overview": "/", "job": f"/jobs/{JOB.name}"}
WIDTHS = (1280, 400)
# What the checker has to find, or it looks at nothing: an image without words, and grey words on white.
BROKEN = (
    '<!doctype html><html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><p style="color:#ccc">grey words'
)
CHECK = """
<script src="axe.js"></script>
<script>
addEventListener("load", async () => {
  const tags = {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]};
  const found = await axe.run(document, {runOnly: tags, iframes: false});
  const rules = found.violations.map(rule => [rule.id, rule.nodes.map(node => node.target.join(" "))]);
  const root = document.documentElement;
  parent.postMessage({
    name: NAME,
    violations: Object.fromEntries(rules),
    passes: found.passes.map(rule => rule.id),
    is_dark: matchMedia("(prefers-color-scheme: dark)").matches,
    width: innerWidth,
    needs: root.scrollWidth,
  }, "*");
});
</script>
"""
# The results are text of the document, which the browser prints when every frame has answered.
FRAMES = """<!doctype html><title>x</title><pre id="results"></pre>
<script>addEventListener("message", event => results.append(JSON.stringify(event.data) + "\\n"));</script>
"""


def checked(tool: Path, folder: Path, pages: Mapping[str, tuple[str, int]], *, scheme: int) -> dict[str, Any]:
    """What the checker says of each page, by its name; each is HTML and the width of its window."""
    (folder / "axe.js").write_text(AXE.read_text())
    frames = FRAMES
    for number, (name, (html, width)) in enumerate(pages.items()):
        (folder / f"{number}.html").write_text(html + CHECK.replace("NAME", json.dumps(name)))
        frames += f'<iframe src="{number}.html" width="{width}" height="900" style="border:0"></iframe>'
    (folder / "all.html").write_text(frames)
    options = (f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=60000", "--dump-dom")
    ran = browse(tool, folder, "--window-size=1400,900", *options, (folder / "all.html").as_uri())
    results = re.search(r'<pre id="results">(.*?)</pre>', ran.stdout, re.DOTALL)
    assert results is not None, ran.stderr
    found = [json.loads(line) for line in results[1].splitlines()]
    return {result.pop("name"): result for result in found}


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, tuple[str, int]]:
    """Each page at each width."""
    (tmp_path / "state").mkdir()
    with served(tmp_path / "state") as address:
        found = {name: urlopen(address + path).read().decode() for name, path in PAGES.items()}
    return {f"{name} {width}": (html, width) for name, html in found.items() for width in WIDTHS}


@pytest.mark.needs_tool("chromium")
@pytest.mark.parametrize("scheme", [1, 0], ids=["light", "dark"])
def test_nobody_is_kept_from_reading_the_pages(
    tool: Path, tmp_path: Path, pages: dict[str, tuple[str, int]], scheme: int
) -> None:
    results = checked(tool, tmp_path, pages | {"broken": (BROKEN, 400)}, scheme=scheme)

    broken = results.pop("broken")
    assert {"image-alt", "color-contrast"} <= broken["violations"].keys()
    assert set(results) == set(pages)
    assert {name: result["violations"] for name, result in results.items() if result["violations"]} == {}
    assert all("color-contrast" in result["passes"] for result in results.values())
    assert {result["is_dark"] for result in results.values()} == {scheme == 0}
    # Nothing runs out of the window: what is wider scrolls in a box of its own.
    widths = {name: (result["width"], result["needs"]) for name, result in results.items()}
    assert widths == {name: (width, width) for name, (_, width) in pages.items()}
