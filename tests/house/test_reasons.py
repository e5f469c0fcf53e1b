"""Every reason that a user can meet has its place in the manual: what it means, and what to do."""

import re
from pathlib import Path

import pytest
import reference

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
REASONS = OPERATIONS.partition("\n## Reasons\n")[2].partition("\n## ")[0]
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^### |\Z)", REASONS, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("reason", reference.reasons())
def test_a_reason_says_what_it_means_and_what_to_do(reason: str) -> None:
    assert re.fullmatch(r"\s*\*\*Means:\*\* \S.+\n\*\*Do:\*\* \S.+\n\s*", SECTIONS[reason], re.DOTALL)


def test_the_manual_knows_no_reason_that_there_is_not() -> None:
    assert set(SECTIONS) == set(reference.reasons())


def test_a_link_within_the_manual_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#([^)]*)\)", OPERATIONS)

    assert [link for link in links if link not in anchors] == []
