"""All that becomes of the honest job, as it can be held against the same job run alone."""

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from builders import ACCOUNTS, REGIONS, Trail
from stage import Stage

HONEST = "account-b"
_TIME = "(time)"
_AN_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_FIRST_INSTANT = 1_000_000_000.0
_SPANS = frozenset({"duration_seconds", "age_seconds", "lag_seconds"})


class Neighbour(NamedTuple):
    """What a run left of a job, without times and durations."""

    report: Any
    """Its entry in the JSON of `tick`."""
    status: Any
    """Its entry in the JSON of `status`."""
    rows: Sequence[Any]
    """What `ledger export` tells of it."""
    copies: dict[str, tuple[object, ...]]
    writes: dict[str, int]
    """How often each key was written."""


def prepared(stage: Stage, days: Sequence[date]) -> list[str]:
    """The honest job, and what was delivered to its source; the keys."""
    stage.job(HONEST)
    return stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:2], days, logs=5))


def neighbour_of(stage: Stage, report: dict[str, Any]) -> Neighbour:
    """The honest job after a run, of which this is its report."""
    (status,) = stage.syncd("status", HONEST, "--json").document["jobs"]
    exported = stage.syncd("ledger", "export", HONEST).stdout.splitlines()
    rows = [json.loads(line.replace(stage.server.url, "(server)")) for line in exported]
    writes = dict(stage.watched(HONEST).writes)
    return Neighbour(
        _timeless(report), _timeless(status), [_timeless(row) for row in rows], stage.replica(HONEST), writes
    )


def _timeless(value: Any) -> Any:
    match value:
        case dict():
            return {name: _TIME if name in _SPANS else _timeless(item) for name, item in value.items()}
        case list():
            return [_timeless(item) for item in value]
        case str() if _AN_INSTANT.fullmatch(value):
            return _TIME
        case float() if value > _FIRST_INSTANT:
            return _TIME
        case _:
            return value
