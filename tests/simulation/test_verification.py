"""A month of continuous verification: late digests, outages, one replica altered and one deleted."""

import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from syncd.cli.demo.samples import SampleObject, TrailSpec, public_keys, trail
from syncd.job.health.proofs import Doubt, JobProof, proof_in
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.errors import JobFailed
from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.stamps import stamp_of
from syncd.model.keys.trail import Scope
from syncd.model.objects import Copied, LogObject, Outcome, Replica, Transfer
from syncd.model.reports import TickReport
from syncd.tick.ports import Ports
from syncd.tick.task import Task
from syncd.tick.tick import Tick
from syncd.verify.continuous.watch import Watch, Watched
from syncd.verify.healing.lost import shard_of
from syncd.verify.rules.chain import Found
from syncd.verify.rules.keys import Keys, PublicKey
from syncd.verify.rules.place import Place, Stored
from syncd.verify.rules.verdict import Finding, Flaw

from .bucket import Bucket, Destination
from .deliveries import DAY, HOUR, MINUTE, Delivery
from .pullers import PACE

BEGINS = datetime(2026, 10, 1, tzinfo=UTC)
REGIONS = ["us-east-1", "eu-west-1"]
SPEC = TrailSpec("trail", ["111111111111"], REGIONS, BEGINS, logs_per_hour=1)
SCOPE = Scope("", (), ("*",), ("CloudTrail", "CloudTrail-Digest"), ("*",))
REPLICA = Replica(
    source_bucket="trail", source_prefix="", destination_endpoint="", destination_bucket="b", destination_prefix=""
)


def is_digest(key: str) -> bool:
    return "/CloudTrail-Digest/" in key


@cache
def content(body: bytes) -> str:
    return sha256(gzip.decompress(body)).hexdigest()


@dataclass(frozen=True)
class Digested:
    """What one digest says, as the judge knows it."""

    key: str
    start: float
    end: float
    arrives_at: float
    named: dict[str, str]


class Store(Destination):
    """The destination, with what is in its objects."""

    def __init__(self, samples: dict[str, SampleObject], chance: random.Random, *, hashes: bool) -> None:
        super().__init__(chance)
        self.bodies: dict[str, bytes] = {}
        self.read: set[str] = set()
        self._samples, self._hashes = samples, hashes

    def _copy(self, transfer: Transfer) -> Outcome:
        outcome = super()._copy(transfer)
        key = transfer.object.key
        if not isinstance(outcome, Copied):
            return outcome
        self.bodies[key] = self._samples[key].body
        known = content(self.bodies[key]) if self._hashes else ""
        return Copied(transfer, transfer.object.etag, known)

    def alter(self, key: str) -> None:
        self.bodies[key] = gzip.compress(gzip.decompress(self.bodies[key]) + b" ")
        self.objects[key] = self.objects[key]._replace(etag="f" * 32)

    def restore(self, key: str, item: LogObject) -> None:
        self.bodies[key], self.objects[key] = self._samples[key].body, item

    def delete(self, key: str) -> None:
        del self.bodies[key], self.objects[key]

    # The replica, as it is read for the proof.

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        del prefix, first, last
        raise AssertionError("continuous verification lists no days")

    def between(self, prefix: str, first: str, last: str) -> Iterator[Stored]:
        assert first.startswith(prefix)
        for key in sorted(self.objects):
            if first <= key <= last:
                yield Stored(key, 1, self.objects[key].etag)

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        for item in items:
            if item.key in self.bodies:
                metadata = self._samples[item.key].metadata
                yield Found(item.key, self.bodies[item.key], metadata["signature"], metadata["signature-algorithm"])

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        for item in items:
            self.read.add(item.key)
            body = self.bodies.get(item.key)
            missing = Finding(Flaw.LOG_MISSING, "the replica has no such object")
            yield item, missing if body is None else content(body)


