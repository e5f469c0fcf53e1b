"""A clock that a test sets."""


class HandClock:
    """Seconds since an instant of no importance, moved by hand."""

    def __init__(self, at: float = 0.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at
