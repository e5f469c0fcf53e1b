"""Two buckets, the real tick, a ledger, and everything that goes wrong around them."""

import random
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from threading import Event
from typing import Any

from fakes import CrashError

from syncd.job.planning import ForgivingLister
from syncd.model.errors import JobFailed, LedgerCorrupt, ListingBudgetSpent
from syncd.model.objects import LogObject, Replica, Window
from syncd.model.reports import TickReport
from syncd.tick.ports import Ports
from syncd.tick.recorder import REFUSED_IN_A_ROW, Recorder
from syncd.tick.retries import RETRIES_A_TICK
from syncd.tick.task import Pace, Task
from syncd.tick.tick import Tick

from .daemon import Daemon
from .families import DAY, HOUR, MINUTE, Setting, letters
from .judge import DEEP, Judge, Named, demand, is_named_once, stamp_in_name, wants
from .places import Bucket, Copier, Listing
from .schedule import Happening, Schedule

PREFIX = "copy/"
DEEP_EVERY, AUDIT_EVERY, AUDIT_SEALED_EVERY = DAY, DAY, 7 * DAY
LAST_TICKS_EVERY = 6 * HOUR
IN_ORDER = ("trail", "organization")
"""Families all of whose keys a tail finds that came within ..."""
TAIL = 80 * MINUTE
CALM_GAP = 13 * HOUR
"""Ticks that are farther apart are an outage."""


