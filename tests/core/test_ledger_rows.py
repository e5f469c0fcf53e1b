"""How keys, ETags and days are written down: exact both ways, whatever they are."""

import string
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from syncd.ledger_rows import (
    SealedDay,
    SealedObject,
    backoff_seconds,
    checksum,
    day_of,
    decode_etag,
    decode_etags,
    decode_key,
    encode_etag,
    encode_etags,
    encode_key,
    encode_keys,
    first_dated_tail,
    first_tail,
    fold_day,
    is_whole,
    last_tail,
    object_checksum,
    object_digest,
    object_etags,
    old_checksum,
    replica_digest,
    report_from_json,
    report_to_json,
    shortened,
    with_checksum,
)
from syncd.model import FailedObject, JobError, Shard, TickReport

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


@given(st.text(), st.text())
def test_different_etags_are_written_differently(one: str, other: str) -> None:
    assume(one != other)

    assert encode_etag(one) != encode_etag(other)


MD5S = st.text("0123456789abcdef", min_size=32, max_size=32)
ETAGS = st.one_of(MD5S, st.text(max_size=40), st.integers(0, 40).map("x".__mul__), MD5S.map("{}-12".format))


@given(st.one_of(st.none(), ETAGS), ETAGS)
@example("", "")
@example("", "x" * 11)
@example("x" * 11, "")
@example("x" * 5, "x" * 6)
@example("d41d8cd98f00b204e9800998ecf8427e", "")
@example("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e")
@example("", "21" * 16)
@example("21" * 16, "ff" * 16)
def test_both_etags_come_back(etag: str | None, replica_etag: str) -> None:
    # Of an object whose own ETag is not known, that of its replica is not kept.
    expected = (None, "") if etag is None else (etag, replica_etag)

    assert decode_etags(encode_etags(etag, replica_etag)) == expected


@pytest.mark.parametrize("first", range(20))
@pytest.mark.parametrize("second", range(20))
def test_no_two_texts_of_any_length_are_taken_for_an_md5(first: int, second: int) -> None:
    raw = encode_etags("a" * first, "b" * second)

    assert raw is not None
    assert len(raw) != 16
    assert decode_etags(raw) == ("a" * first, "b" * second)


@given(st.tuples(ETAGS, ETAGS), st.tuples(ETAGS, ETAGS))
def test_different_pairs_of_etags_are_written_differently(one: tuple[str, str], other: tuple[str, str]) -> None:
    assume(one != other)

    assert encode_etags(*one) != encode_etags(*other)


def test_a_replica_with_the_sources_md5_takes_no_room_of_its_own() -> None:
    md5 = "d41d8cd98f00b204e9800998ecf8427e"

    assert encode_etags(md5, md5) == bytes.fromhex(md5)


@given(ETAGS, ETAGS)
def test_a_row_tells_both_etags(etag: str, replica_etag: str) -> None:
    raw = encode_etags(etag, replica_etag)

    assert object_etags(7, "x", raw, 5, object_checksum(7, "x", raw, 5)) == (etag, replica_etag)


@given(st.one_of(st.none(), ETAGS))
def test_a_row_of_schema_1_tells_nothing_of_the_replica(etag: str | None) -> None:
    raw = encode_etag(etag)

    assert object_etags(7, "x", raw, 5, old_checksum(7, "x", raw, 5)) == (etag, "")


@pytest.mark.parametrize("check", [0, None, "", 1.5, b"", 2**40])
def test_a_row_with_another_checksum_tells_nothing(check: object) -> None:
    assert object_etags(7, "x", b"0123456789abcdef", 5, check) is None


@pytest.mark.parametrize("bit", range(24))
@pytest.mark.parametrize("of", [object_checksum, old_checksum])
def test_a_flipped_bit_of_a_checksum_is_noticed(of: Callable[..., int], bit: int) -> None:
    row = (7, "x", b"0123456789abcdef", 5)

    assert object_etags(*row, of(*row) ^ (1 << bit)) is None


folders = st.sampled_from(
    [f"20{year}/{month:02}/{day:02}/" for year in (24, 26) for month in (1, 11) for day in (9, 24)]
)
cut_folders = st.builds(lambda folder, end, more: folder[:end] + more, folders, st.integers(0, 11), names)


@given(folders, names, st.one_of(names, cut_folders))
@example("2026/11/24/", "x", "2026/1:")
@example("2026/11/24/", "x", "2026.")
def test_no_later_key_with_a_day_has_a_smaller_tail_than_the_first(folder: str, name: str, after: str) -> None:
    key = folder + name

    assert key <= after or encode_key(SHARD, SHARD.prefix + key) >= first_dated_tail(after)


@pytest.mark.parametrize(
    ("after", "tail"),
    [
        ("", ""),
        ("2026/11/24/111111111111_x", "20261124"),
        ("2026/11/24", "20261124"),
        ("2026/11/24x", "20261124="),
        ("2026/1", "20261"),
        ("2026/1x", "20261="),
        ("2026-1", "2026"),
        ("2026", "2026"),
        ("2026=", "2026="),
        ("!", ""),
        ("x", "="),
    ],
)
def test_where_later_keys_with_a_day_begin_is_as_near_as_what_is_told(after: str, tail: str) -> None:
    assert first_dated_tail(after) == tail


