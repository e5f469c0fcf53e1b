"""A trail whose key prefix was changed, and changed back, verified from outside: the chain goes through all of it."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery
from chains import content, found, known_keys, moved
from key_server import lists_keys
from stage import Stage

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text
from syncd.verify.rules.chain import Found

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 9
OLD = "old/trails"


@dataclass
class Moved:
    """A replica of a trail that delivered its middle third under another prefix."""

    stage: Stage
    keys: Path
    digests: list[Found]
    url: str
    arrived: datetime

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    def job(self, prefix: str) -> None:
        changes = {"source.prefix": prefix, "verify": "continuous", "endpoints.cloudtrail": self.url}
        self.stage.job(changes={**changes, "destination.prefix": "copies/"})

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        ran = self.stage.syncd("verify", "--json", "--no-heal", "--keys", str(self.keys), *arguments)
        (entry,) = ran.document["jobs"]
        return ran.code, entry


@contextmanager
def delivered(
    stage: Stage, now: datetime, folder: Path, span: tuple[int, int], rename: Callable[[str], str]
) -> Iterator[Moved]:
    """A trail some of whose digests, with their logs, were delivered under other keys."""
    begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
    items = {item.key: item for item in trail(spec, now - timedelta(minutes=40))}
    before = [found(item) for key, item in sorted(items.items()) if "/CloudTrail-Digest/" in key]
    digests = moved(before, stage.world.bucket, span[1], since=span[0], rename=rename)
    bodies = {name: item.body for key, item in items.items() for name in (key, rename(key))}
    logs = [log["s3Object"] for item in digests for log in content(item)["logFiles"]]
    arrived = now - timedelta(minutes=5)
    stage.deliver(Delivery(key, bodies[key], arrived) for key in logs)
    for item in digests:
        metadata = {"signature": item.signature, "signature-algorithm": item.algorithm}
        stage.deliver([Delivery(item.key, item.body, arrived, metadata)])
    keys = folder / "keys.json"
    keys.write_text(keys_text(known_keys(spec)))
    with lists_keys(known_keys(spec)) as url:
        yield Moved(stage, keys, digests, url, arrived)


@pytest.fixture
def it(stage: Stage, now: datetime, tmp_path: Path) -> Iterator[Moved]:
    with delivered(stage, now, tmp_path, (3, 6), lambda key: f"{OLD}/{key}") as trail_moved:
        yield trail_moved


@pytest.mark.parametrize("span", [(4, HOURS + 1), (0, 4)], ids=["became an organization's", "was one's before"])
def test_a_place_that_a_chain_came_from_is_told_of_once(
    stage: Stage, now: datetime, tmp_path: Path, span: tuple[int, int]
) -> None:
    """A trail of an account that became an organization's delivers under another prefix, and the job copies both."""

    def rename(key: str) -> str:
        return key.replace("AWSLogs/", "AWSLogs/o-abcdefghij/", 1)

    with delivered(stage, now, tmp_path, span, rename) as it:
        it.job("")
        ticked, delivered_before = stage.syncd("tick", "--json"), len(stage.source())
        code, entry = it.verify()
        newest, oldest = it.digests[-1].key, it.digests[1].key
        log = content(it.digests[0])["logFiles"][0]["s3Object"]
        for key in (newest, oldest):
            stage.server.delete(it.bucket, f"copies/{key}")
        stage.server.put(it.bucket, f"copies/{log}", b"")
        named = content(it.digests[5])["logFiles"][0]["s3Object"]
        there = named.replace("o-abcdefghij/", "") if "o-abcdefghij" in named else rename(named)
        planted = f"{there.rpartition('_')[0]}_whatNobodyNames0.json.gz"
        # Before the digest that should name it, and another digest has come after that, whatever the minute of the hour.
        in_its_hour = datetime.fromisoformat(content(it.digests[5])["digestEndTime"]) - timedelta(minutes=10)
        stage.server.put(it.bucket, f"copies/{planted}", b"", last_modified=in_its_hour)
        cut = it.verify()[1]
        mended = it.stage.syncd("verify", "--json", "--repair", "--keys", str(it.keys)).job
        gone = content(it.digests[2])["logFiles"][0]["s3Object"]
        stage.server.delete(it.bucket, f"copies/{gone}")
        stage.server.delete(stage.world.bucket, gone)
        ran = stage.syncd("verify", "--json", "--keys", str(it.keys))
        lost = ran.job, ran.logged

    assert (ticked.code, ticked.job["copied"]) == (0, delivered_before), ticked
    assert (code, entry["verdict"], entry["digests"]) == (0, "proved", len(it.digests)), entry
    assert len(entry["places"]) == 1
    assert cut["extra"] == [planted]
    assert cut["problems"] == {"digest_missing": 1, "unreadable": 1}
    assert [problem["key"] for problem in cut["places"][0]["after_newest_digest"]["problems"]] == [newest]
    assert (lost[0]["missing_at_source"], lost[0]["horizon_contradicted"]) == ([gone], [gone])
    assert [line["key"] for line in lost[1] if line["event"] == "horizon.contradicted"] == [gone]
    # The newest may come with the day of the other.
    assert {oldest} <= set(mended["healed"]) <= {oldest, newest}
    assert ([item["key"] for item in mended["repaired"]], mended["problems"]) == ([log], {"unreadable": 1})
    assert len(mended["conflicts"]) == 1


