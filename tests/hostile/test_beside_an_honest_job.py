"""Each attack on one job of a run, beside an honest job whose report and copies must not change."""

import pytest
from stage import Stage

from hostile.attacks import ATTACKS
from hostile.runs import HONEST, HOSTILE, attacked

# What docs/operations.md promises of `engine.memory = "128MiB"`.
DAEMON_MIB, WORKER_MIB = 512, 640


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_harms_its_own_job_and_nothing_else(stage: Stage, name: str) -> None:
    attack = ATTACKS[name]

    came = attacked(stage, attack)

    honest = came.honest
    assert (honest["outcome"], honest["copied"], honest["failed"]) == ("ok", len(came.keys), [])
    assert honest["requests"]["PutObject"] == len(came.keys)
    assert set(stage.replica(HONEST)) == set(came.keys)
    assert stage.watched(HONEST).destroyed == []
    assert stage.replica(HOSTILE) == {}
    assert came.reasons
    assert came.reasons <= attack.reasons
    assert came.parent_mib < DAEMON_MIB
    assert came.worker_mib < WORKER_MIB


@pytest.mark.parametrize("name", ["a listing without an end", "objects of 2 bytes that send without an end"])
def test_many_attackers_at_once_hold_no_more_than_one(stage: Stage, name: str) -> None:
    came = attacked(stage, ATTACKS[name], attackers=16)

    assert (came.honest["outcome"], came.honest["copied"]) == ("ok", len(came.keys))
    assert set(stage.replica(HONEST)) == set(came.keys)
    assert came.reasons == {"unexpected_answer"}
    assert came.parent_mib < DAEMON_MIB
    assert came.worker_mib < WORKER_MIB