@pytest.mark.parametrize("length", [0, 1, 1999, 2000, 2001, 100_000])
def test_a_long_text_is_cut_in_its_middle(length: int) -> None:
    text = "a" * (length // 2) + "b" * (length - length // 2)

    cut = shortened(text)

    assert len(cut) == min(length, 2000)
    assert (cut[:900], cut[-900:]) == (text[:900], text[-900:])
    assert (cut == text) == (length <= 2000)


def test_a_text_that_is_no_unicode_is_kept_in_a_form_that_is() -> None:
    assert shortened("key \udc80 é") == "key \\udc80 é"


@pytest.mark.parametrize("position", range(31 * 8))
def test_each_flipped_bit_of_a_tail_changes_the_checksum(position: int) -> None:
    tail, etag = encode_key(SHARD, USUAL).encode(), bytes(range(16))
    flipped = bytearray(tail)
    flipped[position // 8] ^= 1 << position % 8
    flipped_text = flipped.decode("utf-8", "surrogateescape")

    assert object_etags(7, flipped_text, etag, 1234, object_checksum(7, tail.decode(), etag, 1234)) is None
    assert object_etags(7, flipped_text, etag, 1234, old_checksum(7, tail.decode(), etag, 1234)) is None


@pytest.mark.parametrize("position", range(16 * 8))
def test_each_flipped_bit_of_an_etag_changes_the_checksum(position: int) -> None:
    flipped = bytearray(range(16))
    flipped[position // 8] ^= 1 << position % 8

    assert object_etags(7, "x", bytes(flipped), 1234, object_checksum(7, "x", bytes(range(16)), 1234)) is None
    assert object_etags(7, "x", bytes(flipped), 1234, old_checksum(7, "x", bytes(range(16)), 1234)) is None


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


sealed_objects = st.builds(
    SealedObject, st.text(), st.one_of(st.none(), st.text()), st.integers(0, 2**40), st.one_of(st.just(""), st.text())
)


@given(st.lists(sealed_objects), st.randoms())
def test_the_fold_of_a_day_does_not_depend_on_the_order(objects: list[SealedObject], random: object) -> None:
    shuffled = sorted(objects, key=lambda _: random.random())  # type: ignore[attr-defined]

    assert fold_day(objects) == fold_day(shuffled)


@given(st.lists(sealed_objects), st.integers(0, 20))
def test_a_day_folded_in_two_parts_is_the_day_folded_at_once(objects: list[SealedObject], cut: int) -> None:
    assert fold_day(objects[cut:], onto=fold_day(objects[:cut])) == fold_day(objects)


def test_the_digests_of_a_day_are_the_sums_of_those_of_its_objects_and_of_their_replicas() -> None:
    folded = fold_day([SealedObject("a", "1", 10, "x"), SealedObject("b", "2", 20, "y")])

    digest = (object_digest("a", "1") + object_digest("b", "2")) % 2**63
    there = (replica_digest("a", 10, "x") + replica_digest("b", 20, "y")) % 2**63
    assert folded == SealedDay(2, 30, digest, exact=True, replica_digest=there, replica_exact=True)


def test_a_day_with_an_unknown_etag_is_not_exact() -> None:
    folded = fold_day([SealedObject("a", None, 10, "x"), SealedObject("b", "2", 20, "y")])

    assert (folded.exact, folded.replica_exact) == (False, True)


def test_a_day_with_an_unknown_replica_is_not_exact_there() -> None:
    folded = fold_day([SealedObject("a", "1", 10, ""), SealedObject("b", "2", 20, "y")])

    assert (folded.exact, folded.replica_exact) == (True, False)


def test_the_digest_of_a_replica_tells_key_size_and_etag_apart() -> None:
    replicas = [("a", 1, "b"), ("a", 11, "b"), ("a=1", 1, "b"), ("a", 1, "1b"), ("a", 1, ""), ("a=", 1, "b")]

    assert len({replica_digest(*replica) for replica in replicas}) == len(replicas)


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


def test_a_report_is_kept_without_what_a_source_can_make_long() -> None:
    report = TickReport(
        job="b",
        outcome="partial",
        conflicts=[("key", "x" * 10_000)] * 100,
        conflict_count=5000,
        failed=[FailedObject(key="key", reason="gone", detail="x" * 10_000)] * 100,
        failed_count=7000,
        uncovered=["AWSLogs/odd/"] * 1000,
        error=JobError(reason="access_denied", detail="x" * 10_000, remedy="remedy"),
    )

    kept = report_from_json(text := report_to_json(report))

    assert len(text) < 20_000
    assert (kept.conflict_count, kept.failed_count) == (5000, 7000)
    assert (len(kept.conflicts), len(kept.failed), len(kept.uncovered)) == (20, 20, 20)
    assert kept.error is not None
    assert len(kept.error.detail) == 2000


def test_a_report_with_a_field_of_another_version_is_read_without_it() -> None:
    text = report_to_json(TickReport(job="b", outcome="ok")).replace("{", '{"from_elsewhere":1,', 1)

    assert report_from_json(text) == TickReport(job="b", outcome="ok")
