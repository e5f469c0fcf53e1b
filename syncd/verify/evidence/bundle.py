"""A bundle: all that an audit read, in one file, so that anybody can repeat the verdict without the replica.

It is a tar of gzip: `asked.json` (what was asked), `keys.json` (public keys), `objects.jsonl` (every object that was
listed, and the hash of each log, `kept` if it was computed while the log was copied), and `digests/N.json.gz` with `digests/N.json` (the digest as it lies in the
replica, and its metadata). The logs are not in it: what their hashes are worth rests on whoever made the bundle.
"""

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from syncd.model.errors import ConfigError, Problem
from syncd.verify.audit import ReplicaReader
from syncd.verify.evidence.members import ASKED, DIGEST, OBJECT, VERSION, AskedMember, ObjectMember, PlaceMember, member
from syncd.verify.keystore import keys_of, keys_text
from syncd.verify.rules.chain import Found
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.passing import Nothing, Passing
from syncd.verify.rules.place import Place, Stored
from syncd.verify.rules.verdict import Finding, Flaw

LARGEST_BYTES = 1024**3
"""Of all members together, uncompressed: they are held in memory."""
_MEMBERS = re.compile(r"asked\.json|keys\.json|objects\.jsonl|digests/[0-9]{8,}\.json(\.gz)?")


class Hashed(NamedTuple):
    """A log and its hash, or what is wrong with it."""

    key: str
    found: str | Finding
    is_kept: bool = False
    """It was not read."""


class Bundled(NamedTuple):
    """A bundle, read."""

    asked: AskedMember
    keys: Keys
    places: Sequence[Place]
    replica: "BundledReplica"


Recorder: TypeAlias = Callable[[Stored | Found | Hashed], None]


class Recording:
    """A replica whose answers are written down as they come, so that the audit can be repeated without it."""

    def __init__(self, replica: ReplicaReader, passing: Passing, record: Recorder) -> None:
        self._replica, self._passing, self._record = replica, passing, record

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        """See `ReplicaReader`."""
        for item in self._replica.keys(prefix, first, last):
            self._record(item)
            yield item

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        """See `ReplicaReader`."""
        for found in self._replica.digests(items):
            self._record(found)
            yield found

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        """See `ReplicaReader`."""
        for item, found in self._replica.hashes(items):
            self._record(Hashed(item.key, found))
            yield item, found

    # And what was computed while logs were copied.

    def kept(self, items: Sequence[Stored]) -> Mapping[str, str]:
        """See `Passing`."""
        found = self._passing.kept(items)
        self.vouched(found)
        return found

    def witness(self, key: str, day: str) -> int | None:
        """See `Passing`."""
        return self._passing.witness(key, day)

    def vouched(self, hashes: Mapping[str, str]) -> None:
        """See `Passing`."""
        for key, sha256 in hashes.items():
            self._record(Hashed(key, sha256, is_kept=True))


