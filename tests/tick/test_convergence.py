"""Whatever happens to source, destination, process and ledger: nothing is lost, nothing overwritten, no claim is false.

A state machine delivers logs on time, late and under odd keys, lets objects and listings fail, kills the process in the
middle, loses the ledger, and ticks and catches up in between. Its end is a day without troubles, and a catch-up.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from threading import Event

import pytest
from fakes import CrashError, MemoryBucket, MemoryCopier, MemorySource
from fakes_ledger import MemoryLedger, MemoryLedgerFile
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from syncd.model.errors import JobFailed
from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.stamps import stamp_of, utc_day
from syncd.model.keys.trail import EVERY, Scope
from syncd.model.objects import LogObject, Replica, Shard, Window
from syncd.model.reports import TickReport
from syncd.tick.ports import Ports
from syncd.tick.recorder import Recorder
from syncd.tick.task import Pace, Task
from syncd.tick.tick import Tick

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BEGIN = datetime(2026, 11, 2, 22, 40, tzinfo=UTC).timestamp()
ACCOUNTS, REGIONS = ("222222222222", "333333333333"), ("eu-west-1", "us-east-1")
REPLICA = Replica(
    source_bucket="trail",
    source_prefix="",
    destination_endpoint="",
    destination_bucket="replica",
    destination_prefix="copy/",
)
PREFIX = "copy/"
START = 31 * DAY
PACE = Pace(
    tail=HOUR,
    recent=48 * HOUR,
    recent_every=HOUR,
    deep=11 * DAY,
    deep_every=DAY,
    discovery_every=HOUR,
    idle_every=15 * MINUTE,
    lateness=30 * MINUTE,
)
# How long after its stamp a log arrives: far and a little ahead of it, in order, for a tail, a recent, a deep listing.
DELAYS = (-3 * DAY, -5 * MINUTE, 2 * MINUTE, 10 * MINUTE, 25 * MINUTE, 50 * MINUTE, 5 * HOUR, 30 * HOUR, 4 * DAY)
LONGEST_PAUSES = 2 * DAY
LAST_TICKS_EVERY = 3 * HOUR


class Convergence(RuleBasedStateMachine):
    """One trail of two accounts and two regions, one job, one ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.source, self.destination = MemoryBucket(), MemoryBucket()
        self.ledgers = MemoryLedgerFile()
        self.failing: dict[str, str] = {}
        self.foreign: set[str] = set()
        self.changed: set[str] = set()
        self.beyond_deep: set[str] = set()
        self.first_bodies: dict[str, bytes] = {}
        self.is_listing_refused = False
        self.claimed = (0.0, 0.0)
        self.paused = 0.0
        self.number = 0

    # What the trail does.

    @initialize(account=st.sampled_from(ACCOUNTS))
    def begin(self, account: str) -> None:
        self.deliver(account, REGIONS[1], 10 * MINUTE, 2)

    @rule(
        account=st.sampled_from(ACCOUNTS),
        region=st.sampled_from(REGIONS),
        delay=st.sampled_from(DELAYS),
        count=st.integers(1, 6),
    )
    def deliver(self, account: str, region: str, delay: float, count: int) -> None:
        moment = datetime.fromtimestamp(self.now - delay, UTC)
        is_claimed = self.claimed[0] <= moment.replace(second=0, microsecond=0).timestamp() <= self.claimed[1]
        assert delay > PACE.lateness - MINUTE or not is_claimed
        for _ in range(count):
            self.number += 1
            suffix = f"{self.number * 7919 % 9973:04}"
            name = f"{account}_CloudTrail_{region}_{moment:%Y%m%dT%H%MZ}_{suffix}.json.gz"
            self._put(f"AWSLogs/{account}/CloudTrail/{region}/{moment:%Y/%m/%d}/{name}", suffix.encode())

    @rule(
        account=st.sampled_from(ACCOUNTS),
        region=st.sampled_from(REGIONS),
        delay=st.sampled_from([10 * MINUTE, 25 * MINUTE, 50 * MINUTE]),
        wait=st.sampled_from([MINUTE, 6 * MINUTE, 40 * MINUTE]),
    )
    def deliver_behind_the_frontier(self, account: str, region: str, delay: float, wait: float) -> None:
        self.deliver(account, region, 2 * MINUTE, 1)
        self._run()
        self.deliver(account, region, delay, 1)
        self.now += wait
        self._run()

    @rule(
        account=st.sampled_from(ACCOUNTS),
        region=st.sampled_from(REGIONS),
        days=st.sampled_from([13, 25]),
        count=st.integers(1, 3),
        is_day_sealed=st.booleans(),
    )
    def deliver_later_than_deep_reaches(
        self,
        account: str,
        region: str,
        days: int,
        count: int,
        is_day_sealed: bool,  # noqa: FBT001
    ) -> None:
        if is_day_sealed:
            self._deliver_beyond_deep(account, region, days, 1)
            self._run(window=Window(utc_day(self.now - days * DAY), utc_day(self.now - days * DAY)))
            self._run()
        self._deliver_beyond_deep(account, region, days, count)

    @rule(account=st.sampled_from(ACCOUNTS), name=st.sampled_from(["no stamp", "ü/+%20", "zz", "0_20261399T9999Z_.gz"]))
    def deliver_an_odd_key(self, account: str, name: str) -> None:
        day = utc_day(self.now).replace("-", "/")
        self._put(f"AWSLogs/{account}/CloudTrail/{REGIONS[0]}/{day}/{name}", f"odd {name}".encode())

    @precondition(lambda self: self.source.objects)
    @rule(data=st.data())
    def encrypt_anew(self, data: st.DataObject) -> None:
        key = self._some_key(data)
        before = self.source.objects[key]
        self.changed.add(key)
        self.source.put(key, self.source.bodies[key], etag=f"{before.etag}x", last_modified=self.now)

    @precondition(lambda self: self.source.objects)
    @rule(data=st.data())
    def change_the_content(self, data: st.DataObject) -> None:
        key = self._some_key(data)
        if key in self.first_bodies:
            self.foreign.add(key)
        self.changed.add(key)
        self.source.put(key, b"changed " + self.source.bodies[key], last_modified=self.now)

    # What goes wrong.

    @precondition(lambda self: self.source.objects)
    @rule(data=st.data(), reason=st.sampled_from(["access_denied", "slow_down", "checksum_mismatch"]))
    def let_an_object_fail(self, data: st.DataObject, reason: str) -> None:
        self.failing[self._some_key(data)] = reason

    @rule()
    def heal(self) -> None:
        self.failing.clear()

    @precondition(lambda self: self.source.objects)
    @rule(data=st.data(), is_same=st.booleans())
    def let_others_write_the_replica(self, data: st.DataObject, is_same: bool) -> None:  # noqa: FBT001
        key = self._some_key(data)
        if PREFIX + key not in self.destination.objects:
            body = self.source.bodies[key]
            self.destination.put(PREFIX + key, body if is_same else b"?" * (len(body) + 1), last_modified=self.now)
            if not is_same:
                self.foreign.add(key)

    @rule()
    def lose_the_ledger(self) -> None:
        self.ledgers = MemoryLedgerFile()

    @rule()
    def let_the_next_listing_break(self) -> None:
        self.is_listing_refused = True

    @precondition(lambda self: self.paused < LONGEST_PAUSES)
    @rule(hours=st.sampled_from([0.1, 1, 13, 50]))
    def be_switched_off(self, hours: float) -> None:
        self.now += hours * HOUR
        self.paused += hours * HOUR

    # What the job does.

    @rule()
    def tick(self) -> None:
        self._run()

    @rule(minutes=st.sampled_from([5, 15, 60, 180]), times=st.integers(1, 4))
    def tick_now_and_then(self, minutes: int, times: int) -> None:
        for _ in range(times):
            self._run(is_patient=True)
            self.now += minutes * MINUTE

    @rule(writes=st.integers(0, 9))
    def tick_and_die(self, writes: int) -> None:
        self._run(crash_after=writes)

    @rule(copies=st.integers(1, 4))
    def tick_and_be_interrupted(self, copies: int) -> None:
        self._run(stop_after=copies)

    @rule(
        back=st.one_of(st.integers(0, 6), st.sampled_from([14, 27])),
        length=st.integers(0, 7),
        writes=st.sampled_from([None, None, 3]),
    )
    def catch_up(self, back: int, length: int, writes: int | None) -> None:
        first = self.now - back * DAY
        window = Window(utc_day(first), utc_day(first + length * DAY) if length < 7 else None)
        self._run(window=window, crash_after=writes)

    # What must hold after each of these.

    @invariant()
    def nothing_at_the_destination_was_overwritten_or_deleted(self) -> None:
        for key, body in self.first_bodies.items():
            assert self.destination.bodies[PREFIX + key] == body
        self.first_bodies |= {key.removeprefix(PREFIX): body for key, body in self.destination.bodies.items()}

    @invariant()
    def the_ledger_claims_nothing_that_the_destination_lacks(self) -> None:
        ledger = self._ledger()
        for key in self.source.objects:
            is_claimed = bool(ledger.known(_shard(key), [key]))
            assert not is_claimed or PREFIX + key in self.destination.objects, key

    @invariant()
    def a_sealed_day_counts_no_more_than_its_folder_at_the_destination_holds(self) -> None:
        ledger = self._ledger()
        for prefix, state in ledger.shards().items():
            for day, sealed in ledger.sealed(state.shard, "0000-00-00", "9999-99-99").items():
                assert sealed.count <= len(self.destination.keys(f"{PREFIX}{prefix}{day.replace('-', '/')}/")), day

    def teardown(self) -> None:
        """The end: troubles are over, a day goes by, and a catch-up fetches what came too late for anything else."""
        self.failing.clear()
        self.is_listing_refused = False
        held = set(self._ledger().quarantined())
        healed = self._run()
        assert healed is not None
        assert {failed.key for failed in healed.failed} <= self.changed
        assert all(PREFIX + key in self.destination.objects for key in held - self.changed)
        self.now += HOUR
        self._run(is_patient=True)
        assert all(PREFIX + key in self.destination.objects for key in self._stamped_after(self.now - 47 * HOUR))
        # The deep listing comes by each place within a day and a tick; by what was recent just now, an hour later.
        for _ in range(ceil((PACE.deep_every + PACE.recent_every) / LAST_TICKS_EVERY)):
            self.now += LAST_TICKS_EVERY
            self._run(is_patient=True)
        assert self._missing() <= self.beyond_deep
        conflicts = {key for key, item in self._ledger().quarantined().items() if item.is_conflict}
        assert self._differing() & self._stamped_after(self.now - PACE.deep + DAY) <= conflicts
        self._tick_without_news()
        self._run(window=Window())
        assert self._missing() == set()
        assert self._differing() <= self.foreign
        self._tick_without_news()
        self.a_sealed_day_counts_no_more_than_its_folder_at_the_destination_holds()

    # How.

    def _deliver_beyond_deep(self, account: str, region: str, days: int, count: int) -> None:
        before = set(self.source.objects)
        self.deliver(account, region, days * DAY, count)
        self.beyond_deep |= self.source.objects.keys() - before

    def _put(self, key: str, body: bytes) -> None:
        if key not in self.source.objects:
            self.source.put(key, body, last_modified=self.now)

    def _missing(self) -> set[str]:
        return {key for key in self.source.objects if PREFIX + key not in self.destination.objects}

    def _differing(self) -> set[str]:
        """Keys whose replica has other bytes."""
        bodies = self.destination.bodies
        return {key for key, body in self.source.bodies.items() if bodies.get(PREFIX + key, body) != body}

    def _tick_without_news(self) -> None:
        last = self._run()
        assert last is not None
        assert (last.copied, last.already_there, last.conflict_count, last.failed_count) == (0, 0, 0, 0)

    def _some_key(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.source.objects)))

    def _stamped_after(self, instant: float) -> set[str]:
        return {key for key in self.source.objects if (stamp_of(key) or 0.0) > instant}

    def _ledger(self) -> MemoryLedger:
        return self.ledgers.open(REPLICA, "job")

    def _clock(self) -> float:
        # Time goes on while a tick runs, so that outcomes are recorded now and then.
        self.now += 0.25
        return self.now

    def _refuse(self, prefix: str, page: int) -> JobFailed | None:
        if self.is_listing_refused and (page or prefix.endswith(f"{REGIONS[1]}/")):
            self.is_listing_refused = False
            return JobFailed("server_error", "ListObjectsV2", "")
        return None

    def _run(
        self,
        *,
        window: Window | None = None,
        is_patient: bool = False,
        crash_after: int | None = None,
        stop_after: int | None = None,
    ) -> TickReport | None:
        copier = MemoryCopier(self.source, self.destination, fail=self.failing, crash_after=crash_after)
        before = dict(self.source.objects)
        ports = Ports(
            source=MemorySource(self.source, page_keys=5, now=self._clock, refuse=self._refuse),
            source_bucket="trail",
            destination=MemorySource(self.destination, page_keys=5, now=self._clock),
            copier=copier,
            ledger=self._ledger(),
            now=self._clock,
            tell=lambda *_, **__: None,
        )
        stop = Event()

        def progress(recorder: Recorder) -> None:
            if recorder.counts.copied == stop_after:
                stop.set()

        try:
            report = Tick(_task(window, is_patient=is_patient), ports, stop=stop, on_progress=progress).run()
        except CrashError:
            return None
        self.claimed = (report.complete_from, report.complete_until)
        self._hold_to_its_horizon(report, before)
        return report

    def _hold_to_its_horizon(self, report: TickReport, listed: Mapping[str, LogObject]) -> None:
        """What was listed by its stamp + lateness and has a stamp in the horizon is at the destination."""
        for key, item in listed.items():
            stamp = stamp_of(key)
            if stamp is None or item.last_modified > stamp + PACE.lateness or key in self.foreign:
                continue
            if report.complete_from <= stamp <= report.complete_until:
                assert PREFIX + key in self.destination.objects, (key, report.complete_from, report.complete_until)


