"""`syncd verify` against somebody who may write to the replica, from outside: never `proved` wrongly, and never a crash."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery
from chains import found, known_keys
from program import Ran
from stage import Stage

from syncd.cli.demo.samples import SampleObject, TrailSpec, trail
from syncd.model.keys.stamps import stamp_of
from syncd.verify.keystore import keys_text
from syncd.verify.rules.chain import Found

ACCOUNT, REGION, OTHER_REGION = "222222222222", "us-east-1", "eu-west-1"
HOURS = 6
MIME = "=?UTF-8?Q?=C3=A9?="
"""How S3 writes what is beyond ASCII."""


class Held:
    """A trail of two regions, replicated, and ways to write to its replica."""

    def __init__(self, stage: Stage, now: datetime, folder: Path) -> None:
        self.stage, self.now, self.folder = stage, now, folder
        self.bucket = stage.world.consumer("account-z").bucket
        begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
        self.spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION, OTHER_REGION], begins, logs_per_hour=2)
        self.items: dict[str, SampleObject] = {it.key: it for it in trail(self.spec, now - timedelta(minutes=10))}
        arrived = now - timedelta(minutes=5)
        stage.deliver(Delivery(item.key, item.body, arrived, item.metadata) for item in self.items.values())
        stage.job()
        assert stage.syncd("tick").code == 0
        self.keys = folder / "keys.json"
        self.keys.write_text(keys_text(known_keys(self.spec)))
        self.runs = count()

    def of(self, kind: str, region: str = REGION) -> list[str]:
        return sorted(key for key in self.items if f"/{kind}/{region}/" in key)

    def put(self, key: str, body: bytes, metadata: dict[str, str] | None = None) -> None:
        self.stage.server.put(self.bucket, key, body, metadata=metadata)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.stage.server.delete(self.bucket, key)

    def restore(self) -> None:
        self.delete(*(key for key in self.stage.server.keys(self.bucket) if key not in self.items))
        for key, item in self.items.items():
            self.put(key, item.body, dict(item.metadata))

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any], Ran]:
        report = ("--report", str(self.folder / f"report-{next(self.runs)}"))
        ran = self.stage.syncd("verify", "--no-heal", "--json", "--keys", str(self.keys), *report, *arguments)
        assert "Traceback" not in ran.stderr, ran
        (entry,) = json.loads(ran.stdout)["jobs"]
        return ran.code, entry, ran


@pytest.fixture
def held(stage: Stage, now: datetime, tmp_path: Path) -> Held:
    return Held(stage, now, tmp_path)


def test_a_region_without_its_digests_is_not_proved(held: Held) -> None:
    """Whoever takes away all digests of a region takes away what could contradict its logs."""
    assert held.verify()[1]["verdict"] == "proved"
    held.delete(*held.of("CloudTrail-Digest", OTHER_REGION))

    code, entry, _ = held.verify()

    (place,) = [place for place in entry["places"] if place["region"] == OTHER_REGION]
    assert (code, entry["verdict"]) == (3, "some")
    assert place["after_newest_digest"]["problems"][0]["reason"] == "digest_missing"
    assert entry["proved_until"] <= f"{held.spec.begins + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_what_is_taken_away_as_a_whole_is_missed_since_the_ledger_knows_it(held: Held) -> None:
    """Nothing that is left names the newest digests with all their logs, nor all objects of a region."""
    digests, logs = held.of("CloudTrail-Digest"), held.of("CloudTrail")
    first_gone = json.loads(gzip.decompress(held.items[digests[-2]].body))
    since = datetime.fromisoformat(first_gone["digestStartTime"]).timestamp()
    held.delete(*digests[-2:], *(key for key in logs if (stamp_of(key) or 0.0) >= since))
    cut_code, cut, _ = held.verify("--bundle", str(held.folder / "bundle.tar.gz"), "account-z")
    offline = held.stage.syncd("verify", "--offline", str(held.folder / "bundle.tar.gz"), "--json", with_config=False)
    held.restore()
    held.delete(*held.of("CloudTrail-Digest", OTHER_REGION), *held.of("CloudTrail", OTHER_REGION))
    gone_code, gone, _ = held.verify()

    for code, entry, region in ((cut_code, cut, REGION), (gone_code, gone, OTHER_REGION)):
        place = next(place for place in entry["places"] if place["region"] == region)
        (problem,) = place["after_newest_digest"]["problems"]
        assert (code, entry["verdict"], problem["reason"]) == (3, "some", "digest_missing")
        assert problem["key"] == held.of("CloudTrail-Digest", region)[-1]
    assert gone["proved_until"] is None
    assert (offline.code, offline.job["verdict"]) == (3, "some")


def test_whatever_a_planted_object_is_called_it_is_extra(held: Held) -> None:
    log = held.of("CloudTrail")[2]
    folder, stamp = log.rpartition("/")[0], log.split("_")[-2]
    names = (
        log.replace(stamp, "20991231T0000Z"),
        log.replace(stamp, "19991231T0000Z"),
        f"{folder}/planted.json.gz",
        f"{folder}/deeper/planted.json.gz",
        f"{log[:-9]}{'B' if log[-9] == 'A' else 'A'}.json.gz",
        f"{log}.vouched",
    )
    for name in names:
        # Before the newest digest, so that no other one will name it.
        at = held.now - timedelta(hours=3)
        held.stage.server.put(held.bucket, name, gzip.compress(b'{"Records":[]}'), last_modified=at)

    code, entry, _ = held.verify()

    assert (code, entry["verdict"], entry["extra"]) == (3, "some", sorted(names))


def edited(item: Found, change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(gzip.decompress(item.body))
    change(document)
    return gzip.compress(json.dumps(document).encode())


def setting(**fields: Any) -> Callable[[Found], bytes]:
    return lambda item: edited(item, lambda document: document.update(fields))


HOSTILE: dict[str, Callable[[Found], bytes]] = {
    "no text in UTF-8": setting(digestS3Object="AWSLogs/\ud800", digestS3Bucket="\udfff"),
    "no text in UTF-8 in a log": setting(logFiles=[{"s3Bucket": "\ud800"}]),
    "a fingerprint of control characters": setting(digestPublicKeyFingerprint="\x1b[2J<script>\x00"),
    "a time beyond all times": setting(digestEndTime="9999-12-31T23:59:59Z", digestStartTime="0001-01-01T00:00:00Z"),
    "a time that is no time": setting(digestStartTime="2026-11-24T08:00:00+99:99"),
    "numbers": setting(digestS3Object=5, logFiles={"a": 1}),
    "a number of many digits": lambda _: gzip.compress(b'{"digestStartTime":' + b"9" * 5000 + b"}"),
    "a predecessor of another kind": setting(previousDigestSignature=[], previousDigestHashValue={}),
    "very deep": lambda _: gzip.compress(b'{"a":' + b"[" * 500_000),
    "very wide": lambda _: gzip.compress(b'{"a":[' + b"{}," * 20_000_000 + b"{}]}"),
    "a bomb": lambda _: gzip.compress(bytes(300_000_000)),
    "a list": lambda _: gzip.compress(b"[]"),
    "NaN": setting(digestEndTime=float("nan")),
    "a mark of the byte order": lambda item: gzip.compress(b"\xef\xbb\xbf" + gzip.decompress(item.body)),
    "UTF-16": lambda item: gzip.compress(gzip.decompress(item.body).decode().encode("utf-16")),
    "two members": lambda item: gzip.compress(b"") + item.body,
    "nothing": lambda _: b"",
}


def test_no_digest_makes_it_crash_or_prove_what_is_not(held: Held) -> None:
    """Each in place of a digest of its own, all in one run, and one after the last: what is left of the chain is told."""
    digests = held.of("CloudTrail-Digest")
    stamps = sorted(key.split("_")[-1][:16] for key in digests)
    first = digests[0]
    for number, make in enumerate(HOSTILE.values()):
        # Copies of the first digest's name, a second apart.
        when = held.spec.begins + timedelta(seconds=60 + number)
        key = f"{first[: -len('20261124T080000Z.json.gz')]}{when:%Y%m%dT%H%M%SZ}.json.gz"
        held.put(key, make(found(held.items[first])), dict(held.items[first].metadata))
    held.put(digests[-1], HOSTILE["no text in UTF-8"](found(held.items[digests[-1]])), {"signature": MIME})

    code, entry, ran = held.verify()

    assert (code, entry["verdict"]) == (3, "some")
    assert set(entry["problems"]) <= {
        *("malformed", "unreadable", "trailing_data", "too_large", "digest_moved", "chain_restarted"),
        *("signature_wrong", "chain_broken", "key_not_valid_then", "no_key", "digest_missing"),
    }
    proved = [span for chain in entry["chains"] if chain["region"] == REGION for span in chain["spans"]]
    assert all(span["digests"] <= len(stamps) for span in proved if span["verdict"] == "proved")
    assert "\x1b" not in ran.stdout


def test_a_signature_in_other_words_is_no_signature(held: Held) -> None:
    """Metadata is not signed: it may be anything."""
    digests = held.of("CloudTrail-Digest")
    right = held.items[digests[2]].metadata
    wrong = ["", "zz", MIME, "00" * 256, right["signature"] + "00", " ".join(right["signature"])]
    verdicts = []
    held.put(digests[0], held.items[digests[0]].body, {**right, "signature": wrong[0]})
    verdicts.append(held.verify()[1]["problems"])
    for index, signature in enumerate(wrong[1:]):
        held.put(digests[index], held.items[digests[index]].body, {**right, "signature": signature})
    verdicts.append(held.verify()[1]["problems"])

    # Of one that is lost, the digest after it tells the signature.
    assert verdicts == [{}, {"signature_wrong": len(wrong) - 1}]


def test_digests_of_another_trail_another_day_or_another_region_prove_nothing(held: Held) -> None:
    """Replayed, renamed, in another folder, in the other region's place: none takes the place of another."""
    digests, others = held.of("CloudTrail-Digest"), held.of("CloudTrail-Digest", OTHER_REGION)
    held.delete(digests[2])
    item = held.items[digests[1]]
    held.put(digests[2], item.body, dict(item.metadata))
    replayed = held.verify()[1]
    other = held.items[others[2]]
    held.put(digests[2], other.body, dict(other.metadata))
    swapped = held.verify()[1]
    held.restore()
    renamed = digests[-1].replace("_management-events_", "_another-trail_")
    held.put(renamed, held.items[digests[-1]].body, dict(held.items[digests[-1]].metadata))
    copied = held.verify()[1]
    held.restore()
    day = digests[-1].split("/")[-4:-1]
    elsewhere = digests[-1].replace("/".join(day), "2026/01/01")
    held.put(elsewhere, b"rubbish", dict(held.items[digests[-1]].metadata))
    moved = held.verify()[1]

    assert [entry["verdict"] for entry in (replayed, swapped, copied, moved)] == ["some"] * 4
    assert "digest_moved" in replayed["problems"]
    assert "digest_moved" in swapped["problems"]
    assert copied["problems"] == {"digest_moved": 1}
    assert moved["problems"] == {"digest_moved": 1}


