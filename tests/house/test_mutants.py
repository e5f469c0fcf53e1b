"""The lines that `make mutants` makes wrong, and the tests that it runs, are there: otherwise it would try nothing."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

from judged import JUDGED
from lines import MUTANTS


def test_every_suite_is_there() -> None:
    source = (Path(__file__).parents[1] / "mutants" / "__main__.py").read_text()
    named = source[source.index("_NAMES = (") : source.index("TABLES = ")]
    names = re.findall(r'"(\w+)"', named)

    assert len(names) > 10
    assert [name for name in names if not (Path(__file__).parents[1] / "core" / f"test_{name}.py").is_file()] == []


def test_every_wrong_line_has_a_right_one() -> None:
    assert [str(mutant) for mutant in (*MUTANTS, *(each for _, each in JUDGED)) if mutant.is_stale] == []
