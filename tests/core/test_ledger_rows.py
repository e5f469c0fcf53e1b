"""How keys, ETags and days are written down: exact both ways, whatever they are."""

import string
from datetime import date

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from syncd.ledger.rows import (
    checksum,
    day_of,
    decode_etag,
    decode_etags,
    decode_key,
    encode_etag,
    encode_etags,
    encode_key,
    encode_keys,
    first_tail,
    first_tail_after,
    is_key,
    is_whole,
    last_tail,
    object_checksum,
    report_from_json,
    report_to_json,
    shortened,
    with_checksum,
)
from syncd.model.bounds import backoff_seconds, children_to_json
from syncd.model.objects import Shard
from syncd.model.reports import FailedObject, JobError, TickReport
from syncd.model.sealed import SealedDay, SealedObject, fold_day, object_digest, replica_digest

SHARD = Shard("AWSLogs/111111111111/CloudTrail/us-east-1/", "111111111111", "CloudTrail", "us-east-1")
DIGESTS = Shard("AWSLogs/111111111111/CloudTrail-Digest/us-east-1/", "111111111111", "CloudTrail-Digest", "us-east-1")
FLAT = Shard("logs/")
BUCKET = Shard("")
SHARDS = [SHARD, DIGESTS, FLAT, BUCKET]
STEM = "111111111111_CloudTrail_us-east-1_"
USUAL = f"{SHARD.prefix}2026/11/24/{STEM}20261124T0815Z_AbCdEfGhIjKlMnOp.json.gz"

# Pieces of canonical names, put together wrongly: what comes near a form without being of it.
PIECES = [
    "2026/11/24/",
    "2026/11/25/",
    "2026/13/45/",
    "2026/1/1/",
    "\uff12026/11/24/",
    "0000/01/01/",
    STEM,
    "111111111111_CloudTrail-Digest_us-east-1_",
    "20261124",
    "20261125",
    "T0815Z_AbCdEfGhIjKlMnOp",
    ".json.gz",
    ".json",
    ":",
    ";",
    "<",
    "=",
    "/",
    "é",
    "\x00",
    "\U0010ffff",
]
names = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
days = st.dates(min_value=date(1, 1, 1)).map(date.isoformat)


@st.composite
def usual_keys(draw: st.DrawFn) -> str:
    day = draw(days)
    unique = draw(st.text(string.ascii_letters + string.digits, min_size=16, max_size=16))
    minute = draw(st.times()).strftime("%H%M")
    stamp = f"{day.replace('-', '')}T{minute}Z"
    return f"{SHARD.prefix}{day.replace('-', '/')}/{STEM}{stamp}_{unique}.json.gz"


@pytest.mark.parametrize(
    ("shard", "name", "tail"),
    [
        (SHARD, f"2026/11/24/{STEM}20261124T0815Z_x.json.gz", "20261124T0815Z_x"),
        (SHARD, f"2026/11/24/{STEM}20261123T2359Z_x.json.gz", "20261124:20261123T2359Z_x"),
        (SHARD, f"2026/11/24/{STEM}20261124T0815Z_x.json", "20261124;20261124T0815Z_x.json"),
        (SHARD, f"2026/11/24/{STEM}.json.gz", "20261124:"),
        (SHARD, f"2026/11/24/{STEM}20261124.json.gz", "20261124:20261124"),
        (SHARD, f"2026/11/24/{STEM}20261124:x.json.gz", "20261124:20261124:x"),
        (SHARD, "2026/11/24/other.json.gz", "20261124<other.json.gz"),
        (SHARD, "2026/11/24/", "20261124<"),
        (SHARD, "2026/11/31/x", "=2026/11/31/x"),
        (SHARD, "2026/11/24", "=2026/11/24"),
        (SHARD, "", "="),
        (
            DIGESTS,
            "2026/11/24/111111111111_CloudTrail-Digest_us-east-1_my_trail_us-east-1_20261124T081500Z.json.gz",
            "20261124:my_trail_us-east-1_20261124T081500Z",
        ),
        (FLAT, "2026/11/24/x", "20261124<x"),
    ],
)
def test_a_key_is_written_as_what_its_shard_and_day_do_not_say(shard: Shard, name: str, tail: str) -> None:
    assert encode_key(shard, shard.prefix + name) == tail


@given(st.sampled_from(SHARDS), names)
@example(SHARD, f"2026/11/24/{STEM}.json.gz.json.gz")
@example(SHARD, f"2026/11/24/{STEM}20261124<x.json.gz")
@example(SHARD, f"2026/11/24/{STEM}20261124;x.json.gz")
def test_every_key_comes_back_from_its_tail(shard: Shard, name: str) -> None:
    key = shard.prefix + name

    assert decode_key(shard, encode_key(shard, key)) == key


