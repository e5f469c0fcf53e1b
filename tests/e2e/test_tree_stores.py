"""Stores that list folder by folder, `a/b` before `a-b`: verify, its comparison, the repair, the prune and ticks."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from builders import Delivery
from chains import content, found, known_keys
from faulty.store import Bucket
from key_server import lists_keys
from stage import Stage

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text

ACCOUNT, REGION = "222222222222", "us-east-1"
ABOVE = f"AWSLogs/{ACCOUNT}"
HOURS = 30
FLAT = {"source.layout": "flat", "source.prefix": "elb/", "source.accounts": None, "source.kinds": None}
FLAT_KEYS = ["elb/a!", "elb/a-1", "elb/a-2/x", "elb/a.c", "elb/a/1", "elb/a/2", "elb/a/b-1", "elb/a/b/1", "elb/a0"]


def as_tree(stage: Stage, *buckets: str) -> None:
    for name in buckets:
        stage.server.storage.buckets[name].lists_folder_by_folder = True


def destination(stage: Stage) -> str:
    return stage.world.consumer("account-z").bucket


def test_such_a_store_lists_by_the_names_in_each_folder_and_begins_after_a_place(stage: Stage) -> None:
    """As SeaweedFS was seen to (`tests/contract/test_s3_servers.py`)."""
    stage.deliver(Delivery(key, b"", datetime.now().astimezone()) for key in ["a!", "a-", "a.b", "a/1", "a/2", "a0"])
    bucket: Bucket = stage.server.storage.buckets[stage.world.bucket]
    bucket.lists_folder_by_folder = True

    pages = [bucket.page(prefix="", after="", delimiter=delimiter, limit=9) for delimiter in ("", "/")]
    after = bucket.page(prefix="", after="a", delimiter="", limit=9)

    assert pages[0].keys == ["a/1", "a/2", "a!", "a-", "a.b", "a0"]
    assert (pages[1].prefixes, pages[1].keys, after.keys[0]) == (["a/"], ["a!", "a-", "a.b", "a0"], "a!")


@dataclass
class Replicated:
    """A trail's objects in a store that keeps a tree, copied by a tick that verifies."""

    stage: Stage
    keys_file: Path
    logs: list[str]
    named: int
    """Logs that digests name."""

    @property
    def bucket(self) -> str:
        return destination(self.stage)


@pytest.fixture
def replicated(stage: Stage, now: datetime, tmp_path: Path) -> Iterator[Replicated]:
    begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
    items = list(trail(spec, now - timedelta(minutes=10)))
    # Of kinds whose folders begin alike, and beside the folder of a day.
    odd = [f"{ABOVE}/CloudTrail-Insight/{REGION}/{begins:%Y/%m/%d}/insight.json.gz"]
    stage.deliver(Delivery(item.key, item.body, now - timedelta(minutes=5), item.metadata) for item in items)
    stage.deliver(Delivery(key, b"", now - timedelta(minutes=5)) for key in odd)
    as_tree(stage, stage.world.bucket, destination(stage))
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(known_keys(spec)))
    with lists_keys(known_keys(spec)) as url:
        stage.job(changes={"source.kinds": "*", "endpoints.cloudtrail": url, "verify": "continuous", "start": "31d"})
        logs = sorted(item.key for item in items if "/CloudTrail/" in item.key)
        named = [content(found(item))["logFiles"] for item in items if item.key not in logs]
        yield Replicated(stage, keys, logs, sum(map(len, named)))


def test_ticks_prove_in_passing_and_afterwards_everything_is_proved(replicated: Replicated) -> None:
    stage = replicated.stage
    tick, idle = (stage.syncd("tick", "--json") for _ in range(2))
    verified = stage.syncd("verify", "--json", "--keys", str(replicated.keys_file))
    # A day that has just begun has no digest yet.
    day = f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%d}"
    read = stage.syncd("verify", "--json", "--read-data", "--from", day)
    compared = stage.syncd("verify", "--against", "source", "--json")
    pruned = stage.syncd("prune-source", "account-z", "--older-than", "2", "--json")

    assert (tick.code, tick.job["copied"], tick.job["unproved"]) == (0, len(stage.source()), []), tick
    assert (idle.code, idle.job["copied"], stage.replica()) == (0, 0, stage.source())
    (entry,) = verified.document["jobs"]
    assert (verified.code, entry["verdict"], entry["problems"], entry["extra"]) == (0, "proved", {}, []), entry
    assert entry["logs"] == replicated.named
    assert entry["places"][0]["uncovered_kinds"] == {"CloudTrail-Insight": 1}
    assert tick.job["proved_until"] == entry["proved_until"]
    assert (read.code, read.document["jobs"][0]["verdict"]) == (0, "proved")
    (entry,) = compared.document["jobs"]
    assert (compared.code, entry["verdict"], entry["objects"]) == (0, "proved", len(stage.source()))
    assert pruned.code == 0, pruned


