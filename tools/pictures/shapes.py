"""Parts of the SVG pictures: text, boxes and arrows, readable by day and by night."""

from collections.abc import Iterable
from html import escape

STYLE = """
  .ground { fill: #ffffff; } .panel { fill: #f5f7f9; stroke: #d7dde3; } .line { stroke: #55636f; fill: none; }
  .tip { fill: #55636f; } .ink { fill: #1b2733; } .soft { fill: #55636f; } .good { fill: #1a6e3c; } .bad { fill: #b3261e; }
  .bar { fill: #2f7fc4; } .own { fill: #e8f1fa; stroke: #2f7fc4; }
  text { font: 15px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; } .bold { font-weight: 600; } .small { font-size: 13px; }
  .code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #12181e; } .panel { fill: #1a222a; stroke: #323e49; } .line { stroke: #a3b0bc; } .tip { fill: #a3b0bc; }
    .ink { fill: #e4eaf0; } .soft { fill: #a3b0bc; } .good { fill: #6fd397; } .bad { fill: #ff8a80; } .bar { fill: #5aa5e6; }
    .own { fill: #16304a; stroke: #5aa5e6; }
  }
"""


def picture(width: int, height: int, title: str, parts: Iterable[str], *, style: str = STYLE) -> str:
    """Return a whole SVG with words for those who do not see it."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="8"/>'
    return (
        "\n".join((head, f"<title>{escape(title)}</title>", f"<style>{style}</style>", ground, *parts, "</svg>")) + "\n"
    )


def text(x: float, y: float, words: str, kind: str = "ink", *, anchor: str = "start") -> str:
    """Return a line of text."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{where}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str = "panel", *, radius: float = 6) -> str:
    """Return a rectangle."""
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return a horizontal or vertical arrow."""
    ahead, wide = 9, 5
    if y == to_y:
        back = to_x - ahead if to_x > x else to_x + ahead
        tip = f"{to_x:g},{y:g} {back:g},{y - wide:g} {back:g},{y + wide:g}"
        end = (back, y)
    else:
        back = to_y - ahead if to_y > y else to_y + ahead
        tip = f"{x:g},{to_y:g} {x - wide:g},{back:g} {x + wide:g},{back:g}"
        end = (x, back)
    line = f'<path class="line" stroke-width="1.5" d="M{x:g} {y:g}L{end[0]:g} {end[1]:g}"/>'
    return f'{line}<polygon class="tip" points="{tip}"/>'