@given(st.sampled_from(SHARDS), st.sets(names, max_size=20))
def test_no_two_keys_share_a_tail(shard: Shard, different: set[str]) -> None:
    keys = {shard.prefix + name for name in different}

    assert set(encode_keys(shard, keys).values()) == keys


near_each_other = st.lists(
    st.builds(
        "{}{}{}{}{}".format,
        st.sampled_from(["2026/11/24/", "2026/11/25/", "2026/11/31/", ""]),
        st.sampled_from([STEM, STEM, STEM, ""]),
        st.sampled_from(["20261124", "20261124", "20261125", ""]),
        st.sampled_from(["T0815Z_x", "", ":", "<x", "x", ".json.gz", ".json.g"]),
        st.sampled_from([".json.gz", ".json.gz", ".json", ""]),
    ),
    max_size=12,
)


@given(near_each_other)
def test_a_key_is_written_the_same_beside_any_others(different: list[str]) -> None:
    keys = [SHARD.prefix + name for name in different]

    assert encode_keys(SHARD, keys) == {encode_key(SHARD, key): key for key in keys}


@given(st.lists(usual_keys(), max_size=20))
def test_tails_of_usual_names_sort_as_their_keys(keys: list[str]) -> None:
    by_tail = sorted(keys, key=lambda key: encode_key(SHARD, key))

    assert by_tail == sorted(keys)


def test_a_key_outside_the_shard_is_refused() -> None:
    with pytest.raises(ValueError, match="is not under"):
        encode_key(SHARD, "AWSLogs/222222222222/CloudTrail/us-east-1/x")


def test_a_usual_key_takes_thirty_one_characters() -> None:
    assert len(encode_key(SHARD, USUAL)) == 31


@pytest.mark.parametrize(
    ("tail", "day"),
    [
        ("20261124T0815Z_x", "2026-11-24"),
        ("20261124:trail", "2026-11-24"),
        ("20261124;x", "2026-11-24"),
        ("20261124<x", "2026-11-24"),
        ("=2026/11/24/x", None),
        ("=", None),
        ("20261324T0815Z_x", None),
        ("2026", None),
        ("", None),
    ],
)
def test_the_day_of_a_tail_is_its_folder(tail: str, day: str | None) -> None:
    assert day_of(tail) == day


@given(names, days)
def test_exactly_the_tails_of_a_day_lie_in_its_range(name: str, day: str) -> None:
    tail = encode_key(SHARD, SHARD.prefix + name)

    assert (first_tail(day) <= tail < last_tail(day)) == (day_of(tail) == day)


@given(days, names)
def test_a_key_in_a_day_folder_is_in_the_range_of_the_day(day: str, name: str) -> None:
    tail = encode_key(SHARD, f"{SHARD.prefix}{day.replace('-', '/')}/{name}")

    assert first_tail(day) <= tail < last_tail(day)
    assert day_of(tail) == day


@given(st.one_of(st.none(), st.text(), st.text("0123456789abcdef", min_size=32, max_size=32), st.text(max_size=15)))
@example("")
@example("exactly-15-char")
@example("D41D8CD98F00B204E9800998ECF8427E")
@example("d41d8cd98f00b204e9800998ecf8427e-12")
@example("=xactly-15-char")
def test_every_etag_comes_back(etag: str | None) -> None:
    assert decode_etag(encode_etag(etag)) == etag


def test_an_md5_takes_sixteen_bytes() -> None:
    assert encode_etag("d41d8cd98f00b204e9800998ecf8427e") == bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e")


ETAGS = st.one_of(st.text(), st.text("0123456789abcdef", min_size=32, max_size=32), st.text(min_size=10, max_size=18))
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
LIKE_A_TEXT = f"{b'=exactly-15-cha'.hex()}ff"


@given(st.one_of(st.none(), ETAGS), ETAGS)
@example(MD5, MD5)
@example(MD5, LIKE_A_TEXT)
@example(LIKE_A_TEXT, LIKE_A_TEXT)
@example("exactly-14-cha", "exactly-14-cha")
@example("exactly-15-char", "exactly-15-char")
@example("twelve-chars", "")
@example("a", "ten-chars-")
def test_the_etags_of_an_object_and_of_its_replica_come_back(etag: str | None, replica_etag: str) -> None:
    expected = (etag, replica_etag if etag is not None else "")

    assert decode_etags(encode_etags(etag, replica_etag)) == expected


