"""`syncd prune-source`, from outside: only what is proved goes, and ticks and proofs go on as before."""

import gzip
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from chains import known_keys
from faulty.faults import Status, on
from program import Ran
from stage import Stage

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text

ACCOUNT, REGION = ACCOUNTS[0], REGIONS[0]
FLAT = {"source.layout": "flat", "source.prefix": "elb/", "source.accounts": None, "source.kinds": None}
DATED = {**FLAT, "source.layout": "{prefix}/%Y/%m/%d/", "source.prefix": "config"}
DAYS = 6
OLDER_THAN = 3
DIGEST = "/CloudTrail-Digest/"


@dataclass
class Replicated:
    stage: Stage
    now: datetime
    keys_file: Path | None = None

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    @property
    def trail(self) -> str:
        return self.stage.world.bucket

    def prune(self, *arguments: str, days: int = OLDER_THAN) -> Ran:
        keys = ("--keys", str(self.keys_file)) if self.keys_file is not None else ()
        return self.stage.syncd("prune-source", "account-z", "--older-than", str(days), "--json", *keys, *arguments)

    def old(self, kind: str = "/") -> list[str]:
        """The keys of the source that are old enough, of days that are over."""
        first_kept = f"{self.now - timedelta(days=OLDER_THAN):%Y/%m/%d}"
        return [key for key in sorted(self.stage.source()) if kind in key and day_of(key) < first_kept]

    def named_by(self, digest: str) -> list[str]:
        document = json.loads(gzip.decompress(self.stage.server.get(self.trail, digest).body))
        return [log["s3Object"] for log in document["logFiles"]]

    def alter_replica(self, key: str) -> None:
        item = self.stage.server.get(self.bucket, key)
        body = gzip.compress(gzip.decompress(item.body) + b" ") if key.endswith(".gz") else item.body[::-1]
        self.stage.server.put(self.bucket, key, body, metadata=item.metadata, last_modified=item.last_modified)


def day_of(key: str) -> str:
    return "/".join(key.split("/")[-4:-1])


@pytest.fixture
def digested(stage: Stage, now: datetime, tmp_path: Path) -> Replicated:
    """A trail of six days with digests, replicated."""
    return with_digests(stage, now, tmp_path)


def with_digests(stage: Stage, now: datetime, tmp_path: Path, **more: int) -> Replicated:
    begins = (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, **more)
    stage.deliver(
        Delivery(item.key, item.body, now - timedelta(hours=1), item.metadata)
        for item in trail(spec, now - timedelta(minutes=40))
    )
    stage.job()
    assert stage.syncd("tick").code == 0
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(known_keys(spec)))
    return Replicated(stage, now, keys)


@pytest.fixture
def dated(stage: Stage, now: datetime) -> Replicated:
    """Dated folders of six days, without digests."""
    for back in range(DAYS, 0, -1):
        day = now - timedelta(days=back)
        stage.deliver(Delivery(f"config/{day:%Y/%m/%d}/{name}", f"{back}{name}".encode(), day) for name in "abc")
    stage.job(changes=DATED)
    assert stage.syncd("tick").code == 0
    return Replicated(stage, now)


@pytest.mark.parametrize("layout", ["digested", "dated"])
def test_a_dry_run_deletes_nothing(layout: str, request: pytest.FixtureRequest) -> None:
    it: Replicated = request.getfixturevalue(layout)
    before = it.stage.source()

    ran = it.prune()

    assert (ran.code, ran.document["deletes"], ran.document["deleted"]) == (0, False, 0)
    assert ran.document["objects"] == len(it.old())
    assert it.stage.source() == before
    assert it.stage.requests("DeleteObject") == 0


