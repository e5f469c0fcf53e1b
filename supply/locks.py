"""The lock files in requirements/, as `make lock` writes them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / "requirements"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)(?: ; (?P<marker>.*?))?(?: \\)?")
_HASH = re.compile(r"    --hash=sha256:(?P<hash>[0-9a-f]{64})(?: \\)?")
_VIA = re.compile(r"    #(?: via)? +(?P<parent>[A-Za-z0-9._-]+)(?: .*)?")


@dataclass
class Pin:
    """One package of a lock file."""

    name: str
    """As indexes normalize it."""
    version: str
    marker: str = ""
    hashes: list[str] = field(default_factory=list)
    """SHA-256 of each file that may be installed, in hexadecimal digits."""
    parents: list[str] = field(default_factory=list)
    """The packages that need it."""


def read_lock(path: Path) -> Sequence[Pin]:
    """Read the packages of a lock file; ValueError for a line that is none of a lock file's."""
    pins: list[Pin] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if found := _PIN.fullmatch(line):
            pins.append(Pin(normalized(found["name"]), found["version"], found["marker"] or ""))
        elif pins and (found := _HASH.fullmatch(line)):
            pins[-1].hashes.append(found["hash"])
        elif pins and (found := _VIA.fullmatch(line)):
            pins[-1].parents += [] if found["parent"] in ("via", "-c") else [normalized(found["parent"])]
        elif line and not line.lstrip().startswith("#"):
            raise ValueError(f"{path}:{number}: not understood: {line}")
    bare = [pin.name for pin in pins if not pin.hashes]
    if bare or not pins:
        raise ValueError(f"{path}: without a hash: {', '.join(bare) or 'everything'}")
    return pins


def normalized(name: str) -> str:
    """Write a package's name as indexes do (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def by_name(pins: Sequence[Pin]) -> Mapping[str, Sequence[Pin]]:
    """Group the packages by name; one may be pinned twice, for different versions of Python."""
    found: dict[str, list[Pin]] = {}
    for pin in pins:
        found.setdefault(pin.name, []).append(pin)
    return found
