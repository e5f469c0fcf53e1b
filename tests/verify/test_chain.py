"""Every rule of the digest chain, each broken once. The digests are signed as well as the forger could."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from chains import (
    ACCOUNT,
    BUCKET,
    REGION,
    SPEC,
    another_key,
    chained,
    content,
    digests,
    forged,
    known_keys,
    moved,
    objects,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from syncd.cli.demo.samples import public_keys
from syncd.verify.rules import digest as digest_file
from syncd.verify.rules.chain import Chain, Found, Step, parsed
from syncd.verify.rules.digest import ChainName, Refused, content_sha256, name_of, parse
from syncd.verify.rules.keys import Keys, PublicKey
from syncd.verify.rules.verdict import Flaw, Verdict

NAME = ChainName(ACCOUNT, REGION, "management-events", "us-east-1")
CHAIN = digests(objects())


def shown(
    items: Sequence[Found], keys: Keys | None = None, name: ChainName = NAME, buckets: Sequence[str] = (BUCKET,)
) -> list[Step]:
    chain = Chain(name, buckets, keys or known_keys())
    return [chain.accept(item, parsed(after) if after else None) for item, after in pairwise([*items, None])]


def verdicts(found: Sequence[Step]) -> list[str]:
    return [step.span.verdict for step in found]


def reasons(step: Step) -> list[str]:
    return [problem.flaw for problem in step.span.problems]


def with_one(number: int, item: Found) -> list[Found]:
    return [*CHAIN[:number], item, *CHAIN[number + 1 :]]


def test_an_untouched_chain_is_proved_from_its_beginning_without_a_gap() -> None:
    found = shown(CHAIN)

    assert verdicts(found) == ["proved"] * len(CHAIN)
    assert [step.before for step in found] == [()] * len(CHAIN)
    assert all(one.span.end == other.span.start for one, other in pairwise(found))
    assert all(step.digest is not None for step in found)


def test_a_chain_that_begins_in_the_middle_is_not_anchored_and_what_follows_is_proved() -> None:
    assert verdicts(shown(CHAIN[3:])) == ["unanchored", *["proved"] * (len(CHAIN) - 4)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_missing_digests_leave_their_span_unproved_and_the_next_one_without_an_anchor(count: int) -> None:
    found = shown([*CHAIN[:3], *CHAIN[3 + count :]])

    (hole,) = found[3].before
    assert (hole.verdict, hole.start, hole.end) == (Verdict.UNPROVED, found[2].span.end, found[3].span.start)
    assert hole.problems[0].key == CHAIN[2 + count].key
    assert ("before it" in hole.problems[0].detail) == (count > 1)
    assert found[3].span.verdict == Verdict.UNANCHORED
    assert found[4].span.verdict == Verdict.PROVED


def set_field(field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update({field: value})


def drop_previous_hash(document: dict[str, Any]) -> None:
    document["previousDigestHashValue"] = None


def name_a_log_twice(document: dict[str, Any]) -> None:
    document["logFiles"] = document["logFiles"] * 2


GOOD_SIGNATURE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "previous hash wrong": (set_field("previousDigestHashValue", "0" * 64), Flaw.CHAIN_BROKEN),
    "previous signature wrong": (set_field("previousDigestSignature", "00" * 256), Flaw.CHAIN_BROKEN),
    "previous fields in part": (drop_previous_hash, Flaw.MALFORMED),
    "previous is an older one": (set_field("previousDigestS3Object", CHAIN[1].key), Flaw.CHAIN_BROKEN),
    "previous is a backfill": (
        set_field("previousDigestS3Object", CHAIN[3].key.replace(".json.gz", "_backfill.json.gz")),
        Flaw.CHAIN_BROKEN,
    ),
    "a log named twice": (name_a_log_twice, Flaw.NAMED_TWICE),
    "another bucket": (set_field("digestS3Bucket", "theirs"), Flaw.OTHER_BUCKET),
    "another account": (set_field("awsAccountId", "999999999999"), Flaw.MALFORMED),
    "another end": (set_field("digestEndTime", "2026-11-24T23:00:00Z"), Flaw.MALFORMED),
    "ends before it begins": (set_field("digestStartTime", "2027-01-01T00:00:00Z"), Flaw.MALFORMED),
    "another algorithm": (set_field("digestSignatureAlgorithm", "SHA1withRSA"), Flaw.MALFORMED),
    "no list of logs": (set_field("logFiles", None), Flaw.MALFORMED),
    "begins inside the one before": (
        set_field("digestStartTime", content(CHAIN[2])["digestStartTime"]),
        Flaw.CHAIN_BROKEN,
    ),
}


@pytest.mark.parametrize("case", GOOD_SIGNATURE)
def test_what_is_wrong_under_a_good_signature_is_named(case: str) -> None:
    change, reason = GOOD_SIGNATURE[case]
    found = shown(with_one(4, forged(CHAIN[4], change)))

    assert (found[4].span.verdict, reasons(found[4])[0], found[4].digest) == (Verdict.UNPROVED, reason, None)
    assert verdicts(found[:4]) == ["proved"] * 4


def copied(item: Found, stamp: str) -> Found:
    return item._replace(key=item.key.replace(item.key[-24:-8], stamp))


def repacked(item: Found, change: Callable[[bytes], bytes]) -> Found:
    return item._replace(body=change(item.body))


def edited(item: Found) -> Found:
    document = content(item)
    document["logFiles"] = document["logFiles"][1:]
    return item._replace(body=gzip.compress(json.dumps(document).encode()))


TAMPERED: dict[str, tuple[Found, str]] = {
    "content edited": (edited(CHAIN[4]), Flaw.SIGNATURE_WRONG),
    "signed by another key": (
        forged(CHAIN[4], set_field("digestPublicKeyFingerprint", another_key().fingerprint), key=another_key()),
        Flaw.NO_KEY,
    ),
    "signed by another key under the right fingerprint": (
        forged(CHAIN[4], lambda _: None, key=another_key()),
        Flaw.SIGNATURE_WRONG,
    ),
    "signature replaced": (CHAIN[4]._replace(signature="00" * 256), Flaw.SIGNATURE_WRONG),
    "signature not hexadecimal": (CHAIN[4]._replace(signature="zz"), Flaw.SIGNATURE_WRONG),
    "algorithm in the metadata changed": (CHAIN[4]._replace(algorithm="SHA1withRSA"), Flaw.SIGNATURE_WRONG),
    "the content of an older one": (CHAIN[4]._replace(body=CHAIN[2].body, signature=CHAIN[2].signature), Flaw.MOVED),
    "trailing data": (repacked(CHAIN[4], lambda body: body + gzip.compress(b"x")), Flaw.TRAILING_DATA),
    "trailing rubbish": (repacked(CHAIN[4], lambda body: body + b"x"), Flaw.TRAILING_DATA),
    "cut": (repacked(CHAIN[4], lambda body: body[:-9]), Flaw.UNREADABLE),
    "not gzip": (repacked(CHAIN[4], lambda _: b"{}"), Flaw.UNREADABLE),
    "empty": (repacked(CHAIN[4], lambda _: b""), Flaw.UNREADABLE),
    "not JSON": (repacked(CHAIN[4], lambda _: gzip.compress(b"{")), Flaw.MALFORMED),
    "deeply nested": (repacked(CHAIN[4], lambda _: gzip.compress(b"[" * 100_000)), Flaw.MALFORMED),
    "a field twice": (
        repacked(CHAIN[4], lambda body: gzip.compress(gzip.decompress(body).replace(b"{", b'{"logFiles":[],', 1))),
        Flaw.MALFORMED,
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_digest_that_was_tampered_with_is_named_and_the_one_after_it_has_no_anchor(case: str) -> None:
    item, reason = TAMPERED[case]
    found = shown(with_one(4, item))

    assert (found[4].span.verdict, reasons(found[4])[0]) == (Verdict.UNPROVED, reason)
    assert found[4].span.problems[0].key == item.key
    assert found[5].span.verdict in (Verdict.UNANCHORED, Verdict.PROVED)
    assert verdicts(found[:4]) == ["proved"] * 4


def test_a_digest_under_another_name_is_named_and_so_is_the_one_after_it() -> None:
    found = shown([*CHAIN[:4], copied(CHAIN[2], "20261124T095959Z"), *CHAIN[4:]])

    assert Flaw.MOVED in {reason for step in found for reason in reasons(step)}


def of_2030(document: dict[str, Any]) -> None:
    document.update(digestStartTime="2030-01-01T00:00:00Z", digestEndTime="2030-01-01T01:00:00Z", logFiles=[])


def test_an_altered_digest_does_not_tell_its_own_time() -> None:
    """Whoever rewrites it could say that it is of another year, beyond what anybody asks about."""
    found = shown(with_one(4, forged(CHAIN[4], of_2030, key=another_key())))

    spans = [found[4].span, *found[4].before]
    assert [(span.start, span.end, span.verdict) for span in spans] == [
        (parse(CHAIN[3].body).end, parse(CHAIN[4].body).end, Verdict.UNPROVED)
    ]


def test_a_name_that_its_day_folder_does_not_bear_out_is_named_and_no_chain_goes_by_it() -> None:
    stray = copied(CHAIN[2], "20991231T235959Z")
    chain = Chain(NAME, [BUCKET], known_keys())
    chain.accept(CHAIN[0])

    step = chain.accept(stray)

    assert [(problem.flaw, problem.key) for problem in step.span.problems] == [(Flaw.MOVED, stray.key)]
    assert chain.last is not None
    assert chain.last.key == CHAIN[0].key
    day = 1795478400.0
    assert (step.span.start, step.span.end) == (day, day + 86399)
    assert chain.accept(CHAIN[1]).span.verdict == Verdict.PROVED


def test_two_digests_in_each_others_place_are_both_named() -> None:
    one, other = CHAIN[3], CHAIN[4]
    swapped = [
        *CHAIN[:3],
        one._replace(body=other.body, signature=other.signature),
        other._replace(body=one.body, signature=one.signature),
        *CHAIN[5:],
    ]

    assert [reasons(step)[:1] for step in shown(swapped)[3:5]] == [[Flaw.MOVED], [Flaw.MOVED]]


def test_a_starting_digest_in_the_middle_is_a_gap() -> None:
    nothing = dict.fromkeys((*digest_file._PREVIOUS, digest_file._PREVIOUS_ALGORITHM))
    rest = chained([forged(CHAIN[4], lambda document: document.update(nothing)), *CHAIN[5:]])

    found = shown([*CHAIN[:4], *rest])

    assert [span.verdict for span in found[4].before] == [Verdict.GAP]
    assert found[4].before[0].problems[0].flaw == Flaw.RESTARTED
    assert verdicts(found) == ["proved"] * len(CHAIN)


def test_the_time_between_two_linked_digests_is_a_gap() -> None:
    late = chained([*CHAIN[:4], forged(CHAIN[4], set_field("digestStartTime", "2026-11-24T09:59:30Z")), *CHAIN[5:]])

    (gap,) = shown(late)[4].before

    assert (gap.verdict, gap.end) == (Verdict.GAP, parse(late[4].body).start)


def backfill(items: Sequence[Found]) -> list[Found]:
    def renamed(item: Found) -> Found:
        key = item.key.replace(".json.gz", "_backfill.json.gz")
        return forged(item._replace(key=key), set_field("digestS3Object", key))._replace(
            key=key, generated_at=parse(item.body).end + 7 * 3600
        )

    return chained([renamed(item) for item in items])


def test_a_backfill_chain_is_a_chain_of_its_own_and_never_proves_continuity() -> None:
    found = shown(backfill(CHAIN), name=NAME._replace(is_backfill=True))

    assert set(verdicts(found)) == {"backfill"}


def test_hours_that_were_delivered_to_another_bucket_are_a_gap_and_what_follows_has_no_anchor() -> None:
    away = moved(CHAIN, "former", 4)
    found = shown([*chained(CHAIN[:2]), *away[4:]])

    gap, after = found[2].before[0], found[2].span
    assert (gap.verdict, gap.start, gap.end) == (Verdict.GAP, parse(CHAIN[1].body).end, parse(CHAIN[4].body).start)
    assert (after.verdict, reasons(found[2])) == (Verdict.UNANCHORED, [Flaw.OTHER_BUCKET])
    assert f"s3://former/{CHAIN[3].key}" in after.problems[0].detail
    assert verdicts(found[3:]) == ["proved"] * (len(CHAIN) - 5)


def test_a_chain_goes_on_under_another_key_prefix_if_its_predecessor_is_there() -> None:
    """Twice: to another prefix and back. AWS's own validator follows the key that a digest names, too."""
    there = moved(CHAIN, BUCKET, 4, since=2, rename=lambda key: f"old/{key}")
    lost = shown([*there[:2], *there[4:]])

    assert verdicts(shown(there)) == ["proved"] * len(CHAIN)
    both = moved(CHAIN, "former", 4, rename=lambda key: f"old/{key}")
    assert verdicts(shown(both, buckets=[BUCKET, "former"])) == ["proved"] * len(CHAIN)
    (first, *rest) = shown(there[4:])
    for step in (first, lost[2]):
        assert (step.span.verdict, reasons(step)) == (Verdict.UNANCHORED, [Flaw.OTHER_PREFIX])
        assert step.span.problems[0].key == there[3].key
        assert f"s3://{BUCKET}/old/" in step.span.problems[0].detail
    assert verdicts(rest) == ["proved"] * (len(CHAIN) - 5)
    assert [(span.verdict, span.end) for span in lost[2].before] == [(Verdict.GAP, parse(there[4].body).start)]
    # If some of the former prefix is there, what it lacks is missing.
    cut = shown([*there[:3], *there[4:]])
    assert [problem.flaw for problem in cut[3].before[0].problems] == [Flaw.DIGEST_MISSING]
    assert (cut[3].span.verdict, reasons(cut[3])) == (Verdict.UNANCHORED, [])