class Month:
    """A trail, its replica, and ticks with their verification, at times that a chance decides on."""

    def __init__(
        self, folder: Path, seed: int, *, days: int, hashes: bool, regions: int, lateness: float = PACE.lateness
    ) -> None:
        self.chance = random.Random(seed)
        until = BEGINS + timedelta(days=days)
        self.pace = PACE._replace(lateness=lateness)
        self.spec = replace(SPEC, regions=REGIONS[:regions])
        self.samples = {item.key: item for item in trail(self.spec, until)}
        self.digested = {item.key: item for item in self._digested()}
        coming = sorted(self._coming(), key=lambda item: item.arrives_at)
        self.arrives_at = {item.key: item.arrives_at for item in coming}
        self.source = Bucket(coming)
        self.store = Store(self.samples, random.Random(seed + 1), hashes=hashes)
        self.file = LedgerFile(folder, now=lambda: self.source.now)
        first = (BEGINS - timedelta(days=1)).timestamp()
        self.keys = Keys(
            PublicKey(region, key.fingerprint, key.public_der, first, first + 60 * DAY)
            for region, key in public_keys(self.spec).items()
        )
        self.is_down = False
        self.broken: dict[str, float] = {}
        self.reasons: dict[str, str] = {}
        self.claimed_until: dict[float, float] = {}
        """The horizon at each tick that could list the source."""
        self.events: list[str] = []
        self.healed: dict[str, float] = {}

    def _digested(self) -> Iterator[Digested]:
        for key, item in self.samples.items():
            if is_digest(key):
                said = json.loads(gzip.decompress(item.body))
                start, end = (datetime.fromisoformat(said[f"digest{at}Time"]).timestamp() for at in ("Start", "End"))
                late = self.chance.uniform(26, 31) * MINUTE
                if self.chance.random() < 0.04:
                    late += self.chance.choice((1, 2, 5, 26)) * HOUR
                yield Digested(
                    key, start, end, end + late, {log["s3Object"]: log["hashValue"] for log in said["logFiles"]}
                )

    def _coming(self) -> Iterator[Delivery]:
        for digest in self.digested.values():
            yield Delivery(digest.arrives_at, digest.key, digest.end, sha256(digest.key.encode()).hexdigest()[:32], 1)
            for key in digest.named:
                arrives_at = self.chance.uniform(digest.start, digest.end)
                yield Delivery(arrives_at, key, digest.end, sha256(key.encode()).hexdigest()[:32], 1)

    def tick(self, now: float) -> JobProof:
        """One tick and what follows it."""
        self.source.advance(now)
        with self.file.open(REPLICA, "job") as ledger:
            report = self._tick(ledger)
            if report.outcome in ("ok", "partial"):
                states = ledger.shards().values()
                self.claimed_until[now] = max(
                    (it.complete_until for it in states if not is_digest(it.shard.prefix)), default=0.0
                )
                for problem in self._watch(ledger).broken:
                    self.broken.setdefault(problem.key, now)
                    self.reasons[problem.key] = problem.reason
            return proof_in(ledger, lambda _: True)

    def _tick(self, ledger: ReplicaLedger) -> TickReport:
        task = Task(
            job="job",
            scope=SCOPE,
            shard=None,
            layout=CloudTrailLayout(),
            destination_prefix="",
            pace=self.pace,
            start=lambda _: 0.0,
        )
        source = Down() if self.is_down else self.source
        ports = Ports(
            source=source,
            source_bucket="trail",
            destination=self.store,
            copier=self.store,
            ledger=ledger,
            now=lambda: self.source.now,
            tell=lambda event, **_: self.events.append(event),
        )
        return Tick(task, ports, stop=Event(), on_progress=lambda _: None).run()

    def _watch(self, ledger: ReplicaLedger) -> Watched:
        watch = Watch(
            SCOPE,
            ["trail"],
            self.keys,
            self.store,
            ledger,
            self,
            reads=100,
            now=lambda: self.source.now,
            tell=lambda event, **_: self.events.append(event),
        )
        return watch.run()

    # What is done about doubts: a catch-up of one key.

    def heal(self, place: Place, doubts: Sequence[Doubt], again: Callable[[Doubt], Doubt | None]) -> list[Doubt]:
        for doubt in doubts:
            for problem in doubt.problems:
                item = next((it for it in self._listed(problem.key)), None)
                if problem.reason in (Flaw.LOG_MISSING, Flaw.DIGEST_MISSING) and item is not None and not self.is_down:
                    self.healed.setdefault(problem.key, self.source.now)
                    outcome = self.store._copy(Transfer(shard_of(problem.key, place), item, problem.key))
                    with self.file.open(REPLICA, "job") as ledger:
                        ledger.record([outcome], [], now=self.source.now)
        return [left for doubt in doubts if (left := again(doubt)) is not None]

    def _listed(self, key: str) -> Iterator[LogObject]:
        for page in self.source.objects(key, key[:-1], key):
            yield from (item for item in page if item.key == key)

    def hold(self, place: Place, doubt: Doubt) -> None:
        pass

    def release(self, doubt: Doubt) -> None:
        pass

    # What is true.

    def late_alarms(self, ticks: Sequence[float]) -> Iterator[tuple[str, float]]:
        """Yield the digests that come so late that they are an alarm before, and when, if the one after is on time."""
        for one, after in pairwise(self.digested.values()):
            is_next = after.start == one.end and after.arrives_at < after.end + HOUR
            told_at = next((at for at in ticks if at >= max(after.end + 3 * HOUR, after.arrives_at)), one.arrives_at)
            if is_next and told_at < one.arrives_at:
                yield one.key, told_at

    def check(self, proof: JobProof) -> None:
        """Everything before `proved_until` is here, as its digest says."""
        for digest in self.digested.values():
            if digest.end > proof.proved_until:
                continue
            assert self.store.bodies.get(digest.key) == self.samples[digest.key].body, digest.key
            for key, named in digest.named.items():
                assert content(self.store.bodies.get(key, gzip.compress(b""))) == named, key


class Down:
    """A source that does not answer."""

    def pages(self, _: Any) -> Iterator[Any]:
        raise JobFailed("server_error", "ListObjectsV2", "")

    folders = pages