class World:
    """One job, its buckets, and the judge."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.now = schedule.begins_at - 200 * DAY
        self.offset = 0.0
        self.wrong_ticks = 0
        self.source, self.destination = Bucket(), Bucket(is_encrypted=schedule.is_encrypted)
        self.failing: dict[str, str] = {}
        self.arrived: dict[str, float] = {}
        """Since when the source has had its objects as they are."""
        self.readable_since: dict[str, float] = {}
        self.setting = schedule.family.setting
        self.refused_until = self.left_out_until = self.blind_until = 0.0
        self.held_back: list[Happening] | None = None
        """Deliveries that wait for the middle of the next tick."""
        self.released_at = 0
        """After so many pages."""
        self.is_edited = False
        self.calm_since = schedule.begins_at
        """Nothing that touches the whole job has happened since."""
        self.last_tick_at = 0.0
        self.judge = Judge(PREFIX, schedule.lateness)
        self.was_lost = False
        self.rewritten: set[str] = set()
        """Keys of the source whose content changed after it was delivered."""
        self.chance = random.Random(schedule.seed)
        self.ticks = 0
        self.broken: tuple[str, int] | None = None
        self.paired: dict[str, Any] | None = None
        self.is_nested = False
        self.temporary = Path(tempfile.mkdtemp(prefix="syncd-attack-")) if schedule.on_disk else None
        self.daemon, self.other = Daemon(now=self.clock, folder=self.temporary), Daemon(now=self.clock)
        self.pace = Pace(
            tail=schedule.tail,
            recent=schedule.recent,
            recent_every=schedule.recent_every,
            deep=DEEP,
            deep_every=DEEP_EVERY,
            discovery_every=schedule.discovery_every,
            idle_every=schedule.idle_every,
            lateness=schedule.lateness,
            audit_every=AUDIT_EVERY,
            audit_sealed_every=AUDIT_SEALED_EVERY,
        )

    def run(self) -> Judge:
        """Let everything happen, then heal, and look at what is left."""
        try:
            for happening in self.schedule.happenings:
                self.now = max(self.now, happening.at)
                self.happen(happening)
            self._end()
        finally:
            if self.temporary is not None:
                shutil.rmtree(self.temporary)
        return self.judge

    def happen(self, happening: Happening) -> None:
        """One thing of the schedule."""
        getattr(self, happening.what)(**happening.facts)

    # What the source and its owner do.

    def deliver(self, key: str, body: str, took: float = 0.0) -> None:
        """`took` is how long the upload took: an object's LastModified is its beginning."""
        if self.held_back is not None:
            self.held_back.append(Happening(self.now, "deliver", {"key": key, "body": body, "took": took}))
            return
        self.source.put(key, body.encode(), last_modified=float(int(self.now - took)))
        self.arrived[key] = self.readable_since[key] = self.now

    def hold_back(self, pages: int) -> None:
        """What is delivered from now on comes after so many pages of the next tick."""
        if self.held_back is None:
            self.held_back, self.released_at = [], pages

    def _release(self) -> None:
        waiting, self.held_back = self.held_back or [], None
        for delivery in waiting:
            self.deliver(**delivery.facts)

    def crowd(self, count: int, reason: str, luck: float) -> None:
        """So many objects at once, none of which can be read."""
        streams = self.schedule.family.streams
        stream = streams[int(luck * len(streams))]
        for number in range(count):
            stamp = datetime.fromtimestamp((self.now - number * 3 * HOUR / count) // 300 * 300, UTC)
            key = stream.key(stamp, f"{letters(self.chance, 12)}{number:04}")
            self.deliver(key, "crowd")
            self.failing[key] = reason

    def change(self, luck: float, how: str, *, is_recent: bool) -> None:
        key = self._some_key(luck, since=self.now - 20 * DAY if is_recent else 0.0)
        if key is None:
            return
        body, etag = self.source.bodies[key], self.source.objects[key].etag
        when = float(int(self.now))
        if how == "redelivered":
            self.source.put(key, body, etag=etag, last_modified=when)
        elif how == "encrypted_anew":
            self.source.put(key, body, etag=f"{etag}x", last_modified=when)
        elif how == "archived":
            self.source.put(key, body, etag=etag, last_modified=when, storage_class="GLACIER")
        elif how == "expired":
            for old in [k for k, item in self.source.objects.items() if item.last_modified < self.now - 45 * DAY]:
                self.source.delete(old)
        else:
            self.rewritten.add(key)
            self.source.put(key, body[::-1] + (b"" if how == "same_length" else b"+"), last_modified=when)
            if self.source.bodies[key] == body:
                self.source.put(key, b"#" * len(body), last_modified=when)
        if key in self.source.objects:
            self.arrived[key] = self.readable_since[key] = self.now

    def _some_key(self, luck: float, *, since: float) -> str | None:
        keys = [key for key in sorted(self.source.objects) if self.source.objects[key].last_modified >= since]
        return keys[int(luck * len(keys))] if keys else None

    def deny(self, luck: float, count: int, reason: str) -> None:
        keys = sorted(self.source.objects, key=lambda key: self.source.objects[key].last_modified)
        # Half of them are new ones, which come while it lasts.
        for happening in self.schedule.happenings:
            if happening.what == "deliver" and self.now < happening.at < self.now + 5 * DAY:
                keys.append(happening.facts["key"])
        first = int(luck * len(keys))
        for key in keys[-1 - first :][:count]:
            self.failing[key] = reason

    def heal(self) -> None:
        self.readable_since |= dict.fromkeys(self.failing, self.now)
        self.failing.clear()

    # What others do at the destination.

    def tamper(self, luck: float, count: int, how: str) -> None:
        keys = self.destination.keys()
        first = int(luck * len(keys))
        for key in keys[first : first + count]:
            body = self.destination.bodies[key]
            if how == "delete":
                self.destination.delete(key)
            elif how == "same_content":
                self.destination.put(key, bytes(body), etag="0" * 32, last_modified=self.now)
            else:
                other = b"!" * (len(body) + (how == "other_length"))
                self.destination.put(key, other, last_modified=self.now)
            self.judge.tampered[key.removeprefix(PREFIX)] = self.now
        self.judge.seen = dict(self.destination.bodies)

    def write_first(self, length: int, *, is_same: bool) -> None:
        coming = next((h for h in self.schedule.happenings if h.what == "deliver" and h.at > self.now), None)
        if coming is None or PREFIX + coming.facts["key"] in self.destination.objects:
            return
        body = coming.facts["body"].encode() if is_same else b"?" * length
        self.destination.put(PREFIX + coming.facts["key"], body, last_modified=self.now)
        self.judge.seen = dict(self.destination.bodies)

    # What happens to the daemon.

    def _disturb(self, until: float = 0.0) -> None:
        """Something touches the whole job, now or until then."""
        self.calm_since = max(self.calm_since, self.now, until)

    def is_down(self, until: float) -> None:
        self._disturb(until)

    def is_refused(self, until: float) -> None:
        self.refused_until = until
        self._disturb(until)

    def is_blind(self, until: float) -> None:
        """The destination may not be listed."""
        self.blind_until = until

    def is_left_out(self, until: float) -> None:
        self.left_out_until = until
        self._disturb(until)

    def lose(self, how: str, luck: float) -> None:
        self.was_lost = True
        self._disturb()
        if how == "file":
            self.daemon.lose()
        elif how == "everything":
            self.daemon.lose_everything()
        else:
            self.daemon.damage(how, luck)

    def jump(self, offset: float, ticks: int) -> None:
        self.offset, self.wrong_ticks = offset, ticks

    def edit(self, luck: float) -> None:
        edits = self.schedule.family.edits
        self.setting, self.is_edited = edits[int(luck * len(edits))], True
        self._disturb()

    def edit_back(self) -> None:
        self.setting, self.is_edited = self.schedule.family.setting, False
        self._disturb()

    def break_next_tick(self, how: str, after: int) -> None:
        self.broken = how, after

    def pair(self, **facts: Any) -> None:
        self.paired = facts

    def decide(self, how: str, luck: float) -> None:
        """The operator lets go of an object, or asks for it again."""
        with self.daemon.file().open(self._replica(self.setting), "job") as ledger:
            held = sorted(ledger.quarantined())
            if held and how == "accept":
                ledger.accept(held[int(luck * len(held))])
            elif held:
                ledger.retry(held[int(luck * len(held))])

    def catch_up(self, back: int, length: int | None) -> None:
        self.tick(window=self._window(back, length), is_patient=False)

    # What the job does.

    def tick(self, *, window: Window | None = None, is_patient: bool = True, daemon: Daemon | None = None) -> None:
        daemon = daemon or self.daemon
        setting = self._setting_now()
        began_at = self.now
        self.ticks += 1
        report = None
        try:
            report = self._run(daemon, setting, window, is_patient=is_patient)
        except CrashError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever a tick raises is a finding
            self.judge.find("raised", self.now, "", f"{type(error).__name__}: {error}"[:300])
        self._release()
        self._look(daemon, setting, report, began_at, is_tick=window is None)
        if self.offset:
            self.wrong_ticks -= 1
            self._disturb()
            if self.wrong_ticks <= 0:
                self.offset = 0.0

    def clock(self) -> float:
        """The daemon's, which may be wrong."""
        self.now += 0.01
        return max(1.0, self.now + self.offset)

    def _setting_now(self) -> Setting:
        scope = self.setting.scope
        if self.now >= self.left_out_until or scope is None:
            return self.setting
        return self.setting._replace(scope=scope._replace(accounts=("999999999999",)))

    def _replica(self, setting: Setting) -> Replica:
        return Replica(
            source_bucket="trail",
            source_prefix=setting.prefix,
            destination_endpoint="",
            destination_bucket="replica",
            destination_prefix=PREFIX,
        )

    def _run(self, daemon: Daemon, setting: Setting, window: Window | None, *, is_patient: bool) -> TickReport:
        file = daemon.file()
        try:
            return self._against(file, daemon, setting, window, is_patient=is_patient)
        except LedgerCorrupt:
            file.move_aside()
            self._disturb()
            return self._against(file, daemon, setting, window, is_patient=is_patient)

    def _against(
        self, file: Any, daemon: Daemon, setting: Setting, window: Window | None, *, is_patient: bool
    ) -> TickReport:
        broken, self.broken = self.broken, None
        how, after = broken or ("", 0)
        stop = Event()
        listings = 0
        paired, self.paired = (self.paired, None) if not self.is_nested else (None, self.paired)

        def refuse(_prefix: str, _page: int) -> JobFailed | None:
            nonlocal listings
            listings += 1
            if self.held_back is not None and listings > self.released_at:
                self._release()
            if paired is not None and listings == paired["at_listing"] + 1:
                self._beside(daemon, paired)
            if self.now < self.refused_until:
                return JobFailed("access_denied", "AssumeRole", "")
            if how == "budget" and listings > after:
                return ListingBudgetSpent("listing_budget_spent", "ListObjectsV2", "")
            return JobFailed("server_error", "ListObjectsV2", "") if how == "page" and listings > after else None

        def progress(recorder: Recorder) -> None:
            if how == "stop" and recorder.counts.copied >= after:
                stop.set()

        def refuse_there(_prefix: str, _page: int) -> JobFailed | None:
            return JobFailed("access_denied", "ListObjectsV2", "") if self.now < self.blind_until else None

        copier = Copier(
            self.source,
            self.destination,
            fail=self.failing,
            crash_after=after if how == "crash" else None,
            now=float(int(self.now)),
        )
        page_keys = self.schedule.page_keys
        replica = self._replica(setting)
        with file.open(replica, "job") as ledger:
            ports = Ports(
                source=Listing(self.source, page_keys=page_keys, now=self.clock, refuse=refuse),
                source_bucket="trail",
                destination=ForgivingLister(
                    Listing(self.destination, page_keys=page_keys, now=self.clock, refuse=refuse_there), _nothing
                ),
                copier=copier,
                ledger=ledger,
                now=self.clock,
                tell=_nothing,
            )
            start = self.schedule.start
            task = Task(
                job="job",
                scope=setting.scope,
                shard=setting.shard,
                layout=setting.layout,
                destination_prefix=PREFIX,
                pace=self.pace,
                start=lambda now: 0.0 if start is None else max(1.0, now - start),
                window=window,
                was_here=ledger.ran_here(),
                is_patient=is_patient,
                max_objects=self.schedule.max_objects if window is None else None,
            )
            report = Tick(task, ports, stop=stop, on_progress=progress).run()
            self._note_start(daemon, replica, ledger.start())
            if window is None:
                daemon.last = report
            return report

    def _note_start(self, daemon: Daemon, replica: Replica, start: float | None) -> None:
        if start is None or self.offset:
            return
        before = daemon.starts.setdefault(replica, start)
        # A clock that was behind by no more than this cannot be told from one that was ahead when the start was fixed, and an
        # earlier start leaves out nothing.
        if start > before or before - start > 2 * DAY:
            self.judge.find("start moved", self.now, "", f"by {(start - before) / DAY:.1f} days")
            daemon.starts[replica] = start

    def _beside(self, daemon: Daemon, paired: Mapping[str, Any]) -> None:
        """Another tick or catch-up runs while this one does."""
        self.is_nested = True
        try:
            if paired["how"] == "other_daemon":
                self.tick(daemon=self.other)
            else:
                window = self._window(paired["back"], None) if paired["how"] == "window" else None
                self.tick(window=window, is_patient=window is None, daemon=daemon)
        finally:
            self.is_nested = False

    def _window(self, back: int, length: int | None) -> Window:
        def day(instant: float) -> str:
            return datetime.fromtimestamp(instant, UTC).date().isoformat()

        first = self.now - back * DAY
        return Window(day(first), None if length is None else day(first + length * DAY))

    # What is looked at.

    def _look(
        self, daemon: Daemon, setting: Setting, report: TickReport | None, began_at: float, *, is_tick: bool
    ) -> None:
        self.judge.nothing_was_overwritten(self.destination.bodies, self.source.bodies, self.now)
        if report is None:
            return
        if daemon is self.daemon:
            is_well = report.outcome in ("ok", "partial") and not self.offset
            if not is_well or self.now - self.last_tick_at > CALM_GAP:
                self._disturb()
            self.last_tick_at = self.now
        named = self.named(daemon, setting)
        self.judge.the_horizon_is_true(
            (report.complete_from, report.complete_until),
            self.source.objects,
            self.destination.objects,
            arrived=self.arrived,
            setting=setting,
            named=named,
            forgiven_since=self._forgiven_since(),
            at=self.now,
            ahead=max(0.0, self.offset),
        )
        if daemon is self.daemon and not self.is_nested and report.outcome in ("ok", "partial") and not self.offset:
            self._nothing_waits_long(daemon, setting, named)
            if is_tick and _is_whole(report):
                self._nothing_new_waits(setting, named, began_at)

    def _forgiven_since(self) -> float:
        """What others did since then may not have been noticed yet."""
        is_calm = self.now - max(self.calm_since, self.blind_until) > self._audited_within()
        return self.now - self._audited_within() if is_calm else 0.0

    def _audited_within(self) -> float:
        return AUDIT_SEALED_EVERY + AUDIT_EVERY + DEEP_EVERY + CALM_GAP

    def _found_within(self) -> float:
        return 1.1 * DEEP_EVERY + self.pace.recent_every + self.pace.discovery_every + 2 * CALM_GAP

    def _nothing_waits_long(self, daemon: Daemon, setting: Setting, named: Named) -> None:
        """In calm times an object is found within a deep round."""
        before = self.now - self._found_within()
        if self.calm_since > before:
            return
        start = daemon.starts.get(self._replica(setting), 0.0)
        for key, item in self.source.objects.items():
            since = max(item.last_modified, self.readable_since[key])
            if PREFIX + key in self.destination.objects or since > before or key in self.failing:
                continue
            if self._is_due(key, item, setting, start) and not named.names(key) and key not in self.judge.tampered:
                self.judge.find("late", self.now, key, f"for {(self.now - since) / HOUR:.0f} hours")

    def _nothing_new_waits(self, setting: Setting, named: Named, began_at: float) -> None:
        """What comes in order is copied by the next tick, however many other objects are denied."""
        if setting != self.schedule.family.setting or self.schedule.family.name not in IN_ORDER:
            return
        start = self.daemon.starts.get(self._replica(setting), 0.0)
        for key, item in self.source.objects.items():
            if PREFIX + key in self.destination.objects or self.arrived[key] > began_at or key in named.held:
                continue
            stamp = stamp_in_name(key)
            is_prompt = stamp is not None and self.arrived[key] <= stamp + TAIL
            is_known = key in self.failing or key in named.accepted or key in self.judge.tampered
            if is_prompt and not is_known and item.last_modified >= start and wants(setting, key):
                self.judge.find("delayed", self.now, key, f"since {(began_at - self.arrived[key]) / HOUR:.1f} hours")

    def _is_due(self, key: str, item: LogObject, setting: Setting, start: float) -> bool:
        """If ticks alone find it."""
        is_in_reach = demand(item, setting, 0.0, self.arrived[key]).in_reach
        return wants(setting, key) and item.last_modified >= start and is_in_reach

    def named(self, daemon: Daemon, setting: Setting) -> Named:
        """What is held, accepted or not covered."""
        with daemon.file().open(self._replica(setting), "job") as ledger:
            held, accepted, uncovered = ledger.quarantined(), ledger.accepted(), ledger.uncovered()
        conflicts = {key for key, item in held.items() if item.is_conflict}
        return Named(set(held), conflicts, set(accepted), set(uncovered))

    # The end.

    def _end(self) -> None:
        """Troubles are over: a deep round and the audits go by, then a catch-up over everything."""
        self.heal()
        self.edit_back()
        self.offset, self.broken, self.paired = 0.0, None, None
        self.now = max(self.now, self.refused_until, self.left_out_until)
        self.refused_until = self.left_out_until = self.blind_until = 0.0
        # So many of what was held are tried again in each tick.
        for _ in range(ceil(len(self.named(self.daemon, self.setting).held) / RETRIES_A_TICK)):
            self.now += HOUR
            self.tick()
        end = self.now + self._audited_within() + self._found_within()
        while self.now < end:
            self.now += HOUR if self.now > end - 5 * HOUR else LAST_TICKS_EVERY
            self.tick()
        setting = self.setting
        self._compare("missing", "other content", is_whole=False)
        self._is_live(setting)
        self.tick(window=Window(), is_patient=False)
        self._compare("missing after all", "other content after all", is_whole=True)
        self.now += HOUR
        self.tick()
        last = self.daemon.last
        if last is not None and (last.copied, last.already_there, last.conflict_count) != (0, 0, 0):
            self.judge.find("unrest", self.now, "", f"an idle tick copied {last.copied}, found {last.already_there}")

    def _compare(self, missing: str, other: str, *, is_whole: bool) -> None:
        setting = self.setting
        named = self.named(self.daemon, setting)
        start = 0.0 if is_whole else self.daemon.starts.get(self._replica(setting), 0.0)
        for key, item in self.source.objects.items():
            if not wants(setting, key) or (not is_whole and not self._is_due(key, item, setting, start)):
                continue
            replica = self.destination.bodies.get(PREFIX + key)
            if replica is None and not named.names(key):
                kind = f"not restored{' after all' if is_whole else ''}" if key in self.judge.tampered else missing
                self.judge.find(kind, self.now, key)
            elif replica is not None and replica != self.source.bodies[key] and not named.names(key):
                if key in self.rewritten and not is_whole:
                    continue
                if self.was_lost and is_named_once(key) and len(replica) == len(self.source.bodies[key]):
                    continue
                kind = f"forged{' after all' if is_whole else ''}" if key in self.judge.tampered else other
                self.judge.find(kind, self.now, key)
        if not is_whole:
            for key in set(named.held) - set(named.conflicts):
                held = self.source.objects.get(key)
                if held is not None and wants(setting, key) and held.storage_class == "STANDARD":
                    self.judge.find("stuck", self.now, key, "is held although it can be read")

    def _is_live(self, setting: Setting) -> None:
        """With nothing held, and nothing uncovered, the horizon is near now."""
        named = self.named(self.daemon, setting)
        until = self.daemon.last.complete_until if self.daemon.last else 0.0
        within = max(self.schedule.lateness, 1.5 * HOUR) + self._found_within()
        is_waiting = named.held or named.uncovered
        if not is_waiting and until < self.now - within and any(wants(setting, key) for key in self.source.objects):
            self.judge.find("stalled", self.now, "", f"{(self.now - until) / HOUR:.0f} hours behind")


def _is_whole(report: TickReport) -> bool:
    """If the tick came by everything: neither its bounds nor too many new denials in a row kept it from that."""
    is_bounded = report.error is not None or "over_quota" in report.skipped
    return not is_bounded and report.failed_count - report.retried < REFUSED_IN_A_ROW


def _nothing(*_: Any, **__: Any) -> None:
    """Nobody listens to events."""
