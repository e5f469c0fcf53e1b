"""What one object brings about while it is compared leaves the verdict of all others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from builders import REGIONS, Trail
from faulty import FaultyS3
from installed import Installed

from syncd.cli.demo.world import ACCOUNT_B, TRAIL_BUCKET
from syncd.copy.terms import Copy
from syncd.verify.rules.verdict import Flaw
from syncd.verify.source import comparison
from syncd.verify.source.comparison import Comparison
from syncd.verify.source.probing import Reads, compared
from syncd.verify.source.results import Asked

JOB = "account-b"


@pytest.fixture
def installed(faulty: FaultyS3, tmp_path: Path) -> Iterator[Installed]:
    made = Installed(faulty.world(), tmp_path)
    yield made
    made.close()


def test_an_object_whose_comparison_breaks_is_unreadable_and_the_others_are_proved(
    faulty: FaultyS3, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, now = Trail(), datetime.now(UTC)
    logs = [trail.log(ACCOUNT_B, REGIONS[0], now - timedelta(minutes=minutes)) for minutes in (20, 25, 30)]
    for item in logs:
        faulty.put(TRAIL_BUCKET, item.key, item.body)
    job = installed.job(JOB)
    assert installed.tick(job).copied == len(logs)

    def breaking(copy: Copy, **more: Any) -> Any:
        if copy.object.key == logs[1].key:
            raise ZeroDivisionError
        return (yield from compared(copy, **more))

    monkeypatch.setattr(comparison, "compared", breaking)
    asked = Asked(now=installed.now(), reads=Reads.ALWAYS)
    found = Comparison(job, asked, installed.installation, stop=Event()).run()

    flaws = [finding for day in found.days.values() for finding in day.findings]
    assert (found.error, [(finding.flaw, finding.key) for finding in flaws]) == (None, [(Flaw.UNREADABLE, logs[1].key)])
    assert "ZeroDivisionError" in flaws[0].detail
    assert sum(day.evidence.total() for day in found.days.values()) == len(logs) - 1
