"""The ways in which keys are laid out in a source bucket, and how a job is set that reads them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout, Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.trail import EVERY, Scope
from syncd.model.objects import Shard

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ACCOUNTS = ("111111111111", "222222222222")
REGIONS = ("eu-west-1", "us-east-1")
ORGANIZATION = "o-exampleorg1"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Setting(NamedTuple):
    """How a job is set, as far as its source goes."""

    layout: Layout
    scope: Scope | None = None
    shard: Shard | None = None
    prefix: str = ""
    """The source's prefix."""


class Stream(NamedTuple):
    """Something that writes logs: the key of a log with this stamp, the next letters of which are random."""

    key: Callable[[datetime, str], str]
    a_day: float = 2.0
    delays: tuple[float, float] = (20.0, 7 * MINUTE)
    """How long after its stamp a log arrives when nothing is wrong."""


@dataclass(frozen=True)
class Family:
    """A grammar of keys, with the job that reads it and what an operator may edit that job into and back."""

    name: str
    setting: Setting
    edits: Sequence[Setting]
    streams: Sequence[Stream]


def letters(chance: random.Random, count: int = 16) -> str:
    """The random end of a file's name."""
    return "".join(chance.choices(_LETTERS, k=count))


def family(name: str, chance: random.Random) -> Family:
    """One of `FAMILIES`, its details drawn."""
    return FAMILIES[name](chance)


def _scope(
    prefix: str = "",
    *,
    organizations: Sequence[str] = (),
    accounts: Sequence[str] = (EVERY,),
    kinds: Sequence[str] = (EVERY,),
    regions: Sequence[str] = (EVERY,),
) -> Setting:
    scope = Scope(prefix, tuple(organizations), tuple(accounts), tuple(kinds), tuple(regions))
    return Setting(CloudTrailLayout(), scope=scope, prefix=prefix)


def _pattern(prefix: str, date_format: str) -> Setting:
    return Setting(PatternLayout(date_format), shard=Shard(prefix), prefix=prefix.rstrip("/"))


def _flat(prefix: str) -> Setting:
    return Setting(FlatLayout(), shard=Shard(prefix), prefix=prefix)


def _log(top: str, account: str, kind: str, region: str) -> Stream:
    def key(at: datetime, end: str) -> str:
        name = f"{account}_{kind}_{region}_{at:%Y%m%dT%H%MZ}_{end}.json.gz"
        return f"{top}{account}/{kind}/{region}/{at:%Y/%m/%d}/{name}"

    return Stream(key)


def _digest(top: str, account: str, region: str) -> Stream:
    def key(at: datetime, end: str) -> str:
        name = f"{account}_CloudTrail-Digest_{region}_a_trail_{end[:1]}_eu-west-1_{at:%Y%m%dT%H%M%SZ}.json.gz"
        return f"{top}{account}/CloudTrail-Digest/{region}/{at:%Y/%m/%d}/{name}"

    return Stream(key, delays=(26 * MINUTE, 31 * MINUTE))


def _top(prefix: str) -> str:
    return f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"


def _trail(chance: random.Random) -> Family:
    prefix = chance.choice(["", "", "of/ours", "2026/01/02"])
    top = _top(prefix)
    kinds = chance.choice([(EVERY,), ("CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight")])
    accounts = chance.choice([(EVERY,), ACCOUNTS])
    streams = [_log(top, account, "CloudTrail", region) for account in ACCOUNTS for region in REGIONS]
    streams += [_digest(top, ACCOUNTS[0], REGIONS[0]), _digest(top, ACCOUNTS[1], REGIONS[1])]
    streams += [_log(top, ACCOUNTS[1], "CloudTrail-Insight", REGIONS[0])]
    edits = [
        _scope(prefix, accounts=ACCOUNTS[:1], kinds=kinds),
        _scope(prefix, accounts=accounts, kinds=("CloudTrail",)),
        _scope(prefix, accounts=accounts, kinds=kinds, regions=REGIONS[:1]),
        _flat(top),
        _scope("another", accounts=accounts, kinds=kinds),
    ]
    return Family("trail", _scope(prefix, accounts=accounts, kinds=kinds), edits, streams)


