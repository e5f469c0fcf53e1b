"""One wrong line, in a copy of the project."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900


class Mutant(NamedTuple):
    """A module, a text that stands in it exactly once, and what it becomes."""

    module: str
    right: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.module}: {' '.join(self.right.split())}  ->  {' '.join(self.wrong.split())}"

    @property
    def is_stale(self) -> bool:
        """True if there is no such line any more, or more than one."""
        return self.source.count(self.right) != 1

    @property
    def source(self) -> str:
        """Return the module as it is."""
        return (ROOT / "syncd" / f"{self.module}.py").read_text(encoding="utf-8")

    def apply(self, copy: Path) -> None:
        """Make the line wrong in a copy."""
        changed = self.source.replace(self.right, self.wrong)
        compile(changed, self.module, "exec")
        (copy / "syncd" / f"{self.module}.py").write_text(changed, encoding="utf-8")


@contextmanager
def copied() -> Iterator[Path]:
    """Copy the project, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="syncd-mutant-") as name:
        shutil.copytree(ROOT, name, ignore=shutil.ignore_patterns(".*", "__pycache__"), dirs_exist_ok=True)
        yield Path(name)


def run(copy: Path, arguments: Sequence[str], *, folder: str = ".") -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, which comes before the installed project."""
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy / folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
