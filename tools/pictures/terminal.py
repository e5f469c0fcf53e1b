"""The recording of a terminal as an SVG that scrolls, from what syncd wrote and when."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from rich.console import Console
from rich.style import Style
from rich.text import Text
from shapes import picture

ROWS = 27
LINE, CHAR, MARGIN, TOP = 19, 8.43, 16, 40
PROMPT = "$ "
LONGEST_PAUSE = 1.0
TYPED_SECONDS, READ_SECONDS, LINE_SECONDS, END_SECONDS = 0.9, 2.0, 0.22, 6.0
STYLE = """
  .ground { fill: #12181e; } text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e4eaf0; white-space: pre; }
  .b { font-weight: 700; } .d { fill: #93a1ad; } .g { fill: #6fd397; } .y { fill: #f2b661; } .r { fill: #ff8a80; } .p { fill: #7cb8f2; }
"""
_COLORS = {1: "r", 2: "g", 3: "y", 6: "p"}


class _Moment(NamedTuple):
    at: float
    rows: int
    """How many lines have been written."""


def recording(recorded: Mapping[str, Any]) -> str:
    """Return the recording as a picture. Those who want no motion see its end."""
    lines, moments, seconds = _transcript(recorded["scenes"], recorded["columns"])
    width = round(recorded["columns"] * CHAR + 2 * MARGIN)
    height = TOP + ROWS * LINE + MARGIN
    commands = "; ".join(scene["command"] for scene in recorded["scenes"])
    parts = [
        *(f'<circle class="{color}" cx="{22 + 20 * number}" cy="20" r="6"/>' for number, color in enumerate("ryg")),
        f'<clipPath id="screen"><rect x="0" y="{TOP}" width="{width}" height="{ROWS * LINE + 2}"/></clipPath>',
        '<g clip-path="url(#screen)"><g class="lines">',
        *lines,
        f'</g><rect class="ground cover" x="0" y="{TOP}" width="{width}" height="{ROWS * LINE + 2}"/></g>',
    ]
    return picture(width, height, f"A terminal: {commands}", parts, style=STYLE + _motion(moments, len(lines), seconds))


def _transcript(scenes: Sequence[Mapping[str, Any]], columns: int) -> tuple[list[str], list[_Moment], float]:
    """Return the lines as SVG, the moments at which more are seen, and the length in seconds."""
    lines: list[Text] = []
    moments: list[_Moment] = []
    now = 0.0
    for scene in scenes:
        if lines:
            lines.append(Text())
        lines.append(Text.assemble((PROMPT, "cyan"), (scene["command"], "bold")))
        moments.append(_Moment(now, len(lines)))
        now += TYPED_SECONDS
        began, before, at = len(lines), "", 0.0
        for seconds, piece in scene["pieces"]:
            now += min(seconds - at, LONGEST_PAUSE)
            at, before = seconds, before + piece
            del lines[began:]
            lines += _wrapped(before.rstrip("\n"), columns)
            moments.append(_Moment(now, len(lines)))
        now += READ_SECONDS + LINE_SECONDS * (len(lines) - began)
    return [_line(number, line) for number, line in enumerate(lines)], moments, now + END_SECONDS


def _wrapped(output: str, columns: int) -> Iterator[Text]:
    """Yield the lines as a terminal shows them, which breaks those that do not fit."""
    for line in output.split("\n"):
        text = Text.from_ansi(line)
        yield from text.divide(range(columns, len(text), columns)) if len(text) > columns else [text]


def _line(number: int, line: Text) -> str:
    spans = []
    for span in line.render(Console(), end=""):
        if span.text:
            kind = _kind(span.style or Style())
            spans.append(f'<tspan class="{kind}">{escape(span.text)}</tspan>' if kind else escape(span.text))
    return f'<text x="{MARGIN}" y="{TOP + 15 + number * LINE}">{"".join(spans)}</text>'


def _kind(style: Style) -> str:
    color = _COLORS.get(style.color.number or 0, "") if style.color else ""
    return " ".join(kind for kind in (color, "b" if style.bold else "", "d" if style.dim else "") if kind)


def _motion(moments: Sequence[_Moment], rows: int, seconds: float) -> str:
    """Return the animation: lines appear as they are written, and move up when the screen is full."""
    lines = [(at, -LINE * max(0, seen - ROWS)) for at, seen in moments]
    cover = [(at, LINE * min(seen, ROWS)) for at, seen in moments]
    return (
        _steps("lines", lines, -LINE * max(0, rows - ROWS), seconds)
        + _steps("cover", cover, LINE * ROWS, seconds)
        + "  @media (prefers-reduced-motion: reduce) { .lines, .cover { animation: none; } }\n"
    )


def _steps(name: str, places: Sequence[tuple[float, int]], last: int, seconds: float) -> str:
    """Return an animation from place to place without any motion between them."""
    end = f"transform: translateY({last}px);"
    steps = "".join(f"{100 * at / seconds:.2f}% {{ transform: translateY({place}px); }} " for at, place in places)
    return (
        f"  .{name} {{ {end} animation: {name} {seconds:.1f}s step-end infinite; }}\n"
        f"  @keyframes {name} {{ {steps}100% {{ {end} }} }}\n"
    )