def test_a_chain_is_followed_through_a_key_prefix_that_the_job_no_longer_copies(it: Moved, tmp_path: Path) -> None:
    for prefix in (OLD, ""):
        it.job(prefix)
        assert it.stage.syncd("tick").code == 0
    # Another trail stayed under the former prefix: the digest of its last logs came when nobody copied it any more.
    here = content(it.digests[6])["logFiles"][0]["s3Object"]
    last = f"{OLD}/{here.rpartition('_')[0]}_ofAnotherTrail00.json.gz"
    it.stage.server.put(it.bucket, f"copies/{last}", b"", last_modified=it.arrived - timedelta(hours=3))
    bundle = tmp_path / "bundle.tar.gz"

    code, entry = it.verify("--bundle", str(bundle), "account-z")
    offline = it.stage.syncd("verify", "--offline", str(bundle), "--json", with_config=False)

    assert (code, entry["verdict"], entry["problems"], entry["extra"]) == (0, "proved", {}, []), entry["error"]
    (chain,) = entry["chains"]
    assert ([span["verdict"] for span in chain["spans"]], entry["digests"]) == (["proved"], len(it.digests))
    (again,) = offline.document["jobs"]
    assert (offline.code, again["chains"], again["logs"]) == (0, entry["chains"], entry["logs"])
    assert again["extra"] == []

    # A repair replaces what the job copies, whatever is altered beside it.
    there, here = [[item.key, content(item)["logFiles"][0]["s3Object"]] for item in (it.digests[3], it.digests[7])]
    kept = {key: it.stage.server.get(it.bucket, f"copies/{key}") for key in (*there, *here)}
    altered = [there[1], there[0], here[0]]
    for key in altered:
        it.stage.server.put(it.bucket, f"copies/{key}", gzip.compress(b"{}"), metadata=kept[key].metadata)
    repair = it.stage.syncd("verify", "--json", "--repair", "--keys", str(it.keys)).job
    again = it.stage.syncd("verify", "--json", "--repair", "--keys", str(it.keys)).job
    assert [item["key"] for item in repair["repaired"]] == [here[0]]
    assert {item["key"]: item["reason"] for item in repair["not_repaired"]} == {there[0]: "unsupported"}
    assert again["not_repaired"] == repair["not_repaired"]
    for key in (*there, *here):
        it.stage.server.put(it.bucket, f"copies/{key}", kept[key].body, metadata=kept[key].metadata)

    # What lies under the former prefix is held to the same rules, also if the job does not copy it.
    logs = [log["s3Object"] for log in content(it.digests[4])["logFiles"]]
    it.stage.server.delete(it.bucket, f"copies/{logs[0]}")
    it.stage.server.delete(it.bucket, f"copies/{it.digests[5].key}")
    planted = content(it.digests[3])["logFiles"][0]["s3Object"] + "0.json.gz"
    it.stage.server.put(it.bucket, f"copies/{planted}", b"", last_modified=it.arrived - timedelta(hours=3))
    code, entry = it.verify()
    assert (code, entry["problems"]) == (3, {"digest_missing": 1, "log_missing": 1})
    assert entry["extra"] == [planted]


def test_what_the_replica_lacks_of_a_former_prefix_is_said_not_to_be_checked(it: Moved) -> None:
    it.job("")
    ticked, status = it.stage.syncd("tick", "--json"), it.stage.syncd("status", "--json").job

    code, entry = it.verify()

    assert (ticked.code, ticked.job["unproved"]) == (0, [])
    # Nothing is claimed of the hours under the other prefix.
    after, newest = content(it.digests[6]), content(it.digests[-1])
    assert (status["proved_from"], status["proved_until"]) == (after["digestStartTime"], newest["digestEndTime"])
    told = [(line["reason"], line["key"]) for line in ticked.logged if line["event"] == "proof.begun_anew"]
    assert told == [("under_another_prefix", it.digests[5].key)]

    spans = entry["chains"][0]["spans"]
    assert (code, [span["verdict"] for span in spans]) == (3, ["proved", "gap", "unanchored", "proved"])
    assert entry["problems"] == {"under_another_prefix": 1}
    (problem,) = spans[2]["problems"]
    assert (problem["reason"], problem["key"]) == ("under_another_prefix", it.digests[5].key)
    assert "is not checked" in problem["detail"]
