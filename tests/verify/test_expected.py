"""What a ledger knows of digests, against what the replica has: taken away as a whole, nothing that is left names them."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from builders_ledger import copied, replica
from chains import ACCOUNT, BEGINS, REGION, audited, content, digests, known_keys, objects, with_spec

from syncd.cli.demo.samples import SampleObject
from syncd.ledger.ledger import LedgerFile
from syncd.model.keys.stamps import stamp_of
from syncd.model.keys.trail import Scope
from syncd.model.objects import Shard, ShardState
from syncd.verify.healing.expected import expected
from syncd.verify.proof import Asked, Newest, Proof, with_tail
from syncd.verify.rules.keys import Keys

HOUR = 3600.0
SCOPE = Scope("", (), ("*",), ("CloudTrail", "CloudTrail-Digest"), ("*",))
SHARDS = {
    kind: Shard(f"AWSLogs/{ACCOUNT}/{kind}/{REGION}/", ACCOUNT, kind, REGION)
    for kind in ("CloudTrail", "CloudTrail-Digest")
}
SECOND = with_spec(name="second", seed=11)
KEYS = Keys([*known_keys().all(), *known_keys(SECOND).all()])


def known(folder: Path, keys: Sequence[str], *, last: float, first: float = 0.0, sealed: bool = False) -> list[Newest]:
    """The newest digests, by a ledger that has these objects at the destination."""
    file = LedgerFile(folder, now=lambda: last)
    with file.open(replica(), "job") as ledger:
        ledger.save_shards([ShardState(shard=shard, frontier=last) for shard in SHARDS.values()])
        outcomes = [copied(key, shard) for shard in SHARDS.values() for key in keys if key.startswith(shard.prefix)]
        ledger.record(outcomes, [], now=last)
        for day in {"-".join(key.split("/")[4:7]) for key in keys} if sealed else ():
            for shard in SHARDS.values():
                ledger.seal(shard, day, limit=10_000)
    with file.open_readonly() as reader:
        (item,) = expected(reader.view(replica()), SCOPE, first=first, last=last)
        return list(item.newest)


def without(delivered: dict[str, SampleObject], lost: Sequence[str]) -> dict[str, SampleObject]:
    """The objects without some digests and the logs that they name."""
    gone = {log["s3Object"] for item in digests(delivered) if item.key in lost for log in content(item)["logFiles"]}
    return {key: item for key, item in delivered.items() if key not in gone | set(lost)}


def proved(delivered: dict[str, SampleObject], newest: Sequence[Newest], *, last: float) -> Proof:
    result = audited(delivered, keys=KEYS, last=last)
    result = with_tail(result, last, {result.place.digests: newest})
    return Proof(job="job", asked=Asked(last=last), places=[result])


@pytest.mark.parametrize("hours", [3, 60])
def test_the_newest_digests_of_one_trail_are_missed_however_many_trails_there_are(tmp_path: Path, hours: int) -> None:
    """The other trail goes on, or had ended long before."""
    delivered = objects(8) | objects(hours, SECOND)
    ended = [item.key for item in digests(delivered) if "_second_" in item.key]
    last = BEGINS.timestamp() + max(8, hours) * HOUR
    newest = known(tmp_path, list(delivered), last=last)
    for spec, lost in (("second", ended[-2:]), ("management-events", [k.key for k in digests(objects(8))][-2:])):
        end = (stamp_of(lost[0]) or 0.0) - HOUR

        proof = proved(without(delivered, lost), newest, last=last)

        (place,) = proof.places
        assert place.tail is not None
        assert ([problem.key for problem in place.tail.problems], proof.verdict) == ([lost[-1]], "some"), spec
        assert proof.proved_until <= end
    assert not proved(delivered, newest, last=last).places[0].is_cut


def test_a_digest_that_covers_the_end_is_missed_though_nothing_follows_it(tmp_path: Path) -> None:
    delivered = objects(40)
    last = BEGINS.timestamp() + 18 * HOUR
    newest = known(tmp_path, list(delivered), last=last)
    lost = [item.key for item in digests(delivered) if (stamp_of(item.key) or 0.0) > last]

    assert proved(delivered, newest, last=last).verdict == "proved"
    assert proved(without(delivered, lost), newest, last=last).verdict == "some"


def test_a_region_whose_days_are_folded_is_missed_as_a_whole_and_by_the_day(tmp_path: Path) -> None:
    delivered = objects(40)
    last = (BEGINS + timedelta(days=90)).timestamp()
    newest = known(tmp_path, list(delivered), last=last, sealed=True)
    second_day = [item.key for item in digests(delivered) if "/2026/11/25/" in item.key]

    assert proved(delivered, newest, last=last).verdict == "proved"
    for left in ({}, without(delivered, second_day)):
        proof = proved(left, newest, last=last)
        assert proof.verdict != "proved"
        assert proof.places[0].is_cut
        assert proof.proved_until <= (stamp_of(second_day[0]) or 0.0)
