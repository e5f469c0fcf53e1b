"""`syncd verify`, from outside: a trail that CloudTrail's digests prove, and what is said once it was tampered with."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery
from chains import found, known_keys, moved
from console import follow
from key_server import lists_keys
from stage import Stage

from syncd.cli.demo.samples import SampleObject, TrailSpec, trail
from syncd.job.report import utc
from syncd.model.keys.stamps import stamp_of
from syncd.verify.keystore import keys_text

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 6


@dataclass
class Replicated:
    """A trail's objects, copied by a tick."""

    stage: Stage
    spec: TrailSpec
    keys: Path

    def digests(self) -> list[str]:
        return sorted(key for key in self.stage.source() if "/CloudTrail-Digest/" in key)

    def logs(self) -> list[str]:
        return sorted(key for key in self.stage.source() if "/CloudTrail/" in key)

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        ran = self.stage.syncd("verify", "--json", "--no-heal", "--keys", str(self.keys), *arguments)
        (entry,) = json.loads(ran.stdout)["jobs"]
        return ran.code, entry

    def change(self, key: str, body: Callable[[bytes], bytes]) -> None:
        """Alter a replica, which keeps its metadata."""
        item = self.stage.server.objects(self.bucket)[key]
        self.stage.server.put(self.bucket, key, body(item.body), metadata=item.metadata)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.stage.server.storage.buckets[self.bucket].delete(key)


@pytest.fixture
def replicated(stage: Stage, now: datetime, tmp_path: Path) -> Replicated:
    begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
    stage.deliver(
        Delivery(item.key, item.body, now - timedelta(minutes=5), item.metadata)
        for item in trail(spec, now - timedelta(minutes=10))
    )
    stage.job()
    assert stage.syncd("tick").code == 0
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(known_keys(spec)))
    return Replicated(stage, spec, keys)


def test_an_untouched_replica_is_proved(replicated: Replicated) -> None:
    code, entry = replicated.verify()

    newest = entry["places"][0]["newest_digest"]
    assert (code, entry["verdict"], entry["proved_until"], entry["problems"]) == (0, "proved", newest, {})
    assert entry["digests"] == len(replicated.digests())
    assert [span["verdict"] for span in entry["chains"][0]["spans"]] == ["proved"]
    assert entry["places"][0]["after_newest_digest"]["problems"][0]["reason"] == "no_digest_yet"


def test_the_keys_are_asked_for_then_kept_and_exported(replicated: Replicated, tmp_path: Path) -> None:
    exported = tmp_path / "exported.json"
    with lists_keys(known_keys(replicated.spec)) as url:
        replicated.stage.job(changes={"endpoints.cloudtrail": url})
        asked = replicated.stage.syncd("verify", "--json", "--export-keys", str(exported))

    again = replicated.stage.syncd("verify", "--json")

    (entry,), (entry_again,) = (json.loads(ran.stdout)["jobs"] for ran in (asked, again))
    assert (asked.code, entry["verdict"], entry["requests"]["ListPublicKeys"]) == (0, "proved", 1)
    assert (again.code, entry_again["verdict"]) == (0, "proved")
    assert "ListPublicKeys" not in entry_again["requests"]
    assert json.loads(exported.read_text())["PublicKeyList"][0]["Region"] == REGION


def test_check_looks_up_the_keys_and_says_what_is_missing(replicated: Replicated) -> None:
    found = {}
    for status in (200, 403, 500):
        with lists_keys(known_keys(replicated.spec), status=status) as url:
            replicated.stage.job(changes={"endpoints.cloudtrail": url})
            ran = replicated.stage.syncd("check", "--json")
        (found[status],) = (check for check in ran.job["checks"] if check["check"] == "public-keys")
        assert ran.code == 0

    assert [check["status"] for check in found.values()] == ["ok", "warning", "information"]
    assert '"Action":"cloudtrail:ListPublicKeys"' in found[403]["remedy"]
    assert "to the access policy of role" in found[403]["remedy"]
    assert "--keys" in found[500]["detail"]