@pytest.mark.parametrize("layout", ["digested", "dated"])
def test_what_is_old_and_proved_goes_and_each_deletion_is_logged(layout: str, request: pytest.FixtureRequest) -> None:
    it: Replicated = request.getfixturevalue(layout)
    old, before, replica = it.old(), it.stage.source(), it.stage.replica()

    ran = it.prune("--delete")

    assert (ran.code, ran.document["deleted"], ran.document["kept"]) == (0, len(old), [])
    assert sorted(it.stage.source()) == sorted(before.keys() - set(old))
    assert it.stage.replica() == replica
    assert sorted(line["key"] for line in ran.logged if line["event"] == "source.pruned") == old
    sent = [item for item in it.stage.server.requests if item.operation == "DeleteObject"][1:]
    assert all("if-match" in item.headers for item in sent)


@pytest.mark.parametrize("layout", ["digested", "dated"])
def test_ticks_stay_healthy_after_a_prune_and_copy_what_is_new(layout: str, request: pytest.FixtureRequest) -> None:
    it: Replicated = request.getfixturevalue(layout)
    it.prune("--delete")
    before = it.stage.syncd("status", "--json").document["jobs"][0]
    new = Trail().log(ACCOUNT, REGION, it.now - timedelta(minutes=30))
    key = new.key if layout == "digested" else f"config/{it.now:%Y/%m/%d}/new"
    it.stage.deliver([replace(new, key=key)])

    ticks = [it.stage.syncd("tick", "--json") for _ in range(2)]
    status = it.stage.syncd("status", "--json").document["jobs"][0]

    assert [(tick.code, tick.job["outcome"], tick.job["copied"]) for tick in ticks] == [(0, "ok", 1), (0, "ok", 0)]
    assert (status["healthy"], status["quarantine"]["count"]) == (True, 0)
    assert status["complete_from"] == before["complete_from"]
    assert not [line for tick in ticks for line in tick.logged if line["event"] in ("replica.lost", "replica.restored")]


def test_the_audit_of_the_destination_finds_nothing_wrong_after_a_prune(dated: Replicated) -> None:
    dated.prune("--delete")
    dated.stage.job(changes={**DATED, "listing.audit": "1s", "listing.deep_every": "1m"})

    ran = dated.stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], ran.job["restored"], ran.job["failed_count"]) == (0, 0, 0, 0)


def test_sealed_days_may_go_too(stage: Stage, now: datetime) -> None:
    for back in (60, 59, 1):
        day = now - timedelta(days=back)
        stage.deliver(Delivery(f"config/{day:%Y/%m/%d}/{name}", b"log", day) for name in "abc")
    stage.job(changes={**DATED, "start": "beginning", "listing.audit_sealed": "1s"})
    assert stage.syncd("tick").code == 0
    assert '"day": "' in stage.syncd("ledger", "export").stdout

    ran = Replicated(stage, now).prune("--delete")
    ticks = [stage.syncd("tick", "--json") for _ in range(2)]

    assert (ran.code, ran.document["deleted"]) == (0, 6)
    assert [(tick.code, tick.job["outcome"], tick.job["copied"]) for tick in ticks] == [(0, "ok", 0)] * 2
    compared = stage.syncd("verify", "--json", "--against", "source").document["jobs"][0]
    assert (compared["verdict"], compared["gone_at_source"], compared["extra"]) == ("proved", 6, [])


def test_the_replica_is_proved_as_before(digested: Replicated) -> None:
    digested.prune("--delete")

    ran = digested.stage.syncd("verify", "--json", "--no-heal", "--keys", str(digested.keys_file))
    beside = digested.stage.syncd("verify", "--json", "--against", "source")

    (entry,), (compared,) = ran.document["jobs"], beside.document["jobs"]
    assert (ran.code, entry["verdict"], [span["verdict"] for span in entry["chains"][0]["spans"]]) == (
        0,
        "proved",
        ["proved"],
    )
    assert (beside.code, compared["verdict"], compared["extra"]) == (0, "proved", [])
    assert compared["gone_at_source"] > 0


