"""The line on the terminal that shows how far a proof is."""

import sys
import time
from threading import Lock

from syncd.verify.rules.progress import Progress

_SURE_OF_THE_WHOLE = 0.01
"""From this part on, what is left is told."""


class ProgressLine(Progress):
    """The line: logs that were compared, their rate, and the time that is left."""

    def __init__(self, *, is_shown: bool) -> None:
        super().__init__()
        self._is_shown = is_shown
        self._guard = Lock()
        self._began_at = self._shown_at = time.monotonic()

    def add(self, logs: int, size_bytes: int) -> None:
        """Count logs that were compared, of a whole that nobody knows."""
        self.logs, self.log_bytes = self.logs + logs, self.log_bytes + size_bytes
        self.changed()

    def changed(self) -> None:
        """Show it once a second."""
        now = time.monotonic()
        if not self._is_shown or now - self._shown_at < 1:
            return
        with self._guard:
            self._shown_at = now
            sys.stderr.write(f"\r{line(self, now - self._began_at)}\x1b[K")
            sys.stderr.flush()

    def end(self) -> None:
        """End the line."""
        if self._is_shown and self.logs:
            sys.stderr.write("\n")


def line(progress: Progress, seconds: float) -> str:
    """Return what is shown after so many seconds."""
    rate, done = progress.logs / max(seconds, 0.001), progress.done
    size = f"{progress.log_bytes / 1e6:,.0f} MB"
    if done < _SURE_OF_THE_WHOLE:
        return f"{progress.logs:,} logs compared, {rate:,.0f}/s, {size}"
    left = round(seconds / done - seconds)
    minutes, hours = left // 60 % 60, left // 3600
    time_left = f"{hours}:{minutes:02}:{left % 60:02}" if hours else f"{minutes}:{left % 60:02}"
    whole = round(progress.logs / done)
    return f"{progress.logs:,} of about {whole:,} logs compared, {rate:,.0f}/s, {size}, {time_left} left"
