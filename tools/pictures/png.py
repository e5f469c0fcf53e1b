"""Screenshots made small: a palette of the most frequent colours instead of a colour for each pixel."""

import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

HEAD = b"\x89PNG\r\n\x1a\n"
COLORS = 64
_CHANNELS = {2: 3, 6: 4}


def with_palette(png: bytes) -> bytes:
    """Return the same picture with a palette. Transparency is lost, which a screenshot has none of.

    Raises:
        ValueError: the picture has no 8 bits for each of three or four channels, or is interlaced.
    """
    chunks = list(_chunks(png))
    head = dict(chunks)[b"IHDR"]
    width, kind = int.from_bytes(head[:4]), head[9]
    if head[8] != 8 or kind not in _CHANNELS or head[12]:
        raise ValueError("not a screenshot of Chromium")
    size = _CHANNELS[kind]
    data = zlib.decompress(b"".join(content for name, content in chunks if name == b"IDAT"))
    rows = [[row[at : at + 3] for at in range(0, len(row), size)] for row in _rows(data, width * size, size)]
    palette = [color for color, _ in Counter(color for row in rows for color in row).most_common(COLORS)]

    @cache
    def nearest(color: bytes) -> int:
        distances = [sum((one - other) ** 2 for one, other in zip(color, known, strict=True)) for known in palette]
        return distances.index(min(distances))

    indexed = b"".join(b"\0" + bytes(map(nearest, row)) for row in rows)
    parts = (
        (b"IHDR", head[:8] + bytes((8, 3, 0, 0, 0))),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(indexed, 9)),
        (b"IEND", b""),
    )
    return HEAD + b"".join(_chunk(name, content) for name, content in parts)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(HEAD)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def _rows(data: bytes, length: int, size: int) -> Iterator[bytes]:
    """Yield the rows without the filters of PNG."""
    above = bytearray(length)
    for at in range(0, len(data), length + 1):
        kind, row = data[at], bytearray(data[at + 1 : at + 1 + length])
        for place in range(length):
            left = row[place - size] if place >= size else 0
            corner = above[place - size] if place >= size else 0
            row[place] = (row[place] + _predicted(kind, left, above[place], corner)) & 255
        yield bytes(row)
        above = row


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind != 4:
        return (0, left, up, (left + up) // 2)[kind]
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
