"""Checksums by AWS's C runtime, against its own module and against published values."""

import sys
from base64 import b64decode
from types import SimpleNamespace

import pytest
from awscrt import checksums as runtime
from hypothesis import given
from hypothesis import strategies as st

from syncd.copy.hashes import checksums
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


@pytest.mark.parametrize("lacking", ["functions", "library", "ctypes"])
def test_without_what_it_takes_to_call_them_the_runtime_is_loaded(
    lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that does not show its functions; an installation without the library; a Python without ctypes."""
    found = {"functions": SimpleNamespace(origin=None), "library": None}
    checksums._of_the_runtime.cache_clear()
    with monkeypatch.context() as patched:
        if lacking == "ctypes":
            patched.setitem(sys.modules, "ctypes", None)
        else:
            patched.setattr("importlib.util.find_spec", lambda _: found[lacking])
        made = checksums._of_the_runtime("crc64nvme")
    checksums._of_the_runtime.cache_clear()

    assert made is runtime.crc64nvme
