"""`make faults`: each fault with each verb and way of copying, then 500 SIGKILLs; ends with a table."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from injection.fault import Result
from injection.kills import Killed, series
from injection.matrix import FAULTS, HEAD, row, trials, tried
from injection.not_yet import NOT_YET
from injection.scene import MODES, Harm

_SERIES = 10
KILLS = "SIGKILL at random moments"


def main() -> int:
    """0 if all was survived but for what is known as not yet, and none of that is survived by now."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help="trials whose name contains this, such as 'STS is busy, tick' or 'SIGKILL at random moments'",
    )
    parser.add_argument("--kills", type=int, default=500, help="how many SIGKILLs at random moments; 0: none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    # Each trial has servers of its own, whose threads a fork would not take along.
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        results = list(_tried(pool, given.only))
        kills = given.kills if given.only in KILLS else 0
        killed = list(_killed(pool, kills, given.seed))
    print(f"\n{HEAD}")
    of_fault = {fault.name: [item for item in results if item.fault == fault.name] for fault in FAULTS}
    for name, all_of_it in of_fault.items():
        if all_of_it:
            print(row(name, all_of_it))
    if killed:
        print(_row_of_kills(killed))
    wrong = sorted({item.fault for item in results if not item.is_survived} - set(NOT_YET))
    wrong += [f"kills of seed {item.seed}" for item in killed if item.problems or any(item.harm)]
    stale = [] if given.only else [name for name in NOT_YET if all(item.is_survived for item in of_fault[name])]
    print("\n".join([""] + [f"not yet: {name}: {NOT_YET[name]}" for name in NOT_YET if of_fault.get(name)]))
    for name in wrong:
        print(f"NOT SURVIVED: {name}")
    for name in stale:
        print(f"survived by now, take it off tests/injection/not_yet.py: {name}")
    return 1 if wrong or stale else 0


def _tried(pool: ProcessPoolExecutor, only: str) -> Iterator[Result]:
    futures: dict[Future[Result], tuple[str, str, str]] = {pool.submit(tried, *item): item for item in trials(only)}
    for number, future in enumerate(as_completed(futures), 1):
        error = future.exception()
        result = future.result() if error is None else Result(*futures[future], Harm(0, 0, 0), 0.0, (repr(error),))
        told = f"survived, whole after {result.recovery_seconds:.1f} s"
        if not result.is_survived:
            told = f"NOT SURVIVED {tuple(result.harm)}: {'; '.join(result.problems)}"
        print(f"{number}/{len(futures)} {result.fault}, {result.verb}, {result.mode}: {told}", flush=True)
        yield result


def _killed(pool: ProcessPoolExecutor, kills: int, seed: int) -> Iterator[Killed]:
    counts = [min(_SERIES, kills - done) for done in range(0, kills, _SERIES)]
    futures = [
        pool.submit(series, seed + number, count, MODES[number % len(MODES)]) for number, count in enumerate(counts)
    ]
    for number, future in enumerate(as_completed(futures), 1):
        came = future.result()
        told = f"{tuple(came.harm)}: {came.problems}" if came.problems or any(came.harm) else "survived"
        print(f"{number}/{len(futures)} kills, seed {came.seed}, {came.mode}, {dict(came.kills)}: {told}", flush=True)
        yield came


def _row_of_kills(killed: list[Killed]) -> str:
    verbs = sum((item.kills for item in killed), Counter())
    count = verbs.total()
    survived = sum(item.kills.total() for item in killed if not item.problems and not any(item.harm))
    lost, double, overwritten = (sum(numbers) for numbers in zip(*(item.harm for item in killed), strict=True))
    longest = max(item.recovery_seconds for item in killed)
    name = f"{KILLS} ({', '.join(f'{verb} {number}' for verb, number in sorted(verbs.items()))})"
    return f"| {name} | {count} | {survived} | {lost} | {double} | {overwritten} | {longest:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
