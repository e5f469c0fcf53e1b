"""The hash of uncompressed content, computed in passing."""

import gzip
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.copy.hashes.content import ContentHash, content_hash

CONTENT = os.urandom(300_000) + b"0" * 3_000_000
BODY = gzip.compress(CONTENT)
DAMAGED = BODY[:5000] + bytes([BODY[5000] ^ 1]) + BODY[5001:]


@given(st.lists(st.integers(1, len(BODY) - 1), max_size=8))
def test_any_parts_give_the_hash_of_the_whole(cuts: list[int]) -> None:
    content = ContentHash()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(BODY)], strict=True):
        # What another takes that began as a copy changes nothing.
        content.copy().take(b"x")
        content.take(memoryview(BODY)[start:end])

    assert content.sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", BODY[:-1], BODY + b"x", BODY + BODY, DAMAGED],
    ids=["nothing", "no gzip", "cut short", "data after it", "two members", "damaged"],
)
def test_what_no_digest_would_name_has_no_hash(body: bytes) -> None:
    assert content_hash(body) == ""


def test_a_bomb_is_given_up_at_its_bound() -> None:
    content = ContentHash(most=1_000_000)
    content.take(BODY)
    content.take(BODY)

    assert content.sha256 == ""


def test_nothing_is_unpacked_if_no_hash_is_wanted() -> None:
    content = ContentHash(most=0)
    content.take(BODY)

    assert content.sha256 == ""
