"""The slot that a state directory has, or last had: one small file, which `syncd run` writes and `syncd status` reads."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from syncd.config.job import Fleet, Job

_NAME = "fleet.json"
_LARGEST_BYTES = 4096


class Slot(NamedTuple):
    """A slot, and the process that has it."""

    slot: int | None
    """None while the process stands by."""
    generation: int
    """Number of owners that the slot's lease has had."""
    is_held: bool
    owner: str
    """Name of the process that wrote this."""
    at: float
    """Time of the last change."""


def slot_of(job: str, fleet: Fleet) -> int:
    """Return the slot that a job belongs to."""
    return crc32(job.encode()) % fleet.members


def of_slot(jobs: tuple[Job, ...], fleet: Fleet, slot: int | None) -> tuple[Job, ...]:
    """Return the jobs of a slot, or none without one."""
    return tuple(job for job in jobs if slot is not None and slot_of(job.name, fleet) == slot)


def read_slot(state_dir: Path) -> Slot | None:
    """Return what was last written, or None if there is nothing that can be read."""
    try:
        with (state_dir / _NAME).open("rb") as file:
            document: Any = json.loads(file.read(_LARGEST_BYTES))
        slot, generation = document["slot"], int(document["generation"])
        return Slot(
            slot=None if slot is None else int(slot),
            generation=generation,
            is_held=document["is_held"] is True,
            owner=str(document["owner"]),
            at=float(document["at"]),
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write_slot(state_dir: Path, slot: Slot) -> None:
    """Write it in place of what was there. Raises OSError."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = state_dir / f".{_NAME}.{os.getpid()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(slot._asdict(), file)
    new.replace(state_dir / _NAME)