@given(st.one_of(st.none(), ETAGS))
def test_an_etag_written_by_schema_1_tells_nothing_of_the_replicas(etag: str | None) -> None:
    assert decode_etags(encode_etag(etag)) == (etag, "")


@given(st.tuples(ETAGS, ETAGS), st.tuples(ETAGS, ETAGS))
def test_different_pairs_of_etags_are_written_differently(one: tuple[str, str], other: tuple[str, str]) -> None:
    assume(one != other)

    assert encode_etags(*one) != encode_etags(*other)


def test_an_md5_that_is_the_replicas_too_takes_seventeen_bytes() -> None:
    assert len(encode_etags(MD5, MD5) or b"") == 17


@given(st.text(), st.text())
def test_different_etags_are_written_differently(one: str, other: str) -> None:
    assume(one != other)

    assert encode_etag(one) != encode_etag(other)


@pytest.mark.parametrize("position", range(31 * 8))
def test_each_flipped_bit_of_a_tail_changes_the_checksum(position: int) -> None:
    tail, etag = encode_key(SHARD, USUAL).encode(), bytes(range(16))
    flipped = bytearray(tail)
    flipped[position // 8] ^= 1 << position % 8
    flipped_text = flipped.decode("utf-8", "surrogateescape")

    assert object_checksum(7, flipped_text, etag, 1234) != object_checksum(7, tail.decode(), etag, 1234)


@pytest.mark.parametrize("position", range(16 * 8))
def test_each_flipped_bit_of_an_etag_changes_the_checksum(position: int) -> None:
    flipped = bytearray(range(16))
    flipped[position // 8] ^= 1 << position % 8

    assert object_checksum(7, "x", bytes(flipped), 1234) != object_checksum(7, "x", bytes(range(16)), 1234)


@pytest.mark.parametrize(
    "row",
    [
        (8, "x", b"0123456789abcdef", 5),
        (7, b"x", b"0123456789abcdef", 5),
        (7, None, b"0123456789abcdef", 5),
        (7, "x", "0123456789abcdef", 5),
        (7, "x", None, 5),
        (7, "x", b"", 5),
        (7, "x", 12, 5),
        (7, "x", b"0123456789abcdef", None),
        (7, "x", b"0123456789abcdef", 5.5),
        (75, "", b"0123456789abcdef", 5),
    ],
)
def test_a_value_or_type_that_is_not_the_same_changes_the_checksum(row: tuple[object, ...]) -> None:
    assert object_checksum(*row) != object_checksum(7, "x", b"0123456789abcdef", 5)  # type: ignore[arg-type]


@given(st.integers(), st.text(), st.one_of(st.none(), st.binary()), st.integers())
def test_the_checksum_of_an_object_fits_three_bytes(shard: int, tail: str, etag: bytes | None, size: int) -> None:
    assert -(2**23) <= object_checksum(shard, tail, etag, size) < 2**23


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.binary())))
def test_a_row_with_its_checksum_is_whole(values: list[object]) -> None:
    assert is_whole(with_checksum(*values))


def test_a_row_that_was_not_found_is_not_whole() -> None:
    assert not is_whole(None)


def test_a_row_with_another_value_is_not_whole() -> None:
    assert not is_whole((1, 3.0, checksum(1, 2.0)))


def test_a_checksum_is_the_same_in_every_version_of_python() -> None:
    assert checksum("é\U0001fae8", 1.5, None, b"\x00", 7) == 3477023113


OBJECTS = st.builds(
    SealedObject, st.text(), st.one_of(st.none(), st.text()), st.integers(0, 2**40), st.sampled_from(["", "e", "f"])
)


@given(st.lists(OBJECTS), st.randoms())
def test_the_fold_of_a_day_does_not_depend_on_the_order(objects: list[SealedObject], random: object) -> None:
    shuffled = sorted(objects, key=lambda _: random.random())  # type: ignore[attr-defined]

    assert fold_day(objects) == fold_day(shuffled)


@given(st.lists(OBJECTS), st.integers(0, 20))
def test_a_day_folded_in_two_parts_is_the_day_folded_at_once(objects: list[SealedObject], cut: int) -> None:
    assert fold_day(objects[cut:], onto=fold_day(objects[:cut])) == fold_day(objects)


def test_the_digest_of_a_day_is_the_sum_of_those_of_its_objects() -> None:
    folded = fold_day([SealedObject("a", "1", 10, "x"), SealedObject("b", "2", 20, "y")])

    digest = (object_digest("a", "1") + object_digest("b", "2")) % 2**63
    there = (replica_digest("a", 10, "x") + replica_digest("b", 20, "y")) % 2**63
    assert folded == SealedDay(2, 30, digest, exact=True, replica_digest=there, replica_exact=True)


