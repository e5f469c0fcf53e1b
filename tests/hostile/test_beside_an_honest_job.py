"""Each attack on one job of a run, beside an honest job whose report and copies must not change."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import pytest
from faulty import FaultyS3
from stage import Stage

from hostile.attacks import ATTACKS
from hostile.neighbour import HONEST, Neighbour, neighbour_of, prepared
from hostile.runs import HOSTILE, attacked, last_days

# What docs/operations.md promises of the daemon and of a worker, of one server and of sixteen at once.
MOST_MIB = 256


class Alone(NamedTuple):
    """The honest job where nobody attacks."""

    days: Sequence[date]
    neighbour: Neighbour


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    days = last_days()
    with FaultyS3() as server:
        stage = Stage(server, tmp_path_factory.mktemp("alone"))
        prepared(stage, days)
        ran = stage.syncd("tick", "--json")
        return Alone(days, neighbour_of(stage, ran.job))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_harms_its_own_job_and_nothing_else(stage: Stage, alone: Alone, name: str) -> None:
    attack = ATTACKS[name]

    came = attacked(stage, attack, days=alone.days)

    assert came.honest["copied"] == len(came.keys)
    assert neighbour_of(stage, came.honest) == alone.neighbour
    assert stage.watched(HONEST).destroyed == []
    assert stage.replica(HOSTILE) == {}
    assert came.reasons
    assert came.reasons <= attack.reasons
    assert came.parent_mib < MOST_MIB
    assert came.worker_mib < MOST_MIB


@pytest.mark.parametrize("name", ["a listing without an end", "objects of 2 bytes that send without an end"])
def test_many_attackers_at_once_hold_little_more_than_one(stage: Stage, name: str) -> None:
    came = attacked(stage, ATTACKS[name], attackers=16)

    assert (came.honest["outcome"], came.honest["copied"]) == ("ok", len(came.keys))
    assert set(stage.replica(HONEST)) == set(came.keys)
    assert came.reasons == {"unexpected_answer"}
    assert came.parent_mib < MOST_MIB
    assert came.worker_mib < MOST_MIB