def _organization(chance: random.Random) -> Family:
    top = _top("")
    streams = [_log(f"{top}{ORGANIZATION}/", account, "CloudTrail", REGIONS[0]) for account in ACCOUNTS]
    streams += [
        _digest(f"{top}{ORGANIZATION}/", ACCOUNTS[1], REGIONS[1]),
        _log(top, *("333333333333", "CloudTrail"), REGIONS[1]),
    ]
    is_named = chance.random() < 0.5
    setting = _scope(organizations=[ORGANIZATION]) if is_named else _scope()
    edits = [
        _scope(organizations=[ORGANIZATION], accounts=ACCOUNTS[:1]),
        _scope(accounts=["333333333333"]),
        _scope(organizations=[ORGANIZATION], kinds=("CloudTrail",)),
        _scope(),
    ]
    return Family("organization", setting, edits, streams)


def _waf(chance: random.Random) -> Family:
    top = _top("")

    def waf(region: str, acl: str) -> Stream:
        def key(at: datetime, end: str) -> str:
            name = f"{ACCOUNTS[0]}_waflogs_{region}_{acl}_{at:%Y%m%dT%H%MZ}_{end[:8]}.log.gz"
            return f"{top}{ACCOUNTS[0]}/WAFLogs/{region}/{acl}/{at:%Y/%m/%d/%H/%M}/{name}"

        return Stream(key)

    def deep(at: datetime, end: str) -> str:
        return f"{top}{ACCOUNTS[0]}/Brokers/{REGIONS[0]}/a/b/c/d/e/f/{at:%Y/%m/%d}/{end}.log"

    streams = [waf(region, acl) for region in REGIONS for acl in ("acl-one", "Zacl")]
    streams += [Stream(deep, 1.0), _log(top, ACCOUNTS[0], "CloudTrail", REGIONS[0])]
    edits = [_scope(kinds=("CloudTrail",)), _scope(regions=REGIONS[1:]), _flat(top)]
    return Family("waf", _scope(accounts=chance.choice([(EVERY,), ACCOUNTS])), edits, streams)


def _config(chance: random.Random) -> Family:
    top = _top("")

    def config(account: str, part: str) -> Stream:
        def key(at: datetime, end: str) -> str:
            name = f"{account}_Config_{REGIONS[0]}_{part}_{at:%Y%m%dT%H%M%SZ}_{end[:6]}.json.gz"
            return f"{top}{account}/Config/{REGIONS[0]}/{at.year}/{at.month}/{at.day}/{part}/{name}"

        return Stream(key)

    streams = [config(account, part) for account in ACCOUNTS for part in ("ConfigHistory", "ConfigSnapshot")]
    streams += [_log(top, ACCOUNTS[0], "CloudTrail", REGIONS[0])]
    kinds = chance.choice([(EVERY,), ("CloudTrail", "Config")])
    return Family(
        "config", _scope(kinds=kinds), [_scope(kinds=("CloudTrail",)), _scope(accounts=ACCOUNTS[:1])], streams
    )


def _kind_date(_: random.Random) -> Family:
    top = _top("")

    def below(account: str) -> Stream:
        return Stream(lambda at, end: f"{top}{account}/billing/{at:%Y/%m/%d}/{end}.csv")

    streams = [*(below(account) for account in ACCOUNTS), _log(top, ACCOUNTS[0], "CloudTrail", REGIONS[1])]
    return Family("kind-date", _scope(), [_scope(accounts=ACCOUNTS[:1]), _scope(kinds=("billing",))], streams)