@pytest.mark.parametrize(
    ("days", "hashes", "regions", "is_claimed"),
    [(30, True, 1, True), (8, False, 2, False)],
    ids=["with hashes", "read back, two regions, before the horizon has come so far"],
)
def test_in_a_month_proved_until_is_never_wrong_and_what_is_altered_is_named_with_its_digest(
    tmp_path: Path, days: int, *, hashes: bool, regions: int, is_claimed: bool
) -> None:
    lateness = PACE.lateness if is_claimed else 3 * HOUR
    month = Month(tmp_path, days, days=days, hashes=hashes, regions=regions, lateness=lateness)
    chance, now = random.Random(days), BEGINS.timestamp() + 3 * HOUR
    prompt = [it for it in month.digested.values() if it.named and it.arrives_at < it.end + HOUR]
    # Some tick comes between the log and its digest.
    prompt = [it for it in prompt if month.arrives_at[next(iter(it.named))] < it.end - 45 * MINUTE]
    altered, deleted = (chance.choice(prompt[day * 5 : day * 5 + 5]) for day in (days // 3, days * 2 // 3))
    (bad, *_), (gone, *_) = altered.named, deleted.named
    touched: set[str] = set()
    outage_until, last = 0.0, 0.0
    end = BEGINS.timestamp() + (days + 2) * DAY
    while now < end:
        proof = month.tick(now)
        month.check(proof)
        assert proof.proved_until >= last
        last = proof.proved_until
        for key, digest, touch in ((bad, altered, month.store.alter), (gone, deleted, month.store.delete)):
            if key in month.store.bodies and key not in touched and now < digest.arrives_at:
                touched.add(key)
                touch(key)
        is_near = any(digest.end - 13 * HOUR < now < digest.end + 3 * HOUR for digest in (altered, deleted))
        if not is_near and now > outage_until and chance.random() < 0.02:
            outage_until = now + chance.uniform(1, 12) * HOUR
        month.is_down = now < outage_until < end - DAY
        now += chance.uniform(20, 70) * MINUTE if chance.random() < 0.98 or is_near else chance.uniform(2, 9) * HOUR

    # One was put back, and the other one is named, by the tick that found its digest, and holds the proof.
    assert touched == {bad, gone}
    # It is fetched once it cannot be late, since the horizon has come so far.
    ticks = sorted(month.claimed_until)
    due = [at for at in ticks if at >= deleted.arrives_at and month.claimed_until[at] >= (stamp_of(gone) or 0.0)]
    assert month.healed[gone] == due[0]
    assert (proof.proved_until, [it.problems[0].key for it in proof.doubts]) == (altered.start, [bad])
    named_at = next(at for at in ticks if at >= altered.arrives_at)
    assert (month.broken[bad], month.reasons[bad]) == (named_at, Flaw.LOG_ALTERED)
    # At once, whether or not the horizon has come so far: what is altered is not merely late.
    assert (month.claimed_until[named_at] >= (stamp_of(bad) or 0.0)) == is_claimed
    late = {key for key in month.broken if is_digest(key)}
    assert all(month.digested[key].arrives_at > month.digested[key].end + 3 * HOUR for key in late)
    # A digest is late for three hours after the end of the next one, which names it, and an alarm from then on.
    alarms = dict(month.late_alarms(ticks))
    assert all(month.broken[key] <= at for key, at in alarms.items())
    assert alarms or hashes

    month.store.restore(bad, next(month._listed(bad)))
    proof = month.tick(now + 2 * HOUR)
    month.check(proof)
    newest = [max(it.end for it in month.digested.values() if f"/{region}/" in it.key) for region in month.spec.regions]
    assert (proof.proved_until, proof.doubts) == (min(newest), [])
    # If hashes were kept, only the altered replica was read.
    assert month.store.read <= {bad, gone} if hashes else len(month.store.read) > 100


@pytest.mark.parametrize("day", ["2026/10/01", "2099/12/31"])
def test_a_digest_named_after_another_time_takes_no_chain_with_it(tmp_path: Path, day: str) -> None:
    """Everything that comes later would be older than what was seen last."""
    month = Month(tmp_path, 5, days=1, hashes=True, regions=1)
    digests = sorted(month.digested.values(), key=lambda it: it.end)
    true = digests[3]
    folder, name = true.key.rsplit("/", 1)
    stray = f"{folder[:-10]}{day}/{name[:-24]}20991231T235959Z.json.gz"
    month.samples[stray] = replace(month.samples[true.key], key=stray)
    planted = Delivery(true.arrives_at + MINUTE, stray, true.end, "e" * 32, 1)
    month.source = Bucket(sorted([*month._coming(), planted], key=lambda item: item.arrives_at))

    for hour in range(3, 60):
        proof = month.tick(BEGINS.timestamp() + hour * HOUR)
        month.check(proof)

    assert stray in month.store.bodies
    assert (proof.proved_until, proof.doubts) == (digests[-1].end, [])
