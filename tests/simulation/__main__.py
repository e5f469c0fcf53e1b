"""`python -m simulation`: the comparison, printed."""

import random
import sys

from .bucket import Bucket
from .deliveries import Weather, deliveries
from .pullers import LastHundred, Puller, Syncd, Watermark, Yesterday
from .run import calm

SHARDS = (("222222222222", "eu-west-1"), ("222222222222", "us-east-1"), ("333333333333", "us-east-1"))


def main(seed: int) -> None:
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


main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