def test_a_second_prune_finds_nothing_to_do(digested: Replicated) -> None:
    digested.prune("--delete")

    ran = digested.prune("--delete")

    assert (ran.code, ran.document["objects"], ran.document["kept"]) == (0, 0, [])


@pytest.mark.parametrize("what", ["altered", "missing", "planted at the source", "digest altered", "digest missing"])
def test_of_a_day_in_which_anything_is_not_proved_nothing_goes(digested: Replicated, what: str) -> None:
    logs, digests = digested.old("/CloudTrail/"), digested.old(DIGEST)
    key = digests[30] if "digest" in what else logs[30]
    if what in ("altered", "digest altered"):
        digested.alter_replica(key)
    elif what == "planted at the source":
        key = f"{key[:-24]}planted{key[-17:]}"
        digested.stage.deliver([Delivery(key, gzip.compress(b"{}"), digested.now - timedelta(hours=1))])
        assert digested.stage.syncd("tick").code == 0
    else:
        digested.stage.server.delete(digested.bucket, key)
    day = day_of(key)

    ran = digested.prune("--delete")

    left = [item for item in digested.stage.source() if day_of(item) == day]
    assert ran.code == 3
    assert day.replace("/", "-") in [kept["day"] for kept in ran.document["kept"]]
    assert {item for item in logs if day_of(item) == day} <= set(left)
    assert ran.document["deleted"] > 0


def test_logs_go_before_digests(digested: Replicated) -> None:
    ran = digested.prune("--delete")

    deleted = [line["key"] for line in ran.logged if line["event"] == "source.pruned"]
    assert [DIGEST in key for key in deleted] == sorted(DIGEST in key for key in deleted)


def test_a_digest_stays_as_long_as_a_log_that_it_names(stage: Stage, now: datetime, tmp_path: Path) -> None:
    # The digests of this seed end three minutes past the hour: the one after midnight names logs of the day before.
    digested = with_digests(stage, now, tmp_path, logs_per_hour=6, seed=44)
    digests = digested.old(DIGEST)
    named = {key: digested.named_by(key) for key in digests}
    waiting = [key for key in digests if any(day_of(log) < day_of(key) for log in named[key])]
    kept_day = max(day_of(log) for log in named[waiting[1]] if day_of(log) < day_of(waiting[1]))
    planted = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{kept_day}/planted.json.gz"
    digested.stage.deliver([Delivery(planted, gzip.compress(b"{}"), digested.now - timedelta(hours=1))])

    ran = digested.prune("--delete")

    assert (ran.code, ran.document["digests_waiting"]) == (3, 1)
    day = day_of(waiting[1])
    assert [key for key in digested.stage.source() if day_of(key) == day] == [waiting[1]]


def test_without_a_public_key_nothing_is_proved_and_nothing_goes(digested: Replicated) -> None:
    digested.keys_file.write_text('{"PublicKeyList": []}')  # type: ignore[union-attr]
    before = digested.stage.source()

    ran = digested.prune("--delete")

    assert (ran.code, ran.document["deleted"], digested.stage.source()) == (3, 0, before)
    assert {kept["reason"] for kept in ran.document["kept"]} == {"no_key"}


def test_a_trail_without_digests_is_refused(stage: Stage, now: datetime) -> None:
    stage.deliver([Trail().log(ACCOUNT, REGION, now - timedelta(days=5)), Trail().log(ACCOUNT, REGION, now)])
    stage.job()
    stage.syncd("tick")
    before = stage.source()

    ran = Replicated(stage, now).prune("--delete")

    assert (ran.code, ran.document["error"]["reason"], stage.source()) == (1, "source_empty", before)
    assert "validation" in ran.document["error"]["remedy"]


