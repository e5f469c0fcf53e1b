"""`python -m simulation`: the comparison of cursors, printed; `--attack`: what goes wrong in a bad year."""

import argparse
import random
import sys

from .attack import attack, shortened
from .attack import main as attack_all
from .bucket import Bucket
from .deliveries import Weather, deliveries
from .pullers import LastHundred, Puller, Syncd, Watermark, Yesterday
from .run import calm
from .schedule import TROUBLES, draw

SHARDS = (("222222222222", "eu-west-1"), ("222222222222", "us-east-1"), ("333333333333", "us-east-1"))


def compare(seed: int) -> None:
    """Print what each cursor loses."""
    weather = Weather()
    coming = deliveries(seed, SHARDS, weather)
    print(f"{weather.days} days of {len(SHARDS)} shards, {len(coming):,} objects, seed {seed}\n")
    print(f"{'cursor':46} {'lost':>7} {'twice':>8} {'LISTs a tick':>13}")
    for name, make in (
        ("StartAfter the last key", Watermark),
        ("rewind to yesterday, remember 500", Yesterday),
        ("the last 100 keys of the prefix", LastHundred),
        ("syncd: tail, recent, deep", lambda bucket: Syncd(bucket, chance=random.Random(seed))),
    ):
        bucket = Bucket(coming)
        puller: Puller = make(bucket)
        verdict = calm(puller, bucket, coming, seed=seed, days=weather.days)
        lists = verdict.lists / verdict.ticks
        print(f"{name:46} {verdict.lost:>7,} {verdict.copied_twice:>8,} {lists:>13.1f}")


def shorten(seed: int, days: int, name: str, without: list[str], kind: str) -> int:
    """Print the shortest schedule that still finds what this seed found first."""
    schedule = draw(seed, days=days, name=name, without=without)
    findings = attack(schedule).findings
    if not findings:
        print("nothing found")
        return 0
    short = shortened(schedule, kind or findings[0].kind)
    for happening in short.happenings:
        if happening.what != "tick":
            print(f"{(happening.at - short.begins_at) / 86400:8.2f} d  {happening.what} {happening.facts}")
    print(
        "setting:", short.family.setting, f"lateness {short.lateness:.0f} recent {short.recent:.0f} start {short.start}"
    )
    print(*attack(short).findings, sep="\n")
    return 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("--attack", action="store_true", help="outages, losses, wrong clocks and others' hands")
    parser.add_argument("--shorten", action="store_true", help="with --attack: the shortest schedule that still fails")
    parser.add_argument("--kind", default="", help="with --shorten: of finding; else of the first")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--until", default="", help="with --attack: stop when this kind was found")
    parser.add_argument("--family", default="")
    parser.add_argument("--without", action="append", default=[], choices=TROUBLES)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    if not given.attack:
        compare(given.seed)
        return 0
    if given.shorten:
        return shorten(given.seed, given.days, given.family, given.without, given.kind)
    found = attack_all(
        first=given.seed,
        seeds=given.seeds,
        days=given.days,
        name=given.family,
        without=given.without,
        processes=given.processes,
        until=given.until,
    )
    return 1 if found else 0


sys.exit(main())