def test_what_is_wrong_is_named_as_in_any_other_store_and_repaired(replicated: Replicated) -> None:
    stage, altered = replicated.stage, replicated.logs[4]
    assert stage.syncd("tick").code == 0
    right = stage.server.get(replicated.bucket, altered)
    stage.server.put(replicated.bucket, altered, gzip.compress(b"{}"), metadata=right.metadata)
    stage.server.delete(replicated.bucket, replicated.logs[7])
    folder, _, name = replicated.logs[9].rpartition("/")
    planted = [f"{folder}-x/{name}", f"{folder}/{name}/{name}"]
    for key in planted:
        stage.server.put(replicated.bucket, key, right.body, last_modified=right.last_modified - timedelta(hours=20))

    looked = stage.syncd("verify", "--json", "--no-heal", "--keys", str(replicated.keys_file))
    compared = stage.syncd("verify", "--against", "source", "--json")
    repaired = stage.syncd("verify", "--json", "--repair", "--keys", str(replicated.keys_file))

    (entry,) = looked.document["jobs"]
    assert (looked.code, entry["problems"], entry["extra"]) == (
        3,
        {"log_altered": 1, "log_missing": 1},
        sorted(planted),
    )
    (entry,) = compared.document["jobs"]
    assert (entry["problems"], entry["extra"]) == ({"log_altered": 1, "log_missing": 1}, sorted(planted))
    (entry,) = repaired.document["jobs"]
    assert (entry["healed"], [item["key"] for item in entry["repaired"]]) == ([replicated.logs[7]], [altered])
    assert stage.server.get(replicated.bucket, f"{altered}.vouched").body == right.body


@pytest.mark.parametrize("which", ["source", "destination", "both"])
def test_of_other_layouts_either_side_may_list_folder_by_folder(stage: Stage, now: datetime, which: str) -> None:
    sides = {"source": [stage.world.bucket], "destination": [destination(stage)]}
    stage.deliver(Delivery(key, key.encode(), now - timedelta(hours=1)) for key in FLAT_KEYS)
    stage.job(changes=FLAT)
    tick = stage.syncd("tick", "--json")
    as_tree(stage, *(sides.get(which) or [stage.world.bucket, destination(stage)]))

    sound = stage.syncd("verify", "--against", "source", "--json")
    stage.server.delete(destination(stage), "elb/a-1")
    stage.server.put(destination(stage), "elb/a/b.planted", b"")
    wrong = stage.syncd("verify", "--against", "source", "--json", "--read-data")

    assert (tick.code, tick.job["copied"]) == (0, len(FLAT_KEYS)), tick
    (entry,) = sound.document["jobs"]
    assert (sound.code, entry["verdict"], entry["objects"], entry["extra"]) == (0, "proved", len(FLAT_KEYS), [])
    (entry,) = wrong.document["jobs"]
    assert (wrong.code, entry["problems"], entry["extra"]) == (4, {"log_missing": 1}, ["elb/a/b.planted"])


@pytest.mark.parametrize("between", ["-", "/"])
def test_a_day_whose_end_is_elsewhere_in_a_tree_is_refused_or_whole(stage: Stage, now: datetime, between: str) -> None:
    """To end a range by bytes early in a tree would leave out keys and claim them."""
    as_tree(stage, stage.world.bucket, destination(stage))
    days = [now - timedelta(days=number) for number in (51, 50, 49)]
    names = [f"app/{day:%Y{between}%m{between}%d}." for day in days]
    keys = [
        f"{name}{number:05}.gz" for name, count in zip(names, (20, 1100, 20), strict=True) for number in range(count)
    ]
    stage.deliver(Delivery(key, b"", now - timedelta(days=45)) for key in keys)
    pattern = f"{{prefix}}/%Y{between}%m{between}%d."
    stage.job(changes={**FLAT, "source.prefix": "app", "source.layout": pattern, "start": "1d"})
    the_day = ("--from", f"{days[1]:%Y-%m-%d}", "--to", f"{days[1]:%Y-%m-%d}")

    caught_up = stage.syncd("catch-up", "--json", *the_day)
    compared = stage.syncd("verify", "--against", "source", "--json", *the_day)

    copied = sum(key.startswith(names[1]) for key in stage.replica())
    assert (caught_up.code, copied) == (0, 1100) or caught_up.job["error"]["reason"] == "unexpected_answer"
    assert (compared.document["jobs"][0]["verdict"] == "proved") == (copied == 1100)
