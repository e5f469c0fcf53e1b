"""Bundles that somebody made to hurt whoever reads them: refused before they are unpacked."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from syncd.model.errors import ConfigError
from syncd.verify.evidence.bundle import LARGEST_BYTES, read_bundle
from syncd.verify.session import Files, prove_offline


def hostile(path: Path, name: str, *, kind: bytes = tarfile.REGTYPE, size: int = 2) -> Path:
    """A tar with one member, whose header says what it likes."""
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, 0 if kind != tarfile.REGTYPE else 2, "/etc/hostname"
    with tarfile.open(path, "w:gz") as tar:
        if size > 2:
            member.size = size
            assert tar.fileobj is not None
            tar.fileobj.write(member.tobuf())
        else:
            tar.addfile(member, io.BytesIO(b"{}"))
    return path


@pytest.mark.parametrize(
    ("name", "kind", "size", "told"),
    [
        ("zeros", tarfile.REGTYPE, 2, "zeros is no part of a bundle"),
        ("../asked.json", tarfile.REGTYPE, 2, "is no part of a bundle"),
        ("digests/1.json", tarfile.REGTYPE, 2, "is no part of a bundle"),
        ("asked.json", tarfile.SYMTYPE, 0, "asked.json is no part of a bundle"),
        ("objects.jsonl", tarfile.REGTYPE, LARGEST_BYTES + 1, "shorter spans"),
        ("asked.json", tarfile.REGTYPE, 2, "version"),
    ],
)
def test_a_bundle_holds_its_own_members_and_no_more_than_memory_allows(
    tmp_path: Path, name: str, kind: bytes, size: int, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        read_bundle(hostile(tmp_path / "bundle.tar.gz", name, kind=kind, size=size))


ASKED: dict[str, Any] = {
    "version": 1,
    "job": "account-b",
    "bucket": "trail-bucket",
    "first": 0.0,
    "last": 1795507200.0,
    "newest": {"d/": [[1795478400.0, "d/x"]]},
    "places": [{"account": "111111111111", "region": "us-east-1", "digests": "d/", "kinds": {"CloudTrail": "c/"}}],
}
KEY = "d/2026/11/24/111111111111_CloudTrail-Digest_us-east-1_t_us-east-1_20261124T080000Z.json.gz"
MEMBERS: dict[str, Any] = {
    "asked.json": ASKED,
    "keys.json": {"PublicKeyList": []},
    "objects.jsonl": {"key": KEY, "size": 3, "modified": 1.0},
    "digests/00000001.json": {"key": KEY, "signature": "00", "algorithm": "SHA256withRSA", "generated_at": None},
}


def packed(path: Path, name: str = "asked.json", change: Callable[[Any], object] = lambda _: None) -> Path:
    """A bundle, of which one member says something else."""
    members = json.loads(json.dumps(MEMBERS))
    change(members[name])
    with tarfile.open(path, "w:gz") as tar:
        for member, document in members.items():
            add(tar, member, json.dumps(document).encode())
        add(tar, "digests/00000001.json.gz", gzip.compress(b"{}"))
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


HOSTILE: list[tuple[str, str, Any]] = [
    ("asked.json", "first", "yesterday"),
    ("asked.json", "last", float("nan")),
    ("asked.json", "last", 1e300),
    ("asked.json", "last", 0),
    ("asked.json", "job", "../../outside"),
    ("asked.json", "job", ["account-b"]),
    ("asked.json", "bucket", None),
    ("asked.json", "trail_buckets", "former"),
    ("asked.json", "newest", {"d/": [1.0, "d/x"]}),
    ("asked.json", "newest", []),
    ("asked.json", "places", {}),
    ("asked.json", "places", [{"account": "1", "region": "\u001b[2J", "digests": "d/", "kinds": {}}]),
    ("asked.json", "places", [{"account": "1", "region": "r", "digests": "d/", "kinds": ["c/"]}]),
    ("keys.json", "PublicKeyList", ["key"]),
    ("keys.json", "PublicKeyList", None),
    ("objects.jsonl", "key", 7),
    ("objects.jsonl", "size", "3"),
    ("objects.jsonl", "modified", "1"),
    ("objects.jsonl", "sha256", 7),
    ("objects.jsonl", "finding", ["no such word", ""]),
    ("objects.jsonl", "finding", {}),
    ("digests/00000001.json", "signature", 7),
    ("digests/00000001.json", "algorithm", []),
    ("digests/00000001.json", "generated_at", "soon"),
]


def test_a_bundle_that_says_nothing_wrong_is_judged(tmp_path: Path) -> None:
    (proof,) = prove_offline(Files(), packed(tmp_path / "bundle.tar.gz")).proofs

    assert proof.verdict == "unproved"


@pytest.mark.parametrize(("name", "field", "value"), HOSTILE)
def test_a_bundle_of_other_types_is_refused_and_the_member_is_named(
    tmp_path: Path, name: str, field: str, value: Any
) -> None:
    bundle = packed(tmp_path / "bundle.tar.gz", name, lambda member: member.update({field: value}))

    with pytest.raises(ConfigError, match="no bundle of `syncd verify --bundle`: ") as caught:
        prove_offline(Files(), bundle)

    assert name in str(caught.value) or name == "keys.json"


def test_a_bundle_that_was_damaged_on_the_way_is_refused_or_read(tmp_path: Path) -> None:
    raw = bytearray(packed(tmp_path / "whole.tar.gz").read_bytes())
    for position in range(12, len(raw), 7):
        damaged = raw.copy()
        damaged[position] ^= 0xFF
        path = tmp_path / "damaged.tar.gz"
        path.write_bytes(damaged)
        with suppress(ConfigError):
            prove_offline(Files(), path)
