"""The lines that `make mutants` makes wrong are there, each of them once: otherwise it would try nothing."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

from judged import JUDGED
from lines import MUTANTS


def test_every_wrong_line_has_a_right_one() -> None:
    assert [str(mutant) for mutant in (*MUTANTS, *(each for _, each in JUDGED)) if mutant.is_stale] == []
