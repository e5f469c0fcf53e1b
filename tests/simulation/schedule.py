"""What happens to a job in its sixty days: drawn beforehand from wide ranges, so that it can be shortened and repeated."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .families import DAY, FAMILIES, HOUR, MINUTE, Family, family, letters

TROUBLES = (
    *("outage", "loss", "clock", "denial", "tamper", "change", "edit", "twin", "crash", "odd"),
    *("between", "blind", "decision"),
)
"""Kinds of trouble; each schedule has some of them."""
CROWD = 3000
"""Objects that are denied at once."""


class Happening(NamedTuple):
    """One thing, and when."""

    at: float
    what: str
    """A method of `World`."""
    facts: dict[str, Any] = {}  # noqa: RUF012
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Everything that was drawn."""

    seed: int
    family: Family
    days: int
    begins_at: float
    ends_at: float
    troubles: Sequence[str]
    start: float | None
    """Seconds before the first tick; None for the beginning."""
    tail: float
    recent: float
    recent_every: float
    discovery_every: float
    idle_every: float
    lateness: float
    page_keys: int
    on_disk: bool
    """The ledger is the one on disk, rather than the one in memory."""
    is_encrypted: bool
    """The destination's ETags are no MD5."""
    max_objects: int | None
    happenings: Sequence[Happening]


class _Outage(NamedTuple):
    begins_at: float
    ends_at: float
    kind: str


def draw(seed: int, *, days: int, name: str = "", without: Sequence[str] = ()) -> Schedule:
    """One schedule; the family follows the seed unless it is named."""
    chance, more = random.Random(seed), random.Random(f"{seed} more")
    name = name or tuple(FAMILIES)[seed % len(FAMILIES)]
    keys = family(name, chance)
    begins_at = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + chance.uniform(100, 400) * DAY
    drawn = [trouble for trouble in TROUBLES if chance.random() < 0.5]
    troubles = [trouble for trouble in drawn if trouble not in without]
    outages = list(_outages(chance, begins_at, days)) if "outage" in troubles else []
    ends_at = begins_at + days * DAY + sum(outage.ends_at - outage.begins_at for outage in outages)
    lateness = chance.choice([5 * MINUTE, 30 * MINUTE, 30 * MINUTE, 2 * HOUR, 30 * HOUR, 3 * DAY])
    happenings = [
        *_deliveries(random.Random(f"{seed} deliveries"), keys, begins_at, ends_at, days),
        *_ticks(random.Random(f"{seed} ticks"), begins_at, ends_at, outages),
        *(Happening(outage.begins_at, outage.kind, {"until": outage.ends_at}, "outage") for outage in outages),
    ]
    for trouble in troubles:
        happenings += (
            _TROUBLES[trouble](random.Random(f"{seed} {trouble}"), begins_at, ends_at) if trouble in _TROUBLES else ()
        )
    return Schedule(
        seed=seed,
        family=keys,
        days=days,
        begins_at=begins_at,
        ends_at=ends_at,
        troubles=troubles,
        start=chance.choice([None, 31 * DAY, 31 * DAY, 3 * DAY, 90 * DAY, 1.0]),
        tail=chance.choice([10 * MINUTE, HOUR, 6 * HOUR]),
        recent=chance.choice([HOUR, 48 * HOUR, 48 * HOUR, 5 * DAY]),
        recent_every=chance.choice([HOUR, HOUR, 6 * HOUR]),
        discovery_every=chance.choice([HOUR, HOUR, 6 * HOUR]),
        idle_every=chance.choice([15 * MINUTE, 2 * HOUR]),
        lateness=lateness,
        page_keys=chance.choice([5, 40, 1000]),
        on_disk=seed % 7 == 3,
        is_encrypted=more.random() < 0.3,
        max_objects=more.choice([None, None, None, 40]),
        happenings=sorted(happenings, key=lambda happening: happening.at),
    )


