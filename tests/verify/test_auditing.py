"""The audit of one place: which logs are read, which no digest names, and what it holds in memory meanwhile."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from chains import (
    ACCOUNT,
    BEGINS,
    REGION,
    SPEC,
    MemoryReplica,
    audited,
    content,
    digests,
    flaws,
    known_keys,
    objects,
    with_spec,
)

from syncd.cli.demo.samples import SampleObject
from syncd.model.keys.stamps import stamp_of
from syncd.model.sealed import NO_WITNESS, witnessed
from syncd.verify.proof import Asked, Proof, with_tail
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.passing import Nothing
from syncd.verify.rules.place import Stored
from syncd.verify.rules.progress import Progress

HOUR = 3600.0


def logs_of(delivered: dict[str, SampleObject]) -> list[str]:
    return sorted(key for key in delivered if "/CloudTrail/" in key)


def named_by(delivered: dict[str, SampleObject]) -> dict[str, str]:
    """The hash of each log that a digest names."""
    return {log["s3Object"]: log["hashValue"] for item in digests(delivered) for log in content(item)["logFiles"]}


class Remembered(Nothing):
    """Hashes that were kept while logs were copied."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes

    def kept(self, items: Sequence[Stored]) -> dict[str, str]:
        return {item.key: self._hashes[item.key] for item in items if item.key in self._hashes}


def stamped(hours: float, name: str) -> str:
    """The key of a log of the trail that no digest names."""
    at = BEGINS + timedelta(hours=hours)
    file = f"{ACCOUNT}_CloudTrail_{REGION}_{at:%Y%m%dT%H%MZ}_{name}"
    return f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{at:%Y/%m/%d}/{file}.json.gz"


def test_a_log_is_read_unless_the_hash_that_was_kept_is_what_its_digest_names() -> None:
    """A hash that differs decides nothing: the state may be damaged, and the bytes tell."""
    delivered = objects()
    named = named_by(delivered)
    without, damaged = sorted(named)[3:5]
    replica = MemoryReplica(delivered)

    passing = Remembered({key: sha256 for key, sha256 in named.items() if key != without} | {damaged: "0" * 64})

    result = audited(delivered, replica=replica, passing=passing)

    assert (flaws(result) - {"newest_missing"}, sorted(replica.read)) == (set(), [without, damaged])
    assert (result.logs, result.logs_read) == (len(named), 2)


def test_a_log_that_is_watched_is_read_whatever_was_kept() -> None:
    delivered = objects()
    named = named_by(delivered)
    (key, *_) = named
    replica = MemoryReplica(delivered)

    result = audited(delivered, replica=replica, passing=Remembered(named), watched=[key])

    assert (replica.read, list(result.hashes)) == ([key], [key])


class Witnessed(Nothing):
    """Witnesses of the days of a replica as it was written."""

    def __init__(self, delivered: dict[str, SampleObject], named: dict[str, str]) -> None:
        self._days: dict[str, int] = {}
        self.told: dict[str, str] = {}
        for key, sha256 in named.items():
            day = "-".join(key.split("/")[4:7])
            self._days[day] = witnessed(self._days.get(day, NO_WITNESS), key, len(delivered[key].body), "", sha256)

    def witness(self, key: str, day: str) -> int | None:
        del key
        return self._days.get(day)

    def vouched(self, hashes: Mapping[str, str]) -> None:
        self.told |= hashes


def test_a_sealed_day_is_read_only_if_its_witness_does_not_vouch_for_it() -> None:
    """The trail is of two days. One replica of the second day is altered, and has another size."""
    delivered = objects(30)
    named = named_by(delivered)
    passing, replica = Witnessed(delivered, named), MemoryReplica(delivered)

    result = audited(delivered, replica=replica, passing=passing)

    assert (flaws(result) - {"newest_missing"}, replica.read) == (set(), [])
    assert (result.logs, result.logs_read, passing.told) == (len(named), 0, named)

    second = sorted(key for key in named if "/2026/11/25/" in key)
    delivered[second[0]] = replace(delivered[second[0]], body=gzip.compress(b"other"))

    result = audited(delivered, replica=replica, passing=Witnessed(objects(30), named))

    assert "log_altered" in flaws(result)
    assert (sorted(replica.read), result.logs_read, result.logs) == (second, len(second), len(named))


def test_a_log_that_two_digests_name_is_no_missing_one() -> None:
    """A backfill may name what the digest of the hour names too."""
    delivered = objects()
    item = digests(delivered)[2]
    key = item.key.replace(".json.gz", "_backfill.json.gz")
    delivered[key] = replace(delivered[item.key], key=key)

    result = audited(delivered)

    assert flaws(result) - {"newest_missing"} == {"digest_moved"}


