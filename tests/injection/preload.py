"""System calls that fail and a clock that jumps, in a program that runs, by a library that is loaded before libc."""

import contextlib
import mmap
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from injection.scene import Scene

_SOURCE = Path(__file__).parent / "preload.c"
_LAYOUT = struct.Struct("=qiiiii")
_FIELDS = ("clock_seconds", "flock_errno", "write_errno", "open_errno", "fork_errno", "hits")


@cache
def library() -> Path:
    """The compiled library; needs a C compiler."""
    path = Path(tempfile.mkdtemp(prefix="syncd-preload-")) / "preload.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, _SOURCE, "-ldl"], check=True)
    return path


class Page:
    """What the library does, to be changed at any time."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(4096))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 4096)

    def set(self, **fields: int) -> None:
        """Sets these fields of struct page in preload.c; all others are 0, and hits stay."""
        values = {"hits": self.hits, **fields}
        _LAYOUT.pack_into(self._memory, 0, *(values.get(name, 0) for name in _FIELDS))

    @property
    def hits(self) -> int:
        """How many calls have failed."""
        return int(_LAYOUT.unpack_from(self._memory)[-1])


@contextlib.contextmanager
def preloaded(scene: Scene, **fields: int) -> Iterator[Page]:
    """Everything that is started within has the library."""
    path = scene.folder / "page"
    page = Page(path)
    page.set(**fields)
    scene.environment |= {
        "LD_PRELOAD": str(library()),
        "FAULT_PAGE": str(path),
        "FAULT_UNDER": str(scene.stage.state),
    }
    try:
        yield page
    finally:
        page.set()
        scene.environment.clear()