def _outages(chance: random.Random, begins_at: float, days: int) -> Iterator[_Outage]:
    at = begins_at
    for _ in range(chance.randint(1, 3)):
        at += chance.uniform(0.05, 0.4) * days * DAY
        length = chance.choice([0.3, 2, 10, 34, 60]) * DAY * chance.uniform(0.5, 1)
        yield _Outage(at, at + length, chance.choice(["is_down", "is_down", "is_refused", "is_left_out"]))
        at += length


def _deliveries(
    chance: random.Random, keys: Family, begins_at: float, ends_at: float, days: int
) -> Iterator[Happening]:
    history = chance.choice([0.5, 5, 40, 100]) * DAY
    scarce = 0.3 if ends_at - begins_at > 1.5 * days * DAY else 1.0
    for stream in keys.streams:
        silences = [(at := chance.uniform(begins_at, ends_at), at + chance.uniform(1, 25) * DAY) for _ in range(2)]
        first = begins_at - history if chance.random() < 0.8 else chance.uniform(begins_at, ends_at)
        at = first
        while at < ends_at:
            is_old = at < begins_at - 10 * DAY
            at += chance.expovariate(stream.a_day * (0.2 if is_old else scarce)) * DAY
            if any(begin < at < end for begin, end in silences):
                continue
            stamp = at // (5 * MINUTE) * (5 * MINUTE)
            for _ in range(1 if chance.random() < 0.8 else chance.randint(2, 6)):
                arrives_at = stamp + _delay(chance, stream.delays)
                key = stream.key(datetime.fromtimestamp(stamp, UTC), letters(chance))
                took = chance.uniform(0, 20 * MINUTE) if chance.random() < 0.05 else 0.0
                facts = {"key": key, "body": letters(chance, chance.choice([4, 4, 5])), "took": took}
                yield Happening(arrives_at, "deliver", facts)


def _delay(chance: random.Random, usual: tuple[float, float]) -> float:
    luck = chance.random()
    if luck < 0.02:
        return chance.uniform(2, 30) * DAY
    if luck < 0.05:
        return chance.uniform(0.5, 40) * HOUR
    if luck < 0.15:
        return chance.uniform(1, 29) * MINUTE
    return chance.uniform(*usual)


def _ticks(chance: random.Random, begins_at: float, ends_at: float, outages: Sequence[_Outage]) -> Iterator[Happening]:
    at = begins_at
    while at < ends_at:
        step, lasts = chance.choice(
            [
                (5 * MINUTE, 2 * HOUR),
                (HOUR, DAY),
                (HOUR, DAY),
                (3 * HOUR, DAY),
                (3 * HOUR, 2 * DAY),
                (6 * HOUR, 2 * DAY),
            ]
        )
        end = at + lasts
        while at < min(end, ends_at):
            at += step * chance.uniform(0.5, 1.2)
            now = next((outage for outage in outages if outage.begins_at <= at < outage.ends_at), None)
            if now is not None and now.kind == "is_down":
                at = now.ends_at + chance.uniform(0, HOUR)
            elif now is not None and chance.random() < 0.8:
                at = min(at + 6 * HOUR, now.ends_at)
            yield Happening(at, "tick", {"is_patient": chance.random() < 0.8})


def _times(chance: random.Random, begins_at: float, ends_at: float, least: int, most: int) -> Iterator[float]:
    return iter(sorted(chance.uniform(begins_at, ends_at) for _ in range(chance.randint(least, most))))


def _losses(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 1, 4):
        yield Happening(
            at,
            "lose",
            {"how": chance.choice(["file", "file", "rows", "pages", "everything"]), "luck": chance.random()},
            "loss",
        )