def test_a_backfill_that_follows_a_standard_digest_is_refused() -> None:
    (item,) = backfill(CHAIN[:1])
    pretending = forged(
        item,
        lambda document: document.update(
            previousDigestS3Bucket=BUCKET,
            previousDigestS3Object=CHAIN[0].key,
            previousDigestHashValue=parse(CHAIN[0].body).sha256,
            previousDigestHashAlgorithm="SHA-256",
            previousDigestSignature=CHAIN[0].signature,
        ),
    )
    chain = Chain(NAME._replace(is_backfill=True), [BUCKET], known_keys())
    chain.accept(item)

    second = pretending._replace(key=item.key.replace("T0", "T1"))
    second = forged(second, set_field("digestS3Object", second.key))

    assert Flaw.CHAIN_BROKEN in reasons(chain.accept(second))


def test_a_lost_signature_is_taken_from_the_digest_after_it() -> None:
    found = shown([item._replace(signature="") for item in CHAIN[:-1]] + [CHAIN[-1]])

    assert verdicts(found) == ["proved"] * len(CHAIN)


def test_the_newest_digest_without_a_signature_is_not_proved() -> None:
    found = shown([*CHAIN[:-1], CHAIN[-1]._replace(signature="")])

    assert reasons(found[-1]) == [Flaw.NO_SIGNATURE]