def _task(window: Window | None, *, is_patient: bool) -> Task:
    return Task(
        job="job",
        scope=Scope("", (), (EVERY,), ("CloudTrail",), (EVERY,)),
        shard=None,
        layout=CloudTrailLayout(),
        destination_prefix=PREFIX,
        pace=PACE,
        start=lambda now: now - START,
        window=window,
        is_patient=is_patient,
    )


def _shard(key: str) -> Shard:
    _, account, kind, region, _ = key.split("/", 4)
    return Shard(f"AWSLogs/{account}/{kind}/{region}/", account, kind, region)


def test_source_and_destination_converge_whatever_happens() -> None:
    run_state_machine_as_test(
        Convergence,
        settings=settings(
            derandomize=True,
            max_examples=300,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("is_ledger_lost", [False, True])
def test_a_log_from_the_future_hides_no_late_one(is_ledger_lost: bool) -> None:  # noqa: FBT001
    world = Convergence()
    world.begin(ACCOUNTS[0])
    world.deliver(ACCOUNTS[0], REGIONS[1], -3 * DAY, 1)
    world.tick()
    world.ledgers = MemoryLedgerFile() if is_ledger_lost else world.ledgers

    world.deliver_behind_the_frontier(ACCOUNTS[0], REGIONS[1], 25 * MINUTE, 40 * MINUTE)

    world.teardown()


def test_an_object_that_failed_and_was_encrypted_anew_is_copied() -> None:
    world = Convergence()
    world.begin(ACCOUNTS[0])
    key = min(world.source.objects)
    world.failing[key] = "kms_access_denied"
    world.tick()
    world.source.put(key, world.source.bodies[key], etag="another", last_modified=world.now)
    world.heal()

    reports = [world._run() for _ in range(2)]

    assert [report.copied for report in reports if report] == [1, 0]
    assert reports[-1] is not None
    assert reports[-1].outcome == "ok"


def test_a_conflict_ends_once_the_source_is_what_the_replica_is() -> None:
    world = Convergence()
    world.begin(ACCOUNTS[0])
    key = min(world.source.objects)
    world.destination.put(PREFIX + key, b"of others", last_modified=world.now)
    world.tick()
    world.source.put(key, b"of others", last_modified=world.now)

    report = world._run()

    assert report is not None
    assert (report.outcome, report.already_there) == ("ok", 1)
    assert world._ledger().quarantined() == {}
