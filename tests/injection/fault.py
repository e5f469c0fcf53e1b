"""A fault as it is injected, and what a trial of it came to."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from injection.scene import MODES, Harm, Scene

STREAM, SERVER_SIDE = ("stream",), ("server-side",)
WRITING = ("tick", "catch-up", "run")
LOOKING = ("plan", "check")
Met: TypeAlias = Callable[[], object]
"""Whether the fault has befallen the program."""
Inject: TypeAlias = Callable[[Scene], AbstractContextManager[Met]]
"""What goes wrong from its beginning to its end, at which all is healed."""


@dataclass(frozen=True)
class Fault:
    """One fault."""

    name: str
    inject: Inject
    told: frozenset[str] = frozenset()
    """Reasons that the job or its objects may fail with; where all is copied nevertheless, none has to be told."""
    verbs: tuple[str, ...] = WRITING
    modes: tuple[str, ...] = MODES
    ends_it: bool = False
    """Whether it ends the program, as SIGKILL does."""
    is_for_all: bool = False
    """Whether it befalls the whole program, so that the other job cannot be spared."""
    words: tuple[str, ...] = ()
    """What the program has to name, in its document or its log ..."""
    named_by: tuple[str, ...] = WRITING + LOOKING
    """... under these verbs."""
    codes: frozenset[int] = frozenset({0, 1, 3, 4})
    """What a verb may end with."""


@dataclass(frozen=True)
class Result:
    """What a trial came to."""

    fault: str
    verb: str
    mode: str
    harm: Harm
    recovery_seconds: float
    """From when all was healed until the replica was whole."""
    problems: tuple[str, ...]
    """What was not as it should be; empty where the fault was survived."""

    @property
    def is_survived(self) -> bool:
        return not self.problems and not any(self.harm)
