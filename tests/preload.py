"""System calls that fail and a clock that is set, in a program that runs, by a library that is loaded before libc."""

import mmap
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_SOURCE = Path(__file__).with_name("preload.c")
_HEAD = struct.Struct("=qi")
_BYTES = 4096


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    """The folder of the compiled library, which goes with this process."""
    folder = tempfile.TemporaryDirectory(prefix="syncd-preload-")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", _library(folder), _SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return folder


def _library(folder: "tempfile.TemporaryDirectory[str]") -> str:
    return str(Path(folder.name) / "preload.so")


class Preload:
    """What the library does to programs with this environment, to be changed at any time. Needs a C compiler."""

    def __init__(self, page: Path, *, rules: str = "", ahead_seconds: int = 0) -> None:
        """`page` is a file that is made for it; the rest is as of `set`."""
        page.write_bytes(bytes(_BYTES))
        with page.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _BYTES)
        self.environment = {"LD_PRELOAD": _library(_folder()), "FAULT_PAGE": str(page)}
        self.set(rules=rules, ahead_seconds=ahead_seconds)

    def set(self, *, rules: str = "", ahead_seconds: int = 0) -> None:
        """Sets the calls that fail, as in preload.c, and by how much the clock is ahead of the kernel's."""
        text = rules.encode() + b"\0"
        # No rule is read before all of it is there.
        self._memory[_HEAD.size] = 0
        self._memory[_HEAD.size + 1 : _HEAD.size + len(text)] = text[1:]
        self._memory[_HEAD.size] = text[0]
        _HEAD.pack_into(self._memory, 0, ahead_seconds, self.hits)

    @property
    def hits(self) -> int:
        """How many calls have failed."""
        return int(_HEAD.unpack_from(self._memory)[1])