def test_keys_of_another_region_or_another_time_prove_nothing(held: Held) -> None:
    """A key is found by region and fingerprint, and is good for its thirty days."""
    keys = list(known_keys(held.spec).all())
    mine, other = (next(key for key in keys if key.region == region) for region in (REGION, OTHER_REGION))
    cases = {
        "no_key": [mine._replace(region=OTHER_REGION), other],
        "key_not_valid_then": [mine._replace(starts=mine.starts - 90 * 86400, ends=mine.ends - 90 * 86400), other],
    }
    for reason, wrong in cases.items():
        held.keys.write_text(keys_text(type(known_keys(held.spec))(wrong)))
        code, entry, _ = held.verify("--region", REGION)
        assert (code, entry["verdict"], list(entry["problems"])) == (4, "unproved", [reason])


def test_continuous_verification_survives_the_same_digests(held: Held) -> None:
    """The daemon's own way: it alarms, proves nothing wrongly, and the tick goes on."""
    digests = held.of("CloudTrail-Digest")
    changed = list(HOSTILE.values())[: len(digests) - 1]
    for key, make in zip(digests[1:], changed, strict=False):
        held.put(key, make(found(held.items[key])), dict(held.items[key].metadata))
    (held.stage.state / "cloudtrail-public-keys.json").write_text(held.keys.read_text())
    held.stage.job(changes={"verify": "continuous"})

    ran = held.stage.syncd("tick", "--json")

    assert (ran.code, "Traceback" in ran.stderr) == (3, False), ran
    assert ran.job["error"] is None
    assert ran.job["unproved"]
    first = json.loads(gzip.decompress(held.items[digests[0]].body))
    assert ran.job["proved_until"] is None or ran.job["proved_until"] <= first["digestEndTime"]
    assert [line for line in ran.logged if line["event"] == "proof.failed"] == []


def test_a_log_of_any_bytes_is_named_and_nothing_else(held: Held) -> None:
    logs = held.of("CloudTrail")
    right = [gzip.decompress(held.items[key].body) for key in logs]
    bodies = [
        gzip.compress(right[0])[:-4],
        gzip.compress(right[1]) + gzip.compress(b""),
        b"\x1f\x8b" + b"\x00" * 100,
        gzip.compress(bytes(50_000_000)),
        replace(held.items[logs[4]], body=right[4]).body,
        gzip.compress(right[5], mtime=5),  # packed anew is the same content
    ]
    for key, body in zip(logs, bodies, strict=False):
        held.put(key, body)

    code, entry, _ = held.verify()

    named = {problem["key"] for chain in entry["chains"] for span in chain["spans"] for problem in span["problems"]}
    assert (code, entry["verdict"], named) == (3, "some", set(logs[:5]))
    assert entry["problems"] == {"log_altered": 1, "trailing_data": 1, "unreadable": 3}