def test_what_is_beyond_the_horizon_stays(stage: Stage, now: datetime) -> None:
    days = [now - timedelta(days=back) for back in (6, 5, 4)]
    keys = [f"config/{day:%Y/%m/%d}/a" for day in days]
    stage.deliver(Delivery(key, b"log", day) for key, day in zip(keys, days, strict=True))
    stage.server.faults.add(on("GetObject", key=keys[1]), Status(403, "AccessDenied"))
    stage.job(changes=DATED)
    stage.syncd("tick")

    ran = Replicated(stage, now).prune("--delete")

    assert (ran.code, sorted(stage.source())) == (3, keys[1:])
    assert ran.document["until"] == f"{days[1]:%Y-%m-%d}T00:00:00Z"


def test_a_late_object_that_no_tick_has_seen_keeps_its_day(dated: Replicated) -> None:
    key = f"config/{dated.now - timedelta(days=5):%Y/%m/%d}/late"
    dated.stage.deliver([Delivery(key, b"late", dated.now)])

    ran = dated.prune("--delete")

    (kept,) = ran.document["kept"]
    assert (ran.code, kept["reason"], kept["key"]) == (3, "log_missing", key)
    assert [day_of(item) for item in dated.stage.source()].count(day_of(key)) == 4


def test_nothing_goes_that_another_job_of_the_configuration_has_yet_to_copy(dated: Replicated) -> None:
    dated.stage.job("account-c", DATED)
    before = dated.stage.source()

    early = dated.prune("--delete")
    dated.stage.syncd("tick", "account-c")
    late = dated.prune("--delete")

    assert (early.code, early.document["deleted"], before) == (3, 0, before)
    assert {kept["reason"] for kept in early.document["kept"]} == {"beyond_horizon"}
    assert (late.code, late.document["deleted"]) == (0, len(before) - len(dated.stage.source()))


def test_a_flat_layout_goes_by_the_days_of_last_modified(stage: Stage, now: datetime) -> None:
    stage.deliver(Delivery(f"elb/{back}", b"log", now - timedelta(days=back)) for back in range(1, 7))
    stage.job(changes=FLAT)
    assert stage.syncd("tick").code == 0

    ran = Replicated(stage, now).prune("--delete")

    assert (ran.code, sorted(stage.source())) == (0, ["elb/1", "elb/2", "elb/3"])
    assert [tick.job["outcome"] for tick in [stage.syncd("tick", "--json")]] == ["ok"]


def test_without_digests_what_no_checksum_tells_is_read_on_both_sides(stage: Stage, now: datetime) -> None:
    keys = [f"config/{now - timedelta(days=5):%Y/%m/%d}/{name}" for name in "ab"]
    for key in keys:
        stage.server.put(stage.world.bucket, key, key.encode(), etag="0" * 32, last_modified=now - timedelta(days=5))
    stage.job(changes=DATED)
    assert stage.syncd("tick").code == 0
    stage.server.put(stage.world.consumer("account-z").bucket, keys[1], keys[1].encode())
    stage.server.forget_requests()

    ran = Replicated(stage, now).prune("--delete")

    assert (ran.code, ran.document["deleted"], stage.source()) == (0, 2, {})
    assert stage.requests("GetObject") == 4


def test_a_role_that_may_not_delete_is_told_what_to_add(dated: Replicated) -> None:
    dated.stage.server.faults.add("DeleteObject", Status(403, "AccessDenied"))
    before = dated.stage.source()

    ran = dated.prune("--delete")

    error = ran.document["error"]
    assert (ran.code, error["reason"], dated.stage.source()) == (1, "access_denied", before)
    assert "syncd policies account-z --prune" in error["remedy"]
    assert dated.stage.requests("DeleteObject") == 1


