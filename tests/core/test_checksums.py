"""Checksums by AWS's C runtime, against its own module and against published values."""

from base64 import b64decode

import pytest
from awscrt import checksums as runtime
from hypothesis import given
from hypothesis import strategies as st

from syncd.copy.hashes.checksums import CRC64NVME, Sum, sum_of

CRC32C = "x-amz-checksum-crc32c"
NAMES = {CRC32C: (runtime.crc32c, 4), CRC64NVME: (runtime.crc64nvme, 8)}


# The check values of https://reveng.sourceforge.io/crc-catalogue/all.htm, for CRC-32/ISCSI and CRC-64/NVME.
@pytest.mark.parametrize(("name", "check"), [(CRC32C, "e3069283"), (CRC64NVME, "ae8b14860a799888")])
def test_the_published_check_values_come_out(name: str, check: str) -> None:
    assert b64decode(sum_of(name, b"123456789")).hex() == check


@pytest.mark.parametrize("name", NAMES)
@given(pieces=st.lists(st.binary(max_size=300), max_size=5), cut=st.integers(0, 9))
def test_any_pieces_of_any_buffer_make_the_checksum_of_the_whole(name: str, pieces: list[bytes], cut: int) -> None:
    compute, size_bytes = NAMES[name]
    made = Sum(name)
    for piece in pieces:
        made.take(memoryview(bytearray(piece))[cut:])

    whole = b"".join(piece[cut:] for piece in pieces)
    assert b64decode(made.value) == compute(whole).to_bytes(size_bytes)


def test_what_is_no_buffer_is_refused() -> None:
    with pytest.raises(TypeError):
        sum_of(CRC64NVME, 5)  # type: ignore[arg-type]


def test_a_runtime_that_does_not_show_its_functions_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.copy.hashes import checksums  # noqa: PLC0415

    checksums._of_the_runtime.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    try:
        assert checksums._of_the_runtime("crc64nvme") is runtime.crc64nvme
    finally:
        checksums._of_the_runtime.cache_clear()