@pytest.mark.parametrize(
    ("stamp", "copied", "age", "told"),
    [
        pytest.param(3.0, 4.0, 1.0, "extra", id="the digest of its hour is there"),
        pytest.param(6.0, 7.2, 0.5, "in_flight", id="it came in the hour that no digest covers yet"),
        pytest.param(1.0, 7.2, 0.5, "in_flight", id="it came many hours late"),
        pytest.param(1.0, 7.2, 4.0, "extra", id="no digest is under way that could name it"),
        pytest.param(7.5, 7.6, 0.9, "after", id="it is newer than the newest digest"),
    ],
)
def test_a_log_without_a_digest_is_extra_only_once_one_had_to_name_it(
    stamp: float, copied: float, age: float, told: str
) -> None:
    delivered = objects(7)
    ends = [stamp_of(item.key) or 0.0 for item in digests(delivered)]
    for key in [key for key in logs_of(delivered) if key not in named_by(delivered)]:
        del delivered[key]
    # Hours are of the trail, whose newest digest is made to end in its seventh.
    begins = ends[-1] - 7 * HOUR
    key = stamped(stamp + (begins - BEGINS.timestamp()) / HOUR, "unnamed")
    delivered[key] = SampleObject(key, b"")
    replica = MemoryReplica(delivered, {key: begins + copied * HOUR})

    result = audited(delivered, replica=replica, last=ends[-1] + age * HOUR)

    found = {"extra": result.extra, "in_flight": result.in_flight, "after": result.unnamed_after}
    assert {name: keys for name, keys in found.items() if keys} == {told: [key]}


def test_a_log_of_one_trail_waits_for_that_trails_digest_however_new_anothers_is() -> None:
    """A log's name does not tell its trail, and digests of trails come at different minutes."""
    another = with_spec(name="other", seed=11)
    one, other = objects(8), objects(8, another)
    digests_of = [[item.key for item in digests(delivered)] for delivered in (one, other)]
    late, early = sorted(digests_of, key=lambda keys: stamp_of(keys[-1]) or 0.0, reverse=True)
    behind = stamp_of(early[-1]) or 0.0
    delivered = one | other
    for key in [key for key in logs_of(delivered) if key not in named_by(delivered)]:
        del delivered[key]
    key = stamped((behind - BEGINS.timestamp()) / HOUR - 1, "unnamed")
    delivered[key] = SampleObject(key, b"")
    replica = MemoryReplica(delivered, {key: behind + 60})

    keys = Keys([*known_keys().all(), *known_keys(another).all()])

    result = audited(delivered, replica=replica, keys=keys, last=(stamp_of(late[-1]) or 0.0) + 60)

    assert (stamp_of(late[-1]) or 0.0) > behind + 60
    assert (result.extra, result.in_flight) == ([], [key])


def test_a_log_before_a_digest_that_is_not_sound_is_not_called_extra() -> None:
    """That digest may have named it: it was delivered in its hour, some minutes after its stamp."""
    delivered = objects(8)
    item = digests(delivered)[3]
    end = stamp_of(digests(delivered)[2].key) or 0.0
    key = stamped((end - 300 - BEGINS.timestamp()) / HOUR, "unnamed")
    delivered[key] = SampleObject(key, b"")
    delivered[item.key] = replace(delivered[item.key], metadata={"signature": "00", "signature-algorithm": "x"})

    assert "extra_log" not in flaws(audited(delivered))


class ListedAhead(MemoryReplica, Nothing):
    """A replica that counts how many logs were listed, and not yet checked."""

    ahead = most_ahead = 0

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        for item in super().keys(prefix, first, last):
            self.ahead += "/CloudTrail/" in item.key
            self.most_ahead = max(self.most_ahead, self.ahead)
            yield item

    def kept(self, items: Sequence[Stored]) -> dict[str, str]:
        self.ahead -= len(items)
        return {}


def test_logs_are_listed_as_the_digests_come_so_that_memory_does_not_grow_with_them() -> None:
    delivered = objects(100)
    replica = ListedAhead(delivered)

    result = audited(delivered, replica=replica, passing=replica)

    assert result.logs == len(named_by(delivered)) > 50 * SPEC.logs_per_hour
    assert replica.most_ahead < 5 * SPEC.logs_per_hour


def test_progress_is_told_in_parts_of_the_whole() -> None:
    progress, parts = Progress(), []
    progress.changed = lambda: parts.append(progress.done)  # type: ignore[method-assign]
    for job in range(2):
        progress.job(job, 2)
        for place in range(2):
            progress.place(place, 2)
            audited(objects(), SPEC, progress=progress)

    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("gone", [(20, 26), (17, 26), (18, 19), (23, 25)])
def test_a_digest_after_the_audits_end_tells_of_those_that_are_missing_before_it(gone: tuple[int, int]) -> None:
    """The digests around the end are taken away with all their logs. Nothing else in the span names them."""
    delivered = objects(40)
    end = BEGINS.timestamp() + 18 * HOUR
    lost = digests(delivered)[slice(*gone)]
    begin = stamp_of(lost[0].key) or 0.0
    for item in lost:
        for key in [item.key, *(log["s3Object"] for log in content(item)["logFiles"])]:
            del delivered[key]

    result = with_tail(audited(delivered, last=end), end, {})
    proof = Proof(job="job", asked=Asked(last=end), places=[result])

    is_touched = begin - HOUR < end
    assert ("digest_missing" in flaws(result), proof.verdict) == (is_touched, "some" if is_touched else "proved")
    assert proof.proved_until <= (begin - HOUR + 1 if is_touched else begin)
