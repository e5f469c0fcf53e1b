"""Every attack that `make hostile` tries has a row with its figures in SECURITY.md's threat model."""

import re
import sys

from deployed import PROJECT

sys.path.append(str(PROJECT / "tests"))

from hostile.attacks import ATTACKS

OF_SERVERS = (PROJECT / "SECURITY.md").read_text().partition("### What servers tried")[2].partition("\nBeyond ")[0]


def test_every_attack_that_is_tried_has_its_row_and_its_figures() -> None:
    rows = [line.split(" | ") for line in OF_SERVERS.splitlines() if line.startswith("| ")][1:]

    assert [row[0].removeprefix("| ") for row in rows] == list(ATTACKS)
    assert all(re.search(r": \d+ MiB, \d+ MiB, [+-]\d+\.\d s$", row[2]) for row in rows)