def _clocks(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    first = [begins_at] if chance.random() < 0.3 else []
    for at in (*first, *_times(chance, begins_at, ends_at, 1, 4)):
        offset = chance.choice([DAY, 40 * DAY, -DAY, -at + 5000, chance.uniform(-3, 60) * DAY])
        yield Happening(at, "jump", {"offset": offset, "ticks": chance.choice([1, 1, 3, 8])}, "clock")


def _denials(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    if chance.random() < 0.15:
        reason = chance.choice(["access_denied", "kms_access_denied"])
        facts = {"luck": chance.random(), "count": CROWD, "reason": reason}
        yield Happening(chance.uniform(begins_at, ends_at), "crowd", facts, "denial")
    for at in _times(chance, begins_at, ends_at, 1, 8):
        reason = chance.choice(
            ["access_denied", "kms_access_denied", "slow_down", "checksum_mismatch", "object_changed"]
        )
        facts = {"luck": chance.random(), "count": chance.choice([1, 1, 3, 30, 150]), "reason": reason}
        yield Happening(at, "deny", facts, "denial")
        yield Happening(at + chance.choice([0.1, 2, 20, 50]) * DAY * chance.random(), "heal", {}, "denial")


def _tampering(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 1, 5):
        facts = {
            "luck": chance.random(),
            "count": chance.choice([1, 1, 4, 40]),
            "how": chance.choice(["delete", "delete", "same_length", "other_length", "same_content"]),
        }
        yield Happening(at, "tamper", facts, "tamper")
    for at in _times(chance, begins_at, ends_at, 0, 4):
        yield Happening(
            at, "write_first", {"is_same": chance.random() < 0.5, "length": chance.choice([4, 6])}, "tamper"
        )


def _changes(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 2, 10):
        how = chance.choice(["redelivered", "encrypted_anew", "same_length", "other_length", "archived", "expired"])
        yield Happening(
            at, "change", {"luck": chance.random(), "how": how, "is_recent": chance.random() < 0.8}, "change"
        )


def _edits(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 1, 3):
        yield Happening(at, "edit", {"luck": chance.random()}, "edit")
        yield Happening(at + chance.choice([0.05, 1, 12, 40]) * DAY * chance.uniform(0.3, 1), "edit_back", {}, "edit")


def _twins(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 2, 12):
        how = chance.choice(["tick", "window", "other_daemon"])
        facts = {"how": how, "at_listing": chance.choice([0, 1, 2, 3, 5, 9]), "back": chance.choice([1, 5, 20, 80])}
        yield Happening(at, "pair", facts, "twin")


def _crashes(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 3, 25):
        facts = {
            "how": chance.choice(["crash", "stop", "page", "page", "budget"]),
            "after": chance.choice([0, 1, 2, 5, 12]),
        }
        yield Happening(at, "break_next_tick", facts, "crash")


def _between(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 5, 40):
        yield Happening(at, "hold_back", {"pages": chance.choice([0, 1, 2, 3, 5, 9, 20])}, "between")


def _blindness(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 1, 3):
        facts = {"until": at + chance.choice([0.1, 2, 20]) * DAY * chance.random()}
        yield Happening(at, "is_blind", facts, "blind")


def _decisions(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 3, 12):
        how = chance.choice(["accept", "accept", "retry"])
        yield Happening(at, "decide", {"how": how, "luck": chance.random()}, "decision")


def _oddities(chance: random.Random, begins_at: float, ends_at: float) -> Iterator[Happening]:
    for at in _times(chance, begins_at, ends_at, 1, 5):
        facts = {"back": chance.choice([2, 10, 30, 80]), "length": chance.choice([0, 3, 20, None])}
        yield Happening(at, "catch_up", facts, "odd")


_TROUBLES = {
    "loss": _losses,
    "clock": _clocks,
    "denial": _denials,
    "tamper": _tampering,
    "change": _changes,
    "edit": _edits,
    "twin": _twins,
    "crash": _crashes,
    "odd": _oddities,
    "between": _between,
    "blind": _blindness,
    "decision": _decisions,
}