@pytest.mark.parametrize(
    ("odd", "exact"),
    [(SealedObject("b", None, 20, "y"), (False, True)), (SealedObject("b", "2", 20, ""), (True, False))],
)
def test_a_day_with_an_unknown_etag_of_one_side_is_not_exact_there(odd: SealedObject, exact: tuple[bool, bool]) -> None:
    folded = fold_day([SealedObject("a", "1", 10, "x"), odd])

    assert (folded.exact, folded.replica_exact) == exact


def test_the_digest_of_replicas_tells_key_size_and_etag_apart() -> None:
    told = [("a", 1, "b"), ("a=1", 1, "b"), ("a", 11, "b"), ("a", 1, "1b"), ("b", 1, "a")]

    assert len({replica_digest(*item) for item in told}) == len(told)


def test_the_digest_tells_key_and_etag_apart() -> None:
    pairs = [("a", "b"), ("ab", ""), ("", "ab"), ("a", None), ("a=b", None), ("a", "b=")]

    assert len({object_digest(key, etag) for key, etag in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 60), (2, 120), (3, 240), (6, 1920), (7, 3600), (8, 3600), (10**9, 3600)]
)
def test_backoff_doubles_from_a_minute_to_an_hour(attempts: int, seconds: float) -> None:
    assert backoff_seconds(attempts) == seconds


def test_a_report_comes_back_as_it_was() -> None:
    report = TickReport(
        job="b",
        outcome="partial",
        mode="stream",
        listed=3,
        conflicts=(("key", "other content"),),
        skipped={"archived": 2},
        failed=(FailedObject(key="key", reason="gone", detail="detail"),),
        requests={"GetObject": 1},
        started_at=1.5,
        error=JobError(reason="access_denied", detail="detail", remedy="remedy"),
    )

    assert report_from_json(report_to_json(report)) == report


def test_what_a_report_quotes_is_bounded() -> None:
    long = "a" * 5000 + "b" * 5000
    report = TickReport(
        job="b",
        outcome="failed",
        failed=[FailedObject(key="key", reason="gone", detail=long)] * 1000,
        uncovered=[f"folder-{number}/" for number in range(100_000)],
        error=JobError(reason="unexpected_answer", detail=long, remedy="remedy"),
    )

    back = report_from_json(report_to_json(report))

    assert back.error is not None
    assert (back.error.detail[:999], back.error.detail[999], back.error.detail[1000:]) == ("a" * 999, "…", "b" * 1000)
    assert (len(back.failed), len(back.failed[0].detail), len(back.uncovered)) == (20, 2000, 20)


def test_a_text_that_is_none_is_written_out() -> None:
    assert shortened("key \udc80 é") == "key \\udc80 é"


def test_the_size_of_a_day_stays_within_what_a_row_holds() -> None:
    objects = [SealedObject(key, "etag", 2**63 - 1, "etag") for key in "ab"]

    assert fold_day(objects).size_bytes == 2**63 - 2


@pytest.mark.parametrize(
    ("key", "expected"), [("k" * 1024, True), ("k" * 1025, False), ("é" * 512, True), ("é" * 513, False), ("", True)]
)
def test_a_key_has_1024_bytes_at_the_most(key: str, expected: object) -> None:
    assert is_key(key) is expected


def test_folders_are_kept_up_to_a_number_and_a_size() -> None:
    assert children_to_json(["a"] * 10_000) is not None
    assert children_to_json(["a"] * 10_001) is None
    assert children_to_json(["a" * 1000] * 2000) is None


@given(
    st.text("0123456789/:x", max_size=12), st.dates(date(1999, 12, 31), date(2030, 1, 1)), st.sampled_from(["", "x"])
)
@example("2026/11/24/", date(2026, 11, 24), "x")
@example("2026/1", date(2026, 11, 24), "x")
def test_no_tail_of_a_day_whose_key_follows_a_position_is_smaller_than_its_bound(
    rest: str, day: date, name: str
) -> None:
    key = f"{day:%Y/%m/%d}/{name}"
    assume(key > rest)

    assert encode_key(BUCKET, key) >= first_tail_after(rest)


def test_a_report_with_a_field_of_another_version_is_read_without_it() -> None:
    text = report_to_json(TickReport(job="b", outcome="ok")).replace("{", '{"from_elsewhere":1,', 1)

    assert report_from_json(text) == TickReport(job="b", outcome="ok")
