"""Waiting for something to become true, with an end to it."""

import threading
from collections.abc import Callable

_STEP_SECONDS = 0.02


def wait_until(condition: Callable[[], object], *, seconds: float = 30.0, what: str = "the condition") -> None:
    """Returns as soon as `condition()` is true; raises TimeoutError after `seconds`."""
    pause = threading.Event()
    for _ in range(max(1, round(seconds / _STEP_SECONDS))):
        if condition():
            return
        pause.wait(_STEP_SECONDS)
    if not condition():
        raise TimeoutError(f"{what} did not come true within {seconds:.0f} s")
