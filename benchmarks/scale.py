"""The ledger with a million and with ten million objects: size, speed and memory, held to targets.

    python benchmarks/scale.py [ROWS...]        exit 1 where a target is missed

Rows come as ticks bring them: 40 shards, each with 4 objects every 5 minutes, recorded 64 at a time, so that the tree
grows in 40 places at once. Pages of 1,000 keys are then looked up in random order, each once, by a connection that has
nothing cached; what the operating system has cached is not in its hands.
"""

import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.objects import Copied, LogObject, Outcome, Page, Range, Replica, Shard, Transfer
from syncd.tick.listing.plan import Rules, make_plan

DEFAULT_ROWS = (1_000_000, 10_000_000)
FIRST_TICK = 1_790_812_800
TICK_SECONDS = 300
OBJECTS_A_TICK = 4
RECORDED_AT_ONCE = 64
PAGE_KEYS = 1000
LOOKUPS = 400
ROWS_BEFORE_MEASURING_MEMORY = 10_000
SEALED_DAYS = 100

REPLICA = Replica(
    source_bucket="example-trail",
    source_prefix="",
    destination_endpoint="",
    destination_bucket="example-b-logs",
    destination_prefix="",
)
SHARDS = [
    Shard(f"AWSLogs/{account}/CloudTrail/{region}/", str(account), "CloudTrail", region)
    for account in range(111111111111, 111111111119)
    for region in ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1", "us-gov-west-1")
]


