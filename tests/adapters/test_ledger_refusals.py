"""What a source says is never damage of our file: what cannot be remembered is refused, and the others' rows stay."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from builders_ledger import NOW, SHARD, copied, failed, key, log_object, replica, transfer

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.ledger.sqlite import _LONGEST_VALUE_BYTES
from syncd.model.errors import LedgerCorrupt, LedgerRefused
from syncd.model.objects import Conflict, Copied, Failed, LogObject, Outcome, ShardState
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport

A, B = key("2026-11-24", "A"), key("2026-11-24", "B")
HONEST = replica("example-c-logs")
LONG = "x" * 5000
TOO_BIG = "x" * (_LONGEST_VALUE_BYTES + 1)
NOT_TEXT = "\udc80"


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    with file.open(HONEST, "c") as ledger:
        ledger.set_start(NOW)
        ledger.save_shards([ShardState(shard=SHARD)], discovered_at=NOW)
        ledger.record([copied(A), failed(B)], [], now=NOW)
    return file


def item(**changes: object) -> LogObject:
    return log_object(A)._replace(**changes)  # type: ignore[arg-type]


def below(name: str) -> str:
    return SHARD.prefix + name


def recorded(outcome: Outcome) -> Callable[[ReplicaLedger], object]:
    return lambda ledger: ledger.record([copied(B), outcome], [], now=NOW)


REFUSED = {
    "an ETag that is too long": recorded(Copied(transfer(item(etag="x" * 5000)))),
    "a key that is too long": recorded(Copied(transfer(item(key=below(LONG))))),
    "a key that SQLite calls too big": recorded(Copied(transfer(item(key=below(TOO_BIG))))),
    "a key that is no text": recorded(Copied(transfer(item(key=below(NOT_TEXT))))),
    "a size beyond 64 bits": recorded(Copied(transfer(item(size_bytes=2**63)))),
    "a held key that is too long": recorded(Failed(transfer(item(key=below(LONG))), "archived", "")),
    "a held key that SQLite calls too big": recorded(Failed(transfer(item(key=below(TOO_BIG))), "archived", "")),
    "a held key that is no text": recorded(Failed(transfer(item(key=below(NOT_TEXT))), "archived", "")),
    "a held ETag that is too long": recorded(Failed(transfer(item(etag=LONG)), "archived", "")),
    "a held ETag that is no text": recorded(Conflict(transfer(item(etag=NOT_TEXT)), "")),
    "a held size beyond 64 bits": recorded(Failed(transfer(item(size_bytes=-(2**64))), "archived", "")),
    "a held storage class that is too long": recorded(Failed(transfer(item(storage_class=TOO_BIG)), "archived", "")),
    "a time that is no number": recorded(Failed(transfer(item(last_modified=math.nan)), "archived", "")),
    "an adopted key that is no text": lambda it: it.record([], [(SHARD, item(key=below(NOT_TEXT)), "")], now=NOW),
    "a shard that is no text": lambda it: it.save_shards([ShardState(shard=SHARD._replace(prefix=NOT_TEXT))]),
    "a shard that SQLite calls too big": lambda it: it.save_shards([ShardState(shard=SHARD._replace(prefix=TOO_BIG))]),
    "a cursor that is no text": lambda it: it.save_shards([ShardState(shard=SHARD, deep_key=NOT_TEXT)]),
    "a cursor that is no number": lambda it: it.save_shards([ShardState(shard=SHARD, frontier=math.nan)]),
    "a folder that is no text": lambda it: it.save_looked_at({NOT_TEXT: (NOW, ())}),
    "an uncovered folder that is no text": lambda it: it.save_uncovered([NOT_TEXT], now=NOW),
    "an uncovered folder that SQLite calls too big": lambda it: it.save_uncovered([TOO_BIG], now=NOW),
    "a key that is asked for and no text": lambda it: it.known(SHARD, [below(NOT_TEXT)]),
    "a key that is asked for and too big": lambda it: it.known(SHARD, [below(TOO_BIG)]),
    "a held key that is asked for and no text": lambda it: it.held(NOT_TEXT),
    "a held key that is asked for and too big": lambda it: it.accept(TOO_BIG),
    "a shard that is asked for and too big": lambda it: it.sealed(SHARD._replace(prefix=TOO_BIG), "", "9"),
}
TAKEN = {
    "a folder that is too long": lambda it: it.save_looked_at({"p/": (NOW, (TOO_BIG,))}),
    "an answer that is too big": recorded(Failed(transfer(item()), "archived", TOO_BIG)),
    "an answer that is no text": recorded(Failed(transfer(item()), "archived", NOT_TEXT)),
    "a replica's ETag that is too long": recorded(Copied(transfer(item()), TOO_BIG)),
    "an ETag that is no text": recorded(Copied(transfer(item(etag=NOT_TEXT)))),
    "a time without end": recorded(Failed(transfer(item(last_modified=math.inf)), "archived", "")),
    "a size below nothing": recorded(Copied(transfer(item(size_bytes=-1)))),
    "too many folders": lambda it: it.save_looked_at(
        {"p/": (NOW, tuple(f"p/{n:05}{'x' * 945}/" for n in range(67_200)))}
    ),
    "a verdict that is too big": lambda it: it.set_mode_verdict("stream", TOO_BIG + NOT_TEXT),
    "a report that is too big": lambda it: it.record_tick(
        TickReport(job="b", outcome="ok", conflicts=[(A, TOO_BIG)], uncovered=["p/" * 400] * 10**5), kind="tick"
    ),
}


def honest_rows(file: LedgerFile) -> list[dict[str, object]]:
    with file.open_readonly() as reader:
        return list(reader.export("c"))


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_remembered_is_refused_and_condemns_nothing(
    file: LedgerFile, act: Callable[[ReplicaLedger], object]
) -> None:
    before = honest_rows(file)

    with file.open(replica(), "b") as ledger:
        ledger.save_shards([ShardState(shard=SHARD)])
        with pytest.raises(LedgerRefused) as raised:
            act(ledger)
        remembered = ledger.known(SHARD, [B])

    assert (raised.value.reason, remembered) == (Reason.UNEXPECTED, {})
    assert len(str(raised.value)) < 3000
    assert (file.move_aside(), honest_rows(file)) == (None, before)


@pytest.mark.parametrize("act", TAKEN.values(), ids=TAKEN)
def test_what_can_be_cut_is_remembered_as_far_as_it_is_of_use(
    file: LedgerFile, act: Callable[[ReplicaLedger], object]
) -> None:
    before, size = honest_rows(file), file.path.stat().st_size

    with file.open(replica(), "b") as ledger:
        act(ledger)
        ledger.quarantined()
        ledger.looked_at()

    assert (file.move_aside(), honest_rows(file)) == (None, before)
    assert file.path.stat().st_size < size + 3 * 1024 * 1024


def test_sizes_that_add_up_to_more_than_64_bits_fold_into_a_day(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(name, size=2**63 - 1) for name in (A, B)], [], now=NOW)
        ledger.record([failed(key("2026-11-24", name)) for name in "CD"], [], now=NOW)
        assert ledger.seal(SHARD, "2026-11-25", limit=1000) == 2
        assert ledger.sealed(SHARD, "", "9")["2026-11-24"].size_bytes == (2**64 - 2) % 2**63


def test_sizes_of_held_objects_that_add_up_to_more_than_64_bits_are_counted(file: LedgerFile) -> None:
    large = [Failed(transfer(item(key=name, size_bytes=2**63 - 1)), "archived", "") for name in (A, B)]
    with file.open(replica(), "b") as ledger:
        ledger.record(large, [], now=NOW)

        assert ledger.held_counts().objects == 2
    assert file.move_aside() is None


def test_a_page_that_is_damaged_is_found_by_a_statement_that_writes(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([failed(key("2026-11-24", f"{number:05}")) for number in range(500)], [], now=NOW)
    with file.open(replica(), "b"):
        content = bytearray(file.path.read_bytes())
        for page in range(4096, len(content), 4096):
            if b"_00250.json.gz" in content[page : page + 4096]:
                content[page : page + 16] = b"\xff" * 16
        file.path.write_bytes(content)

    with file.open(replica(), "b") as ledger, pytest.raises(LedgerCorrupt):
        ledger.record([failed(key("2026-11-24", "00250"))], [], now=NOW)
    assert file.move_aside() is not None
