"""A short set of what `make simulate` does at length: schedules of trouble, judged after every tick."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .attack import Verdict, attack
from .families import FAMILIES
from .judge import Finding
from .schedule import draw

DAYS = 8


@pytest.mark.parametrize("name", FAMILIES)
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a smaller seed is no smaller schedule: `--shorten` makes one
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(1, 2**32))
def test_troubles_lose_nothing_and_the_horizon_is_true_after_every_tick(name: str, seed: int) -> None:
    verdict = attack(draw(seed, days=DAYS, name=name))

    findings = [found for found in verdict.findings if not _not_promised(found, verdict)]
    told = "\n".join(map(str, findings[:5]))
    assert not findings, f"{told}\n--attack --shorten {seed} --days {DAYS} --family {name} shortens it"


def _not_promised(finding: Finding, verdict: Verdict) -> bool:
    """Whether a forged replica was adopted after the state was lost: by a log's name and size, which is all that is left."""
    return finding.kind == "forged after all" and "loss" in verdict.troubles