def _hive(_: random.Random) -> Family:
    top = _top("")

    def flows(account: str) -> Stream:
        def key(at: datetime, end: str) -> str:
            folder = f"{top}{account}/vpcflowlogs/{REGIONS[0]}/year={at:%Y}/month={at:%m}/day={at:%d}/hour={at:%H}/"
            return f"{folder}{account}_vpcflowlogs_{REGIONS[0]}_fl-1_{at:%Y%m%dT%H%MZ}_{end[:8]}.log.gz"

        return Stream(key)

    streams = [*(flows(account) for account in ACCOUNTS), _log(top, ACCOUNTS[1], "CloudTrail", REGIONS[0])]
    return Family("hive", _scope(), [_scope(kinds=("CloudTrail",)), _scope(regions=REGIONS[1:])], streams)


def _foreign(chance: random.Random) -> Family:
    top = _top("")
    region = REGIONS[0]

    def odd(at: datetime, end: str) -> str:
        name = ("no-stamp", "zz", "~~", "\u00e9", "0_20261399T9999Z_", "00")[ord(end[0]) % 6]
        return f"{top}{ACCOUNTS[0]}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}{end[:4]}"

    def unlike(at: datetime, end: str) -> str:
        name = f"{ACCOUNTS[1]}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{end}.json.gz"
        return f"{top}{ACCOUNTS[0]}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}"

    streams = [
        _log(top, ACCOUNTS[0], "CloudTrail", region),
        _log(top, ACCOUNTS[0], "CloudTrail", REGIONS[1]),
        Stream(odd),
        Stream(unlike, 1.0),
        Stream(lambda at, end: f"{top}of-another-tool/{at:%Y-%m-%d}/{end}", 1.0),
        Stream(lambda _, end: f"{top}{ACCOUNTS[0]}/CloudTrail/loose-{end}", 0.2),
        Stream(lambda _, end: f"{top}{ACCOUNTS[0]}/CloudTrail/{region}/loose-{end}", 0.2),
    ]
    narrow = _scope(accounts=ACCOUNTS[:1], kinds=("CloudTrail",))
    return Family("foreign", chance.choice([_scope(), _scope(kinds=("CloudTrail",))]), [narrow], streams)


_FORMATS = ("%Y/%m/%d/", "%Y-%m-%d/", "%Y/%m/%d/%H/", "year=%Y/month=%m/day=%d/", "%Y%m%d")


def _dated(chance: random.Random) -> Family:
    prefix = chance.choice(["logs/", "restored/2019/05/17/", "tenant/0042/07/"])
    date_format, other = chance.sample(_FORMATS, 2)
    # A local day: the folder may be of tomorrow or of yesterday by UTC.
    away = chance.choice([0.0, 0.0, 14 * HOUR, -11 * HOUR])

    def local(at: datetime, end: str) -> str:
        there = datetime.fromtimestamp(at.timestamp() + away, UTC)
        return f"{prefix}{there:{date_format}}{end[:6]}{at:%H%M}.log"

    streams = [Stream(local, 6.0)]
    if chance.random() < 0.4:
        streams.append(Stream(lambda at, end: f"{prefix}manifests/{at:%Y%m}-{end[:6]}", 0.5))
    edits = [_pattern(prefix, other), _flat(prefix), _pattern("elsewhere/", date_format)]
    return Family("pattern", _pattern(prefix, date_format), edits, streams)


def _any(_: random.Random) -> Family:
    streams = [Stream(lambda at, end: f"logs{end[:2]}/host-{end[2:5]}/{at:%H%M}{end[5:]}", 8.0)]
    return Family("flat", _flat("logs"), [_flat("logsA"), _pattern("logs", "%Y/%m/%d/")], streams)


FAMILIES: dict[str, Callable[[random.Random], Family]] = {
    "trail": _trail,
    "organization": _organization,
    "waf": _waf,
    "config": _config,
    "kind-date": _kind_date,
    "hive": _hive,
    "foreign": _foreign,
    "pattern": _dated,
    "flat": _any,
}
