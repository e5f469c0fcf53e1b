"""Runs the `console` blocks of a page word by word, and compares what they print with what the page shows.

A line that begins with `$ ` is a command, and goes on over lines that end in a backslash; the lines below it are its
output, where `…` stands for anything, on a line of its own for any lines. Without lines below it, it may print anything.
"""

import fnmatch
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "--- command"


@dataclass(frozen=True)
class Step:
    """One command and what the page shows below it."""

    command: str
    shown: Sequence[str]


@dataclass(frozen=True)
class Result:
    """What became of a step."""

    step: Step
    code: int
    output: str

    @property
    def complaint(self) -> str:
        """How it differs from the page; empty where it does not."""
        if self.code != 0:
            return f"$ {self.step.command}\nended with {self.code}:\n{self.output}"
        if self.step.shown and not _is_as_shown(self.output.splitlines(), self.step.shown):
            shown = "\n".join(self.step.shown)
            return f"$ {self.step.command}\nprinted:\n{self.output}\nand the page shows:\n{shown}"
        return ""


def steps(page: Path) -> list[Step]:
    """The commands of a page in their order."""
    return [step for block in _BLOCK.findall(page.read_text(encoding="utf-8")) for step in _steps_of(block)]


def _steps_of(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.rstrip("\n").split("\n")
        end = next(index for index, line in enumerate(lines) if not line.endswith("\\")) + 1
        yield Step("\n".join(lines[:end]), lines[end:])


def follow(page: Path, *, folder: Path, environment: Mapping[str, str]) -> list[Result]:
    """Run a page's commands in one shell, in `folder`; what they say on stderr is in their output."""
    found = steps(page)
    lines = ["exec 2>&1"]
    for number, step in enumerate(found):
        lines += [step.command, f"printf '\\n{_MARK} %s ended with %s\\n' {number} $?"]
    ended = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    parts = re.split(rf"\n{_MARK} \d+ ended with (\d+)\n", ended.stdout)
    return [
        Result(step, int(code), output) for step, output, code in zip(found, parts[0::2], parts[1::2], strict=False)
    ] + [Result(step, -1, parts[-1]) for step in found[len(parts) // 2 :]]


def _is_as_shown(printed: Sequence[str], shown: Sequence[str]) -> bool:
    """Whether the lines are those that are shown, in their order."""
    if not shown:
        return not [line for line in printed if line.strip()]
    first, rest = shown[0].rstrip(), shown[1:]
    if first == "…":
        return not rest or any(_is_as_shown(printed[index:], rest) for index in range(len(printed) + 1))
    if not printed:
        return False
    pattern = "".join("*" if part == "…" else re.sub(r"([*?[])", r"[\1]", part) for part in re.split("(…)", first))
    return fnmatch.fnmatchcase(printed[0].rstrip(), pattern) and _is_as_shown(printed[1:], rest)