@pytest.mark.parametrize("is_refused", [False, True], ids=["", "refused"])
def test_without_a_role_the_narrowed_consumer_may_delete_in_a_session_of_its_own(
    dated: Replicated, *, is_refused: bool
) -> None:
    """A tick's session may not: the server holds both to what they were narrowed to."""
    stage = dated.stage
    stage.server.storage.buckets[dated.trail].shared_with = frozenset({stage.world.consumer("account-z").account_id})
    session = stage.server.identities.start(stage.world.consumer("account-z").account_id, "pod")
    stage.credentials.write_text(
        f"[account-z]\naws_access_key_id = {session.access_key_id}\n"
        f"aws_secret_access_key = {session.secret_access_key}\naws_session_token = {session.session_token}\n"
    )
    stage.server.identities.scopes = True
    stage.job(changes={**DATED, "source.role": None, "consumer.narrow": True})
    assert stage.syncd("tick", "--json").job["outcome"] == "ok"
    if is_refused:
        stage.server.faults.add("DeleteObject", Status(403, "AccessDenied"))
    old, before = dated.old(), stage.source()

    ran = dated.prune("--delete")

    if is_refused:
        error = ran.document["error"]
        assert (ran.code, error["reason"], stage.source()) == (1, "access_denied", before)
        assert "syncd policies account-z --prune" in error["remedy"]
    else:
        assert (ran.code, ran.document["deleted"]) == (0, len(old))
    scoped = {request.access_key_id for request in stage.server.requests if request.operation == "DeleteObject"}
    policies = [request.form["Policy"] for request in stage.server.requests if "Policy" in request.form]
    assert session.access_key_id not in scoped
    assert [("s3:DeleteObject" in policy) for policy in policies] == [False] * (len(policies) - 1) + [True]


def test_an_object_that_was_replaced_since_it_was_proved_stays(dated: Replicated) -> None:
    old = dated.old()

    def replaced(request: Any) -> bool:
        if request.operation == "DeleteObject" and request.key not in old:
            dated.stage.server.put(dated.trail, old[0], b"replaced")
        return False

    dated.stage.server.faults.add(replaced, Status(500, "InternalError"))

    ran = dated.prune("--delete")

    assert (ran.code, ran.document["failed_count"], ran.document["deleted"]) == (3, 1, len(old) - 1)
    assert dated.stage.server.get(dated.trail, old[0]).body == b"replaced"


def test_where_a_server_minds_no_condition_each_object_is_looked_at_first(dated: Replicated) -> None:
    dated.stage.server.storage.minds_delete_conditions = False
    old = dated.old()

    ran = dated.prune("--delete")

    assert (ran.code, ran.document["conditional"], ran.document["deleted"]) == (0, False, len(old))
    assert dated.stage.requests("HeadObject") == len(old)


def test_ticks_never_ask_for_a_session_that_may_delete(dated: Replicated) -> None:
    dated.stage.server.forget_requests()

    dated.stage.syncd("tick")
    dated.prune()

    assert dated.stage.requests("DeleteObject") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("account-z",), "--older-than"),
        (("account-z", "--older-than", "1"), "listing.recent"),
        (("account-z", "--older-than", "0"), "--older-than"),
        (("nobody", "--older-than", "9"), "nobody"),
    ],
)
def test_wrong_arguments_are_refused_with_a_reason(dated: Replicated, arguments: tuple[str, ...], words: str) -> None:
    ran = dated.stage.syncd("prune-source", *arguments)

    assert ran.code == 2
    assert words in ran.stderr


def test_the_statement_to_add_is_printed_alone(dated: Replicated) -> None:
    ran = dated.stage.syncd("policies", "account-z", "--prune", "--principal", "account", "--json")

    (document,) = ran.document["documents"]
    (statement,) = document["document"]["Statement"]
    assert (statement["Action"], statement["Effect"]) == ("s3:DeleteObject", "Allow")
    assert statement["Resource"].endswith(f"{dated.trail}/config/*")
    assert "put-role-policy --role-name account-z --policy-name syncd-account-z-prune" in ran.stdout


def test_a_person_reads_what_would_go(digested: Replicated) -> None:
    ran = digested.stage.syncd(
        "prune-source", "account-z", "--older-than", str(OLDER_THAN), "--keys", str(digested.keys_file)
    )

    assert f"account-z: {len(digested.old())} objects" in ran.stdout
    assert "--delete does it" in ran.stdout
