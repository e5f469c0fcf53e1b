"""The last ticks of a job as a row of small bars: how much each copied, and which failed."""

from collections.abc import Sequence

from syncd.daemon.web.html import Markup, element, join
from syncd.job.health.health import Pulse

SHOWN = 40
_BAR, _GAP, _HEIGHT = 3, 1, 24
_FAILED = ("failed", "already-running")


def sparkline(pulses: Sequence[Pulse]) -> Markup:
    """A bar a tick, the newest at the right; a tick that failed is a full bar of another colour and hatched lower."""
    shown = pulses[-SHOWN:]
    most = max((pulse.copied for pulse in shown), default=0)
    bars = [_bar(number, pulse, most) for number, pulse in enumerate(shown, SHOWN - len(shown))]
    width = SHOWN * (_BAR + _GAP) - _GAP
    return element(
        "svg",
        element("title", words(shown)),
        *bars,
        class_="sparkline",
        role="img",
        width=width,
        height=_HEIGHT,
        viewBox=f"0 0 {width} {_HEIGHT}",
    )


def words(pulses: Sequence[Pulse]) -> str:
    """The same for those who do not see it."""
    if not pulses:
        return "no ticks yet"
    copied = sum(pulse.copied for pulse in pulses)
    failed = sum(pulse.outcome in _FAILED for pulse in pulses)
    most = max(pulse.copied for pulse in pulses)
    ticks = "the last tick" if len(pulses) == 1 else f"the last {len(pulses)} ticks"
    failures = "no tick failed" if not failed else f"{failed} {'tick' if failed == 1 else 'ticks'} failed"
    return f"{copied:,} objects copied in {ticks}, {most:,} at most in one; {failures}"


def _bar(number: int, pulse: Pulse, most: int) -> Markup:
    x = number * (_BAR + _GAP)
    if pulse.outcome in _FAILED:
        # Two pieces, so that it differs in shape as well as in colour.
        return join(
            element("rect", class_="failed", x=x, y=0, width=_BAR, height=10),
            element("rect", class_="failed", x=x, y=14, width=_BAR, height=10),
        )
    height = max(1, round(_HEIGHT * pulse.copied / most)) if pulse.copied else 1
    kind = "copied" if pulse.copied else "idle"
    return element("rect", class_=kind, x=x, y=_HEIGHT - height, width=_BAR, height=height)
