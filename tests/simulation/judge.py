"""What is true, told from the buckets and from what was done to them.

Nothing here asks the product what a key's time is, who wants it or how late it may be: all of that is written a second
time, by hand, from `docs/guarantees.md`.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from math import inf
from typing import NamedTuple

from syncd.model.objects import LogObject

from .families import DAY, HOUR, MINUTE, Setting

DIGEST_LATENESS = 90 * MINUTE
DEEP = 33 * DAY


@cache
def stamp_in_name(key: str) -> float | None:
    """The time in a file's name, such as `…_20261124T0005Z_…`: of the last part that is one."""
    for part in reversed(key.rsplit("/", 1)[-1].split("_")[1:]):
        day, _, rest = part.partition("T")
        clock = rest.partition("Z")[0]
        if "Z" in rest and len(day) == 8 and len(clock) in (4, 6) and (day + clock).isdigit() and part.isascii():
            numbers = (day[:4], day[4:6], day[6:], clock[:2], clock[2:4], clock[4:] or "0")
            try:
                return datetime(*(int(number) for number in numbers), tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
            except ValueError:
                return None
    return None


@cache
def folder_day(key: str) -> float | None:
    """The first second of the last day that the folders of a key name, in any of the forms that we draw."""
    digits: list[str] = []
    for part in key.split("/"):
        bare = part.split("=")[-1]
        digits += [piece for piece in bare.replace("-", "/").split("/") if piece.isdigit()]
        if bare[:8].isdigit() and len(bare) > 8:
            digits += [bare[:4], bare[4:6], bare[6:8]]
    for first in range(len(digits) - 3, -1, -1):
        year, month, day = digits[first : first + 3]
        if len(year) == 4 and len(month) <= 2 and len(day) <= 2:
            try:
                return datetime(int(year), int(month), int(day), tzinfo=UTC).timestamp()
            except ValueError:
                continue
    return None


class Demand(NamedTuple):
    """What is promised of one object."""

    earliest: float
    latest: float
    """The horizon speaks of it where both are within."""
    on_time: bool
    in_reach: bool
    """It arrived within `deep_days` of its stamp, so that ticks find it."""


def demand(item: LogObject, setting: Setting, lateness: float, arrived: float) -> Demand:
    """When the horizon may not pass the object, which could be listed since it `arrived`."""
    stamp = stamp_in_name(item.key) if setting.scope is not None else None
    day = folder_day(item.key.removeprefix(setting.shard.prefix if setting.shard else setting.prefix))
    is_flat = setting.layout.__class__.__name__ == "FlatLayout"
    day_end = inf if day is None or is_flat else day + DAY - 1
    in_reach = day_end >= arrived - DEEP + 2 * DAY
    if stamp is None:
        is_on_time = in_reach and arrived <= item.last_modified + lateness
        return Demand(min(item.last_modified, day_end), item.last_modified, is_on_time, in_reach)
    allowed = max(lateness, DIGEST_LATENESS) if "/CloudTrail-Digest/" in item.key else lateness
    claimed = min(stamp, day_end)
    kind = _parts(item.key, setting)[1] if setting.scope else ""
    latest = claimed if kind.startswith("CloudTrail") else max(claimed, item.last_modified)
    return Demand(claimed, latest, arrived <= claimed + allowed, in_reach)


def _parts(key: str, setting: Setting) -> tuple[str, str, str, str, int]:
    """Account, kind, region, organization, and how many folders there are below AWSLogs/."""
    assert setting.scope is not None
    top = f"{setting.scope.trail_prefix}/AWSLogs/" if setting.scope.trail_prefix else "AWSLogs/"
    folders = key.removeprefix(top).split("/")[:-1]
    organization = folders.pop(0) if folders and folders[0].startswith("o-") else ""
    account, kind, region = (*folders, "", "", "")[:3]
    return account, kind, region, organization, len(folders)


def wants(setting: Setting, key: str) -> bool:
    """If the job, set like this, is to copy the key, or to name its folder as not covered."""
    if setting.shard is not None:
        return key.startswith(setting.shard.prefix)
    scope = setting.scope
    assert scope is not None
    top = f"{scope.trail_prefix}/AWSLogs/" if scope.trail_prefix else "AWSLogs/"
    if not key.startswith(top):
        return False
    account, kind, region, organization, depth = _parts(key, setting)
    if scope.organizations and organization not in scope.organizations:
        return False
    if organization and not scope.organizations and "*" not in scope.accounts:
        return False
    if not (account.isdigit() and len(account) == 12):
        return "*" in scope.accounts and (bool(account) or "*" in scope.kinds)
    has_date_there = len(region) == 4 and region.isdigit()
    named = (account, kind, "" if has_date_there else region)
    lists = (scope.accounts, scope.kinds, scope.regions)
    for level, (part, wanted) in enumerate(zip(named, lists, strict=True)):
        if "*" not in wanted and (level >= depth or part not in wanted):
            return False
    return True


def is_named_once(key: str) -> bool:
    """If the end of a log's name is used for no other: then after a loss of state its size is enough."""
    name = key.rpartition("/")[2]
    account, _, rest = name.partition("_")
    kind = rest.partition("_")[0]
    end = name.removesuffix(".json.gz").rpartition("_")[2]
    return len(account) == 12 and kind.startswith("CloudTrail") and len(end) == 16 and stamp_in_name(key) is not None


class Finding(NamedTuple):
    """Something that must not be."""

    kind: str
    at: float
    key: str
    detail: str

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.at, UTC)
        return f"{self.kind} at {moment:%Y-%m-%d %H:%M}: {self.key} {self.detail}"


