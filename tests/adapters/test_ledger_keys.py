"""Keys of all sorts in one shard: the ledger answers as a plain set of keys would."""

from collections.abc import Callable
from itertools import count

import pytest
from builders_ledger import MD5, NOW, SHARD, copied, replica, sealed
from fakes_ledger import MemoryLedger, MemoryLedgerFile
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.objects import Known

STEM = "111111111111_CloudTrail_us-east-1_"
PIECES = [
    "2026/11/24/",
    "2026/11/25/",
    "2026/",
    STEM,
    "20261124",
    "20261125",
    "T0815Z_x",
    ".json.gz",
    ":",
    "<",
    "=",
    "0",
    "z",
]
relative = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    st.builds(
        "2026/11/{0:02}/{1}202611{0:02}T0815Z_{2}.json.gz".format,
        st.integers(20, 28),
        st.just(STEM),
        st.text("ab", max_size=2),
    ),
)
keys = relative.map(SHARD.prefix.__add__)
positions = st.one_of(keys, relative, st.just(""), st.just(SHARD.prefix), st.sampled_from(["A", "Z"]))


Fresh = Callable[[], ReplicaLedger | MemoryLedger]


@pytest.fixture(scope="module", params=["disk", "memory"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """An empty ledger each time it is called: an example's own replica in one file."""
    on_disk = LedgerFile(tmp_path_factory.mktemp("ledger"), now=lambda: NOW)
    file = on_disk if request.param == "disk" else MemoryLedgerFile()
    numbers = count()
    return lambda: file.open(replica(f"bucket-{next(numbers)}"), "b")


@given(remembered=st.sets(keys, max_size=12), page=st.sets(keys, max_size=12))
def test_exactly_the_remembered_keys_of_a_page_are_known(fresh: Fresh, remembered: set[str], page: set[str]) -> None:
    with fresh() as ledger:
        ledger.record([copied(name) for name in remembered], [], now=NOW)

        assert ledger.known(SHARD, sorted(page)) == dict.fromkeys(page & remembered, Known(MD5, 100, MD5))


@given(remembered=st.sets(keys, max_size=12), position=positions)
def test_a_later_key_is_told_as_the_order_of_keys_says(fresh: Fresh, remembered: set[str], position: str) -> None:
    with fresh() as ledger:
        ledger.record([copied(name) for name in remembered], [], now=NOW)

        assert ledger.has_known_after(SHARD, position) == any(name > position for name in remembered)


@given(remembered=st.sets(keys, max_size=12), position=positions, limit=st.integers(1, 14))
def test_the_rows_after_a_position_are_the_next_in_the_order_of_keys(
    fresh: Fresh, remembered: set[str], position: str, limit: int
) -> None:
    with fresh() as ledger:
        ledger.record([copied(name) for name in remembered], [], now=NOW)

        following = [name for name in sorted(remembered) if name > position]
        rows = [name for name, _ in ledger.remembered(SHARD, position, limit=limit)]
        assert rows == following[: len(rows)]
        assert len(rows) >= min(limit, len(following))


@given(
    remembered=st.sets(keys, max_size=12),
    bound=st.sampled_from(["2026-11-20", "2026-11-24", "2026-11-25", "9999-12-31"]),
)
def test_exactly_the_days_before_the_bound_are_sealed(fresh: Fresh, remembered: set[str], bound: str) -> None:
    days = {name: name[len(SHARD.prefix) :][:11].replace("/", "-") for name in remembered}
    dated = {
        name: day[:10]
        for name, day in days.items()
        if len(day) == 11 and day.startswith("2026-11-2") and day.endswith("-")
    }
    old = {name: day for name, day in dated.items() if day < bound}

    with fresh() as ledger:
        ledger.record([copied(name) for name in remembered], [], now=NOW)
        folded = ledger.seal(SHARD, bound, limit=1000)

        assert folded == len(old)
        assert ledger.known(SHARD, sorted(remembered)).keys() == remembered - old.keys()
        assert ledger.sealed(SHARD, "", "9") == {
            day: sealed(*(name for name in old if old[name] == day)) for day in old.values()
        }


@given(remembered=st.sets(keys, max_size=40), limit=st.integers(1, 6))
@example(remembered={SHARD.prefix, f"{SHARD.prefix}a"}, limit=1)
def test_going_on_from_the_last_row_leads_through_all_of_them(fresh: Fresh, remembered: set[str], limit: int) -> None:
    met: list[str] = []

    with fresh() as ledger:
        ledger.record([copied(name) for name in remembered], [], now=NOW)
        while rows := ledger.remembered(SHARD, met[-1] if met else "", limit=limit):
            met += [name for name, _ in rows]
            if len(rows) < limit:
                break

    assert met == sorted(remembered)
