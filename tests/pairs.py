"""Pairs of test parameters: all of them, or enough that each parameter has its turn."""

import itertools
import os
from collections.abc import Iterable, Iterator


def in_turn(first: Iterable[str], second: Iterable[str], *, rounds: int = 1) -> list[tuple[str, str]]:
    """Pair each of the first with each of the second if EVERY_PAIR is set, else each parameter `rounds` times at least.

    A pair costs one start of the program or more, and nearly all of what pairs show is shown by each side alone.
    """
    ours, theirs = list(first), list(second)
    if os.environ.get("EVERY_PAIR"):
        return list(itertools.product(ours, theirs))
    return list(itertools.islice(_diagonals(ours, theirs), rounds * max(len(ours), len(theirs))))


def _diagonals(ours: list[str], theirs: list[str]) -> Iterator[tuple[str, str]]:
    if len(ours) < len(theirs):
        yield from ((one, other) for other, one in _diagonals(theirs, ours))
        return
    for shift in range(len(theirs)):
        for number, one in enumerate(ours):
            yield one, theirs[(number + shift) % len(theirs)]
