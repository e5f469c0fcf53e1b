"""A few trials of the fault matrix, and whether its judge would notice harm; `make faults` tries all of it."""

import re
from pathlib import Path

import pytest
from injection.fault import Fault
from injection.matrix import FAULTS, tried
from injection.not_yet import NOT_YET
from injection.scene import HIT, Harm, scene
from injection.trial import Trial

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
NEEDS_COMPILER = pytest.mark.needs_tool("cc")
TRIALS = [
    ("503 SlowDown, a burst", "tick", "stream"),
    ("a listing is refused in its middle", "tick", "server-side"),
    ("a write is done and not answered", "catch-up", "server-side"),
    ("objects are rewritten before they are read", "run", "stream"),
    ("another writes the same object first", "tick", "server-side"),
    ("the source refuses connections", "tick", "stream"),
    ("the destination resets connections", "run", "stream"),
    ("the role is denied", "check", "stream"),
    ("SIGKILL in the middle of copies", "run", "server-side"),
    ("a worker is killed", "run", "stream"),
    ("the state is no database", "tick", "stream"),
    pytest.param("no file descriptor is left", "run", "stream", marks=NEEDS_COMPILER),
]


@pytest.mark.parametrize(("name", "verb", "mode"), TRIALS)
def test_a_fault_is_told_or_got_over_and_harms_nothing(name: str, verb: str, mode: str) -> None:
    result = tried(name, verb, mode)

    assert result.problems == ()
    assert result.harm == Harm(lost=0, double=0, overwritten=0)


def test_the_judge_notices_what_is_lost_what_is_double_and_what_is_overwritten(tmp_path: Path) -> None:
    with scene(tmp_path, "stream") as stage:
        replica, source = stage.stage.watched(HIT), stage.stage.world.bucket
        for key in stage.keys[1:]:
            replica.put(key, stage.server.get(source, key))
        replica.put(stage.keys[1], stage.server.get(source, stage.keys[2]))

        assert stage.harm() == Harm(lost=2, double=1, overwritten=1)


def test_a_fault_that_befalls_nobody_is_no_trial_of_it(tmp_path: Path) -> None:
    (fault,) = (fault for fault in FAULTS if fault.name == "SIGKILL in the middle of copies")
    with scene(tmp_path, "stream") as stage:
        stage.server.faults.clear()
        trial = Trial(fault, "tick", stage)

        trial._was_met(lambda: False)

    assert trial.problems == ["the fault was not met"]


def test_faults_have_names_of_their_own_and_the_list_of_what_is_not_yet_knows_them() -> None:
    names = [fault.name for fault in FAULTS]

    assert len(set(names)) == len(names)
    assert set(NOT_YET) <= set(names)
    assert all(NOT_YET.values())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_page_has_a_row_for_each_fault(fault: Fault) -> None:
    assert re.search(rf"^\| {re.escape(fault.name)} \|", PAGE, re.MULTILINE), "make faults"