@pytest.mark.parametrize("days", [-40, 40])
def test_a_key_is_good_for_its_own_time_only(days: int) -> None:
    keys = Keys(
        key._replace(starts=key.starts + days * 86400, ends=key.ends + days * 86400) for key in known_keys().all()
    )

    assert {reason for step in shown(CHAIN, keys) for reason in reasons(step)} == {Flaw.KEY_EXPIRED}


def test_only_a_backfill_is_signed_at_another_time_than_its_end() -> None:
    """The time stands in the metadata, which nobody signs."""
    (key,) = known_keys().all()
    later = Keys([key._replace(starts=key.ends, ends=key.ends + 30 * 86400)])
    (item,) = shown([CHAIN[0]._replace(generated_at=key.ends)], later)
    (filled,) = shown([backfill(CHAIN[:1])[0]._replace(generated_at=key.ends)], later, NAME._replace(is_backfill=True))

    assert (reasons(item), filled.span.verdict) == ([Flaw.KEY_EXPIRED], Verdict.BACKFILL)


def test_a_key_is_good_for_its_own_region_only() -> None:
    keys = Keys(key._replace(region="eu-west-1") for key in known_keys().all())

    assert {reason for step in shown(CHAIN, keys) for reason in reasons(step)} == {Flaw.NO_KEY}


