"""Bundles that somebody made to hurt whoever reads them: refused before they are unpacked."""

import io
import tarfile
from pathlib import Path

import pytest

from syncd.model.errors import ConfigError
from syncd.verify.evidence.bundle import LARGEST_BYTES, read_bundle


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
