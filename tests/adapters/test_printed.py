"""What a credential helper prints is read to its end, whenever that comes."""

import os
from typing import Any

import pytest

from syncd.aws.identity import lookups


def test_what_is_printed_just_before_the_end_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after the pipes were found silent, and before the helper is found to have ended."""
    read, write = os.pipe()
    other, kept_open = os.pipe()
    told: list[int] = []

    def ended(*_: int) -> Any:
        if not told:
            told.append(os.write(write, b"keys"))
        return object()

    monkeypatch.setattr(lookups, "_SILENT_MS", 1)
    monkeypatch.setattr(lookups.os, "waitid", ended)
    printed = lookups._printed(1, read, other)
    for descriptor in (read, write, other, kept_open):
        os.close(descriptor)

    assert printed == (b"keys", b"")