class BundleWriter:
    """Writes down what an audit reads. Not finished until `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The same content gives the same file, so its time is not in it. All are closed by `close`.
        self._file = path.open("wb")
        self._packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0)
        self._tar = tarfile.open(mode="w", fileobj=self._packed)  # noqa: SIM115
        self._objects: dict[str, dict[str, Any]] = {}
        self._digests = 0

    def record(self, what: Stored | Found | Hashed) -> None:
        """Write down one answer of the replica."""
        if isinstance(what, Found):
            self._digests += 1
            about = {
                "key": what.key,
                "signature": what.signature,
                "algorithm": what.algorithm,
                "generated_at": what.generated_at,
            }
            self._add(f"digests/{self._digests:08}.json", json.dumps(about, sort_keys=True).encode())
            self._add(f"digests/{self._digests:08}.json.gz", what.body)
        elif isinstance(what, Stored):
            self._objects.setdefault(what.key, {"size": what.size_bytes, "modified": what.modified})
        else:
            entry = self._objects.setdefault(what.key, {"size": 0, "unlisted": True})
            for field in ("kept", "sha256", "finding"):
                entry.pop(field, None)
            if isinstance(what.found, Finding):
                entry["finding"] = [what.found.flaw.value, what.found.detail]
            else:
                entry["sha256"] = what.found
                entry |= {"kept": True} if what.is_kept else {}

    def close(self, asked: Mapping[str, Any], places: Iterable[Place], keys: Keys) -> None:
        """Write the rest, and close the file."""
        lines = (json.dumps({"key": key, **entry}, sort_keys=True) for key, entry in sorted(self._objects.items()))
        self._add("objects.jsonl", "".join(f"{line}\n" for line in lines).encode())
        self._add("keys.json", keys_text(keys).encode())
        about = {"version": VERSION, **asked, "places": list(map(_member_of, places))}
        self._add("asked.json", json.dumps(about, sort_keys=True, indent=1).encode())
        self._end()

    def discard(self) -> None:
        """Leave no file: what was not read to its end would give another verdict."""
        self._end()
        self._path.unlink(missing_ok=True)

    def _end(self) -> None:
        self._tar.close()
        self._packed.close()
        self._file.close()

    def _add(self, name: str, data: bytes) -> None:
        part = tarfile.TarInfo(name)
        part.size = len(data)
        self._tar.addfile(part, io.BytesIO(data))


class BundledReplica(Nothing):
    """The part of a replica that a bundle holds, read like the replica."""

    def __init__(self, objects: Mapping[str, ObjectMember], digests: Mapping[str, Found]) -> None:
        self._objects, self._digests = objects, digests

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        """List what the audit listed: its span is the bundle's own."""
        del first, last
        for key, entry in self._objects.items():
            if key.startswith(prefix) and not entry.unlisted:
                yield Stored(key, entry.size, modified=entry.modified)

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        """Give the digests, in the order asked for."""
        for item in items:
            if item.key in self._digests:
                yield self._digests[item.key]

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        """Give the hashes that were computed when the bundle was made."""
        for item in items:
            entry = self._objects.get(item.key, ObjectMember())
            if entry.sha256 is not None:
                yield item, entry.sha256
            elif entry.finding is not None:
                yield item, Finding(*entry.finding)
            else:
                yield item, Finding(Flaw.LOG_MISSING, "the bundle has no hash of it")

    def kept(self, items: Sequence[Stored]) -> Mapping[str, str]:
        """Give the hashes of logs that were not read."""
        entries = ((item.key, self._objects.get(item.key, ObjectMember())) for item in items)
        return {key: entry.sha256 for key, entry in entries if entry.kept and entry.sha256 is not None}


def read_bundle(path: Path) -> Bundled:
    """Read a bundle.

    Raises:
        ConfigError: it is none, or cannot be read.
    """
    try:
        with tarfile.open(path, "r:gz") as tar:
            members = dict(_contents(tar))
        asked = member(ASKED, "asked.json", members["asked.json"])
        if asked.version != VERSION:
            raise ValueError(f"it is of version {asked.version}, and this syncd reads version {VERSION}")  # noqa: TRY301
        entries = (member(OBJECT, "objects.jsonl", line) for line in members["objects.jsonl"].splitlines())
        objects = {entry.key: entry for entry in entries}
        keys = Keys(keys_of(json.loads(members["keys.json"])))
        places = list(map(_place_of, asked.places))
        digests = {found.key: found for found in _digests(members)}
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except (tarfile.TarError, zlib.error, EOFError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _unusable(path, f"it has no {error}" if isinstance(error, KeyError) else str(error)) from None
    return Bundled(asked, keys, places, BundledReplica(objects, digests))


def _member_of(place: Place) -> dict[str, Any]:
    named = {**place._asdict(), "kinds": dict(place.kinds), "former": list(map(_member_of, place.former))}
    usual = {"former": [], "is_copied": True}
    return {name: value for name, value in named.items() if name not in usual or value != usual[name]}


def _place_of(item: PlaceMember) -> Place:
    former = tuple(map(_place_of, item.former))
    return Place(item.account, item.region, item.digests, item.kinds, item.organization, former, item.is_copied)


def _contents(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    left = LARGEST_BYTES
    for part in tar:
        left -= part.size
        file = tar.extractfile(part) if part.isfile() and _MEMBERS.fullmatch(part.name) else None
        if file is None:
            raise ValueError(f"{part.name} is no part of a bundle")
        if left < 0:
            raise ValueError(
                f"it unpacks to more than {LARGEST_BYTES} bytes: make bundles of shorter spans (--from, --to)"
            )
        yield part.name, file.read()


def _digests(members: Mapping[str, bytes]) -> Iterator[Found]:
    for name, raw in members.items():
        if name.startswith("digests/") and name.endswith(".json"):
            about = member(DIGEST, name, raw)
            yield Found(about.key, members[f"{name}.gz"], about.signature, about.algorithm, about.generated_at)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError([Problem(str(path), "", f"it is no bundle of `syncd verify --bundle`: {why}")])