class Measure(NamedTuple):
    """One number, and what it may be."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_met(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        bound = f"at most {self.at_most:,.0f}" if self.at_most is not None else ""
        bound = f"at least {self.at_least:,.0f}" if self.at_least is not None else bound
        verdict = "" if not bound else f"{bound:>20}  {'met' if self.is_met else 'MISSED'}"
        return f"  {self.name:<34}{self.value:>14,.1f} {self.unit:<10}{verdict}"


def main(sizes: list[int]) -> int:
    missed = 0
    for rows in sizes:
        print(f"{rows:,} objects", flush=True)
        with tempfile.TemporaryDirectory(prefix="syncd-scale-") as directory:
            for measure in measures(Path(directory), rows):
                print(measure, flush=True)
                missed += not measure.is_met
    print("sealed days", flush=True)
    with tempfile.TemporaryDirectory(prefix="syncd-scale-") as directory:
        measure = sealed_size(Path(directory))
        print(measure, flush=True)
        missed += not measure.is_met
    return 1 if missed else 0


def measures(directory: Path, rows: int) -> Iterator[Measure]:
    file = LedgerFile(directory, now=lambda: FIRST_TICK)
    with file.open(REPLICA, "scale") as ledger:
        seconds, resident_early = fill(ledger, rows)
        yield Measure("inserts a second", rows / seconds, "", at_least=20_000)
        yield Measure("resident memory", resident_mib(), "MiB")
        yield Measure("  more than at 10,000 objects", resident_mib() - resident_early, "MiB", at_most=16)
    yield Measure("on disk, for each object", file.path.stat().st_size / rows, "bytes", at_most=80)
    before = perf_counter()
    file = LedgerFile(directory, now=lambda: FIRST_TICK)
    with file.open(REPLICA, "scale") as ledger:
        yield Measure("the first opening", (perf_counter() - before) * 1000, "ms")
        times = sorted(lookups(ledger, rows))
        yield Measure("a page of 1,000 keys, median", statistics.median(times), "ms", at_most=5)
        yield Measure("  95 of 100 are within", times[len(times) * 95 // 100], "ms")
        yield Measure("  the slowest", times[-1], "ms")
        seconds = statistics.median(planned(ledger, rows))
        yield Measure("known keys a second of CPU, through plan and ledger", PAGE_KEYS / seconds, "", at_least=150_000)
        yield Measure("  memory after it, more than early", resident_mib() - resident_early, "MiB", at_most=16)
        before = perf_counter()
        sealed = ledger.seal(SHARDS[0], "9999-12-31", limit=50_000)
        yield Measure("sealed a second", sealed / (perf_counter() - before), "")


def fill(ledger: ReplicaLedger, rows: int) -> tuple[float, float]:
    """Seconds spent in the ledger, and MiB of memory after the first objects."""
    outcomes = (outcome for tick in range(rows) for shard in SHARDS for outcome in arrivals(shard, tick))
    seconds, resident_early = 0.0, 0.0
    for done in range(0, rows, RECORDED_AT_ONCE):
        batch = list(islice(outcomes, min(RECORDED_AT_ONCE, rows - done)))
        before = perf_counter()
        ledger.record(batch, [], now=FIRST_TICK, lateness={300: len(batch)})
        seconds += perf_counter() - before
        if not resident_early and done >= ROWS_BEFORE_MEASURING_MEMORY:
            resident_early = resident_mib()
    return seconds, resident_early


def arrivals(shard: Shard, tick: int) -> list[Outcome]:
    items = [log_object(shard, tick, number) for number in range(OBJECTS_A_TICK)]
    return [Copied(Transfer(shard, item, item.key), item.etag) for item in items]


def log_object(shard: Shard, tick: int, number: int) -> LogObject:
    """The same object for the same arguments, so that none has to be kept for the lookups."""
    digest = blake2b(f"{shard.prefix}/{tick}/{number}".encode(), digest_size=32).hexdigest()
    at = datetime.fromtimestamp(FIRST_TICK, UTC) + timedelta(seconds=TICK_SECONDS * tick)
    name = f"{shard.account}_{shard.kind}_{shard.region}_{at:%Y%m%dT%H%MZ}_{digest[32:48]}.json.gz"
    key = f"{shard.prefix}{at:%Y/%m/%d}/{name}"
    return LogObject(key, digest[:32], 300 + int(digest[48:52], 16), at.timestamp() + TICK_SECONDS)


def lookups(ledger: ReplicaLedger, rows: int) -> Iterator[float]:
    """Milliseconds for one page after the other, each of which has to be known whole."""
    for shard, page in pages(rows):
        keys = [item.key for item in page]
        before = perf_counter()
        known = ledger.known(shard, keys)
        yield (perf_counter() - before) * 1000
        if len(known) != PAGE_KEYS:
            raise AssertionError(f"{len(known)} of {PAGE_KEYS} keys are known")


def planned(ledger: ReplicaLedger, rows: int) -> Iterator[float]:
    """Seconds of CPU for one page after the other, which holds nothing to copy."""
    rules = Rules(destination_prefix="", start=0.0, stamp=lambda item: item.last_modified)
    for shard, items in pages(rows):
        page = Page(Range(shard, ""), items, is_last=False)
        before = process_time()
        known = ledger.known(shard, [item.key for item in items])
        plan = make_plan(page, known=known, held={}, in_progress=(), rules=rules)
        yield process_time() - before
        if plan.known_listed != PAGE_KEYS or plan.transfers:
            raise AssertionError(f"{plan.known_listed} of {PAGE_KEYS} keys are known")


def pages(rows: int) -> Iterator[tuple[Shard, list[LogObject]]]:
    """Pages of the listing, at random."""
    chance = random.Random(0)
    ticks = rows // (len(SHARDS) * OBJECTS_A_TICK)
    ticks_a_page = PAGE_KEYS // OBJECTS_A_TICK
    for _ in range(LOOKUPS):
        shard, first = chance.choice(SHARDS), chance.randrange(ticks - ticks_a_page)
        page = [
            log_object(shard, tick, number)
            for tick in range(first, first + ticks_a_page)
            for number in range(OBJECTS_A_TICK)
        ]
        yield shard, sorted(page, key=lambda item: item.key)


def sealed_size(directory: Path) -> Measure:
    """Each day is recorded and sealed in its turn, as months of ticks do."""
    file = LedgerFile(directory, now=lambda: FIRST_TICK)
    with file.open(REPLICA, "scale") as ledger:
        for day in range(SEALED_DAYS + 1):
            tick = day * (24 * 3600 // TICK_SECONDS)
            ledger.record([outcome for shard in SHARDS for outcome in arrivals(shard, tick)], [], now=FIRST_TICK)
            today = datetime.fromtimestamp(FIRST_TICK, UTC) + timedelta(days=day)
            for shard in SHARDS:
                ledger.seal(shard, f"{today:%Y-%m-%d}", limit=PAGE_KEYS)
    days = SEALED_DAYS * len(SHARDS)
    return Measure("on disk, for each sealed shard-day", file.path.stat().st_size / days, "bytes", at_most=1024)


def resident_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(line)


if __name__ == "__main__":
    sys.exit(main([int(argument) for argument in sys.argv[1:]] or list(DEFAULT_ROWS)))
