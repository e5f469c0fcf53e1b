"""Draws the SVG pictures in docs/assets from recorded facts: `make pictures` does it, `--check` compares them."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shapes import arrow, box, picture, text
from terminal import recording

HERE = Path(__file__).parent
ASSETS = HERE.parents[1] / "docs" / "assets"
EVERY_SECONDS = 300
PHASES = 30
NAMES = {
    "the last 100 keys of the prefix": "Remembers the last 100 keys",
    "StartAfter the last key": "Starts after the last key",
    "rewind to yesterday, remember 500": "Rewinds to yesterday",
    "syncd: tail, recent, deep": "syncd",
}


def pictures() -> dict[str, str]:
    """Return each picture by its name."""
    return {
        "recording.svg": recording(_read("recording.json")),
        "architecture.svg": architecture(),
        "lost-logs.svg": lost_logs(_read("lost.json")["simulated"], _read("listing.json")["logs"]),
    }


def architecture() -> str:
    """Return who owns what, and the way of a log."""
    title = "syncd runs in your account: it assumes a role in account A, lists A's bucket, and copies what is new into your bucket"
    return picture(660, 390, title, _architecture())


def lost_logs(simulated: Sequence[dict[str, Any]], listing: Sequence[Sequence[str]]) -> str:
    """Return what markers lose, in a real listing and in sixty simulated days."""
    phases = [lost_by_a_marker(listing, phase * EVERY_SECONDS / PHASES) for phase in range(PHASES)]
    fewest, most = min(map(len, phases)), max(map(len, phases))
    typical = min(phases, key=lambda lost: abs(len(lost) - sum(map(len, phases)) / PHASES))
    title = f"A marker that only moves forward lost {fewest} to {most} of {len(listing)} logs of a real bucket"
    return picture(660, 400, title, _lost_logs(simulated, listing, typical, (fewest, most)))


def lost_by_a_marker(listing: Sequence[Sequence[str]], phase: float) -> set[int]:
    """Return which logs a marker never sees that asks every five minutes for the keys after the last one."""
    logs = [(_seconds(arrived), stamp + name) for arrived, stamp, name in listing]
    end = max(arrived for arrived, _ in logs)
    seen: set[int] = set()
    marker, now = "", min(arrived for arrived, _ in logs) + phase
    while now < end + EVERY_SECONDS:
        new = {number for number, (arrived, key) in enumerate(logs) if arrived <= now and key > marker}
        seen |= new
        marker = max([marker, *(logs[number][1] for number in new)])
        now += EVERY_SECONDS
    return set(range(len(logs))) - seen


def _architecture() -> Iterator[str]:
    yield box(16, 16, 270, 358)
    yield text(32, 42, "Account A", "ink bold")
    yield text(32, 61, "collects the logs of all accounts", "soft small")
    yield from _place(32, 82, 84, "Role", ("may list and read your logs",), "arn:aws:iam::11…:role/Test")
    yield from _place(
        32,
        238,
        120,
        "Bucket of the trail",
        ("logs: late, out of order, twice", "signed digests, each hour"),
        "s3://example-trail/",
    )

    yield box(374, 16, 270, 358)
    yield text(390, 42, "Account B, C or Z", "ink bold")
    yield text(390, 61, "one of A's own, or a third party", "soft small")
    yield from _place(
        390,
        82,
        130,
        "syncd",
        ("lists what is new, on each tick", "copies it, and then records it", "proves it by the digests"),
        "state: one SQLite file",
    )
    yield from _place(390, 274, 84, "Your bucket", ("the replica, complete until …",), "s3://example-b-logs/")

    yield arrow(390, 114, 270, 114)
    yield text(330, 104, "AssumeRole", "soft small", anchor="middle")
    yield arrow(270, 142, 390, 142)
    yield text(330, 160, "logs", "soft small", anchor="middle")
    yield arrow(151, 238, 151, 166)
    yield text(161, 207, "as the role", "soft small")
    yield arrow(509, 212, 509, 274)
    yield text(519, 248, "as yourself", "soft small")


def _place(x: float, y: float, height: float, name: str, lines: Sequence[str], code: str) -> Iterator[str]:
    """Yield a box with a heading, sentences, and a name as it is configured."""
    yield box(x, y, 238, height, "own")
    yield text(x + 14, y + 25, name, "ink bold")
    for number, line in enumerate(lines):
        yield text(x + 14, y + 46 + 20 * number, line, "soft small")
    yield text(x + 14, y + height - 14, code, "soft code")


def _lost_logs(
    simulated: Sequence[dict[str, Any]], listing: Sequence[Sequence[str]], lost: set[int], bounds: tuple[int, int]
) -> Iterator[str]:
    yield text(24, 38, "A real bucket: 65 minutes of a trail, one region", "ink bold")
    yield text(
        24,
        60,
        f"A marker that only moves forward, every 5 minutes, never sees {bounds[0]} to {bounds[1]} of {len(listing)} logs:",
        "soft",
    )
    step = (660 - 48) / len(listing)
    for number in range(len(listing)):
        x = 24 + step * number
        yield box(x, 76, step - 7, step - 7, "bad" if number in lost else "good", radius=3)
        if number in lost:
            yield text(x + (step - 7) / 2, 94, "!", "ground bold", anchor="middle")
    yield text(24, 124, "In the order of their keys. ! came later than a log whose key sorts after it.", "soft small")

    yield text(24, 172, f"Sixty days, simulated: {simulated[0]['of']:,} objects", "ink bold")
    yield text(24, 194, "Logs that are never copied, by what the copier remembers:", "soft")
    worst_first = sorted(simulated, key=lambda row: -row["lost"])
    most = worst_first[0]["lost"]
    for number, row in enumerate(worst_first):
        y = 210 + 44 * number
        width = max(3.0, 290 * row["lost"] / most)
        yield text(24, y + 21, NAMES[row["cursor"]], "ink bold" if not row["lost"] else "ink")
        yield box(260, y + 4, width, 24, "bad" if row["lost"] else "good", radius=3)
        yield text(270 + width, y + 21, f"{row['lost']:,}", "ink bold")


def _seconds(clock: str) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def _read(name: str) -> Any:
    return json.loads((HERE / name).read_text())


def main() -> int:
    """Write the pictures, or say which differ from what is drawn."""
    drawn = pictures()
    if "--check" in sys.argv[1:]:
        stale = [name for name, svg in drawn.items() if (ASSETS / name).read_text() != svg]
        sys.stdout.writelines(f"docs/assets/{name} is not what tools/pictures/draw.py draws\n" for name in stale)
        return bool(stale)
    for name, svg in drawn.items():
        (ASSETS / name).write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