def test_keys_of_a_file_are_used_alone_and_not_kept(replicated: Replicated, tmp_path: Path) -> None:
    """A file of forged keys must not outlive its run, and an auditor's own must not be mixed with kept ones."""
    empty = tmp_path / "none.json"
    empty.write_text('{"PublicKeyList": []}')
    nowhere = {"AWS_ENDPOINT_URL_CLOUDTRAIL": "http://127.0.0.1:9"}

    given = replicated.verify()
    kept = replicated.stage.syncd("verify", "--json", "--no-heal", **nowhere)
    (replicated.stage.state / "cloudtrail-public-keys.json").write_text(replicated.keys.read_text())
    alone = replicated.stage.syncd("verify", "--json", "--no-heal", "--keys", str(empty), **nowhere)

    assert given[1]["verdict"] == "proved"
    assert [list(ran.job["problems"]) for ran in (kept, alone)] == [["no_key"], ["no_key"]]


def altered(body: bytes) -> bytes:
    return gzip.compress(gzip.decompress(body) + b" ")


TAMPERED: dict[str, tuple[Callable[[Replicated], Any], str]] = {
    "a log altered": (lambda it: it.change(it.logs()[3], altered), "log_altered"),
    "data after a log": (lambda it: it.change(it.logs()[3], lambda body: body + gzip.compress(b"x")), "trailing_data"),
    "a log that is no gzip": (lambda it: it.change(it.logs()[3], lambda _: b"rubbish"), "unreadable"),
    "a log deleted": (lambda it: it.delete(it.logs()[3]), "log_missing"),
    "a digest altered": (lambda it: it.change(it.digests()[2], altered), "signature_wrong"),
    "a digest deleted": (lambda it: it.delete(it.digests()[2]), "digest_missing"),
    "two digests deleted": (lambda it: it.delete(*it.digests()[2:4]), "digest_missing"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_done_to_the_replica_is_named(replicated: Replicated, case: str) -> None:
    tamper, reason = TAMPERED[case]
    tamper(replicated)

    code, entry = replicated.verify()

    assert (code, entry["verdict"], list(entry["problems"])) == (3, "some", [reason])


def test_a_log_that_is_lost_is_fetched_again(replicated: Replicated) -> None:
    lost = replicated.logs()[3]
    replicated.delete(lost)

    ran = replicated.stage.syncd("verify", "--json", "--keys", str(replicated.keys))

    (entry,) = json.loads(ran.stdout)["jobs"]
    assert (ran.code, entry["verdict"], entry["healed"]) == (0, "proved", [lost])
    assert lost in replicated.stage.replica()


def test_a_log_that_no_digest_names_is_reported_unless_the_next_one_may_name_it(replicated: Replicated) -> None:
    """CloudTrail names a late log in the digest of the hour in which it was delivered, whatever its stamp is."""
    first = replicated.logs()[0]
    planted, late = (first[:-12] + name + first[-8:] for name in ("planted", "late"))
    server, body = replicated.stage.server, gzip.compress(b'{"Records":[]}')
    server.put(replicated.bucket, late, body)

    code, entry = replicated.verify()

    assert (code, entry["verdict"], entry["extra"], entry["in_flight"]) == (0, "proved", [], [late])

    server.put(replicated.bucket, planted, body, last_modified=replicated.spec.begins + timedelta(hours=2))
    code, entry = replicated.verify()

    assert (code, entry["verdict"], entry["extra"], entry["in_flight"]) == (3, "some", [planted], [late])


def test_without_a_key_nothing_is_proved_and_the_reason_is_told(replicated: Replicated) -> None:
    ran = replicated.stage.syncd("verify", "--json", AWS_ENDPOINT_URL_CLOUDTRAIL="http://127.0.0.1:9")

    (entry,) = json.loads(ran.stdout)["jobs"]
    assert (ran.code, entry["verdict"], list(entry["problems"])) == (4, "unproved", ["no_key"])
    assert "ListPublicKeys" in entry["keys_error"]


def test_a_report_is_the_same_each_time_and_its_sums_hold(replicated: Replicated, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    replicated.delete(replicated.logs()[3])
    for folder in folders:
        replicated.verify("--report", str(folder))

    one, other = (json.loads(next(folder.glob("*.json")).read_text()) for folder in folders)
    check = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folders[0], capture_output=True, check=False)
    assert check.returncode == 0
    assert (one["verdict"], len(one["digest_files"])) == ("some", len(replicated.digests()))
    until_now = {"to": "", "places": ""}
    assert one | until_now == other | until_now
    assert replicated.logs()[3] in next(folders[0].glob("*.html")).read_text()


def test_a_second_report_names_the_first(replicated: Replicated, tmp_path: Path) -> None:
    replicated.verify("--report", str(tmp_path), "--from", "2026-01-01")
    (first,) = tmp_path.glob("syncd-verify-*.json")
    before = hashlib.sha256(first.read_bytes()).hexdigest()

    replicated.verify("--report", str(tmp_path))

    (second,) = (path for path in tmp_path.glob("syncd-verify-*.json") if path != first)
    assert json.loads(second.read_text())["previous_report"]["sha256"] == before


def test_a_trail_that_was_moved_is_followed_over_its_former_bucket(replicated: Replicated) -> None:
    """The replica holds what was delivered to both. Nothing vouches for the former one until the job names it."""
    server = replicated.stage.server
    stored = [(key, server.objects(replicated.bucket)[key]) for key in replicated.digests()]
    before = [found(SampleObject(key, item.body, metadata=item.metadata)) for key, item in stored]
    for item in moved(before, "former-trail", 3):
        metadata = {"signature": item.signature, "signature-algorithm": item.algorithm}
        server.put(replicated.bucket, item.key, item.body, metadata=metadata)

    code, entry = replicated.verify()

    spans = entry["chains"][0]["spans"]
    assert (code, entry["verdict"], entry["problems"]) == (3, "some", {"in_another_bucket": 4})
    assert [span["verdict"] for span in spans] == ["unproved"] * 3 + ["unanchored", "proved"]
    assert "source.trail_buckets" in spans[3]["problems"][0]["detail"]

    replicated.stage.job(changes={"source.trail_buckets": ["former-trail"]})
    code, entry = replicated.verify()

    assert (code, entry["verdict"], entry["problems"]) == (0, "proved", {})
    assert [span["verdict"] for span in entry["chains"][0]["spans"]] == ["proved"]


@pytest.mark.parametrize("case", ["nothing", *TAMPERED])
def test_a_bundle_repeats_the_verdict_without_the_replica(replicated: Replicated, tmp_path: Path, case: str) -> None:
    if case in TAMPERED:
        TAMPERED[case][0](replicated)
    bundle = tmp_path / "bundle.tar.gz"
    code, entry = replicated.verify("--bundle", str(bundle), "account-z")

    ran = replicated.stage.syncd("verify", "--offline", str(bundle), "--json", with_config=False)

    (again,) = json.loads(ran.stdout)["jobs"]
    of_the_run = {"requests", "duration_seconds", "conflicts", "horizon_contradicted", "horizon_contradicted_count"}
    assert ran.code == code
    assert {key: again[key] for key in again.keys() - of_the_run} == {
        key: entry[key] for key in entry.keys() - of_the_run
    }


def test_a_proof_that_failed_leaves_no_bundle_and_says_so(replicated: Replicated, tmp_path: Path) -> None:
    """Offline, what was read by then could look like all there is."""
    replicated.delete(*replicated.digests())
    bundle = tmp_path / "bundle.tar.gz"

    code, entry = replicated.verify("--bundle", str(bundle), "account-z")

    assert (code, entry["error"]["reason"], bundle.exists()) == (4, "source_empty", False)
    assert entry["error"]["detail"].endswith("no bundle is written")


def events(ran: Any, name: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, ran.stderr.splitlines()) if line["event"] == name]


def test_a_log_that_neither_side_has_contradicts_the_horizon_until_somebody_decides(replicated: Replicated) -> None:
    """One replica can be fetched again. The other is gone at the source too."""
    stage, (healed, gone) = replicated.stage, (replicated.logs()[3], replicated.logs()[5])
    replicated.delete(healed, gone)
    stage.server.storage.buckets[stage.world.bucket].delete(gone)

    ran = stage.syncd("verify", "--json", "--keys", str(replicated.keys))
    (status,) = json.loads(stage.syncd("status", "--json").stdout)["jobs"]

    (entry,) = json.loads(ran.stdout)["jobs"]
    assert (ran.code, entry["verdict"], entry["problems"]) == (3, "some", {"missing_at_source": 1})
    assert (entry["healed"], entry["missing_at_source"]) == ([healed], [gone])
    assert entry["horizon_contradicted"] == [healed, gone]
    told = {line["key"]: line["found"] for line in events(ran, "horizon.contradicted")}
    assert told == {healed: "healed", gone: "missing_at_source"}
    assert [(held["key"], held["reason"]) for held in status["quarantine"]["objects"]] == [(gone, "missing_at_source")]

    # A tick neither finds it nor passes it.
    assert stage.syncd("tick").code == 0
    (after,) = json.loads(stage.syncd("status", "--json").stdout)["jobs"]
    assert after["complete_until"] == status["complete_until"] < utc(stamp_of(gone) or 0.0)

    assert stage.syncd("ledger", "quarantine", "accept", gone).code == 0
    assert stage.syncd("tick").code == 0
    again = stage.syncd("verify", "--json", "--keys", str(replicated.keys))
    (entry,) = json.loads(again.stdout)["jobs"]
    (accepted,) = json.loads(stage.syncd("status", "--json").stdout)["jobs"]
    assert (again.code, entry["problems"], entry["horizon_contradicted"]) == (3, {"log_missing": 1}, [])
    assert accepted["complete_until"] > after["complete_until"]


def test_of_an_altered_replica_both_hashes_are_shown_and_which_the_digest_vouches_for(replicated: Replicated) -> None:
    stage, key = replicated.stage, replicated.logs()[3]
    right = hashlib.sha256(gzip.decompress(stage.server.objects(replicated.bucket)[key].body)).hexdigest()
    replicated.change(key, altered)

    ran = stage.syncd("verify", "--json", "--keys", str(replicated.keys))
    accepted = stage.syncd("ledger", "quarantine", "accept", key)

    (entry,) = json.loads(ran.stdout)["jobs"]
    (conflict,) = entry["conflicts"]
    assert (conflict["key"], conflict["vouched"]) == (key, "source")
    assert (conflict["digest_sha256"], conflict["source_sha256"]) == (right, right)
    assert conflict["replica_sha256"] != right
    assert "the digest vouches for the source's" in accepted.stdout


AUDIT = Path(__file__).parents[2] / "docs" / "tutorials" / "audit.md"


def test_an_auditor_repeats_the_proof_without_us(replicated: Replicated, tmp_path: Path) -> None:
    stage, work = replicated.stage, tmp_path / "work"
    (work / "evidence").mkdir(parents=True)
    (script,) = re.findall(r"```python\n(.*?)```", AUDIT.read_text(), re.DOTALL)
    (work / "repeat.py").write_text(script)
    bundle = str(work / "evidence" / "bundle.tar.gz")
    assert replicated.verify("--report", str(work / "evidence"), "--bundle", bundle, "account-z")[0] == 0
    consumer = stage.world.consumer("account-z")
    environment = stage.environment(
        REPLICA=consumer.bucket,
        AWS_SHARED_CREDENTIALS_FILE=str(stage.credentials),
        AWS_PROFILE=consumer.name,
        AWS_REGION=REGION,
        AWS_ENDPOINT_URL_S3=stage.server.url,
    )
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    results = follow(AUDIT, folder=work, environment=environment)

    assert [result.complaint for result in results if result.complaint] == []
    altered_log = work / "replica" / replicated.logs()[3]
    altered_log.write_bytes(altered(altered_log.read_bytes()))
    again = subprocess.run(
        [sys.executable, "repeat.py", "bundle", "replica"], cwd=work, capture_output=True, text=True, check=False
    )
    assert (again.returncode, f"altered: {replicated.logs()[3]}" in again.stdout) == (1, True)