class Named(NamedTuple):
    """What the product itself says is not at the destination."""

    held: Collection[str]
    conflicts: Collection[str]
    accepted: Collection[str]
    uncovered: Collection[str]

    def names(self, key: str) -> bool:
        """If the key is named, or a folder above it."""
        return key in self.held or key in self.accepted or any(key.startswith(prefix) for prefix in self.uncovered)


@dataclass
class Judge:
    """Looks at both buckets after each tick."""

    prefix: str
    """The destination's."""
    lateness: float
    findings: list[Finding] = field(default_factory=list)
    seen: dict[str, bytes] = field(default_factory=dict)
    """The destination as it was left by the last tick, or by others since."""
    tampered: dict[str, float] = field(default_factory=dict)
    """Replicas that others deleted or replaced, and when."""
    _told: set[tuple[str, str]] = field(default_factory=set)

    def find(self, kind: str, at: float, key: str, detail: str = "") -> None:
        """Note it, once for each key."""
        if (kind, key) not in self._told:
            self._told.add((kind, key))
            self.findings.append(Finding(kind, at, key, detail))

    @property
    def counts(self) -> Counter[str]:
        """How often each kind was found."""
        return Counter(finding.kind for finding in self.findings)

    def nothing_was_overwritten(self, replicas: Mapping[str, bytes], source: Mapping[str, bytes], at: float) -> None:
        """A tick only adds, and only what the source has."""
        for key, body in self.seen.items():
            now = replicas.get(key)
            if now is not body:
                self.find("overwritten", at, key, "deleted" if now is None else "replaced")
        for key in replicas.keys() - self.seen.keys():
            bare = key.removeprefix(self.prefix)
            if not key.startswith(self.prefix) or source.get(bare) != replicas[key]:
                self.find("invented", at, key, "is not what the source has")
        self.seen = dict(replicas)

    def the_horizon_is_true(
        self,
        horizon: tuple[float, float],
        source: Mapping[str, LogObject],
        replicas: Mapping[str, LogObject],
        *,
        arrived: Mapping[str, float],
        setting: Setting,
        named: Named,
        forgiven_since: float,
        at: float,
        ahead: float,
    ) -> None:
        """Nothing between its ends that came in time is absent from the destination.

        The end is in the daemon's time. `ahead` is how many seconds its clock is ahead at this moment: S3 refuses such a
        clock, other servers do not, and nothing tells the daemon.
        """
        begin, end = horizon
        end -= ahead
        if end > at:
            self.find("future", at, "", f"complete until {(end - at) / HOUR:.1f} hours from now")
        if not end:
            return
        for key, item in source.items():
            if self.prefix + key in replicas or not wants(setting, key):
                continue
            promised = demand(item, setting, self.lateness, arrived[key])
            if not promised.on_time or not begin <= promised.earliest <= promised.latest <= end:
                continue
            if key in named.accepted or any(key.startswith(prefix) for prefix in named.uncovered):
                continue
            if self.tampered.get(key, -inf) < forgiven_since:
                self.find("lie", at, key, f"within {_when(begin)} .. {_when(end)}")


def _when(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M") if instant else "-"