def test_a_key_whose_fingerprint_is_not_its_own_is_refused() -> None:
    (key,) = known_keys().all()

    with pytest.raises(ValueError, match="another fingerprint"):
        Keys([key._replace(fingerprint="0" * 32)])


def test_a_key_in_either_der_form_is_read() -> None:
    signer = public_keys(SPEC)[REGION]
    loaded = load_der_public_key(signer.public_der)
    spki = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = hashlib.md5(spki).hexdigest()
    items = chained([forged(item, set_field("digestPublicKeyFingerprint", fingerprint)) for item in CHAIN])

    assert set(verdicts(shown(items, Keys([PublicKey(REGION, fingerprint, spki, 0.0, 4e9)])))) == {"proved"}


def test_a_bomb_is_refused_within_its_bound() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    with pytest.raises(Refused) as caught:
        content_sha256(bomb, most=1_000_000)

    assert caught.value.finding.flaw == Flaw.TOO_LARGE


def test_ten_thousand_logs_in_one_digest_are_all_named() -> None:
    entry = content(CHAIN[4])["logFiles"][0]
    many = [entry | {"s3Object": f"{entry['s3Object'][:-8]}{number:05}.json.gz"} for number in range(10_000)]
    found = shown(chained([*CHAIN[:4], forged(CHAIN[4], set_field("logFiles", many))]))

    assert (found[4].span.verdict, found[4].span.logs) == (Verdict.PROVED, 10_000)


@pytest.mark.parametrize(
    ("name", "trail"),
    [("plain", "plain"), ("with_under_scores", "with_under_scores"), ("dots.and-dashes", "dots.and-dashes")],
)
def test_a_trail_may_have_any_name(name: str, trail: str) -> None:
    key = f"AWSLogs/1/CloudTrail-Digest/us-gov-west-1/2026/11/24/{ACCOUNT}_CloudTrail-Digest_us-gov-west-1_{name}_us-gov-east-1_20261124T080000Z.json.gz"
    found = name_of(key)

    assert found is not None
    assert found[0] == ChainName(ACCOUNT, "us-gov-west-1", trail, "us-gov-east-1")


@pytest.mark.parametrize("key", ["x", f"{ACCOUNT}_CloudTrail_us-east-1_20261124T0800Z_x.json.gz", CHAIN[0].key + "x"])
def test_what_is_no_digest_has_no_chain(key: str) -> None:
    assert name_of(key) is None
