"""A day of ticks when nothing is new, with ten thousand and with a million objects of history, counted at the server.

    python benchmarks/idle_day.py [OBJECTS...]      exit 1 where more is asked than the bound, or anything else

40 shards, 288 ticks five minutes apart in simulated time. A history of a million is run twice: with all of it within the
deep tier, which lists it once a day, and with all but ten thousand older than that, which costs nothing: of older days
the state file remembers one row each. The server is a process of its own, so that the CPU is that of the ticks alone;
what is heavy and comes seldom is spread over all of them.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from history import LISTS, History
from quiet_day import TICKS_A_DAY, QuietDay, most_lists, quiet_day

DEFAULT_OBJECTS = (10_000, 1_000_000)
HEADINGS = ("objects", "older than deep", "remembered", *LISTS, "LISTs", "at most", "a shard and tick", "ms CPU a tick")


def main(sizes: list[int]) -> int:
    # Not through a proxy, whatever surrounds this.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    print(f"{TICKS_A_DAY} ticks of a day without news, {len(History(0).shards)} shards; LISTs by why")
    print("  ".join(HEADINGS))
    missed = 0
    for history in histories(sizes):
        with tempfile.TemporaryDirectory(prefix="syncd-idle-") as folder:
            day = quiet_day(history, Path(folder))
        print(row(day), flush=True)
        missed += not day.is_within_bounds
    return 1 if missed else 0


def histories(sizes: list[int]) -> Iterator[History]:
    smallest = min(sizes)
    for size in sizes:
        yield History(young=size)
        if size > smallest:
            yield History(young=smallest, older=size - smallest)


def row(day: QuietDay) -> str:
    history, bound = day.history, most_lists(day.history, day.ticks)
    cells = (
        f"{history.objects:,}",
        f"{history.older:,}",
        f"{day.remembered:,}",
        *(f"{day.asked[kind]:,}" for kind in LISTS),
        f"{day.lists:,}",
        f"{sum(bound.values()):,}",
        f"{day.lists_a_shard_and_tick:.3f}",
        f"{1000 * day.cpu_seconds / day.ticks:.1f}",
    )
    aligned = "  ".join(f"{cell:>{len(heading)}}" for cell, heading in zip(cells, HEADINGS, strict=True))
    others = ", ".join(f"{name} {count:,}" for name, count in sorted(day.others.items()))
    over = [f"{kind} at most {bound[kind]:,}" for kind in LISTS if day.asked[kind] > bound[kind]]
    verdict = "met" if day.is_within_bounds else "MISSED " + "; ".join(over)
    return f"{aligned}  {verdict}; beside them {others}"


if __name__ == "__main__":
    sys.exit(main([int(argument) for argument in sys.argv[1:]] or list(DEFAULT_OBJECTS)))
