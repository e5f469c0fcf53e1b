"""The manual page has every verb and flag of the program, in roff that means what it says."""

import manpage
import pytest
import reference

PAGE = manpage.page()
VERBS = reference.verbs()
MACROS = {".TH", ".SH", ".SS", ".TP"}


def roff(text: str) -> str:
    """The text as roff writes it."""
    return text.replace("-", r"\-")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_and_its_flags_are_in_the_page(verb: str) -> None:
    section = PAGE.partition(f".SS syncd {roff(verb)} ")[2].partition("\n.SS ")[0]

    assert [flag for flag in reference.flags(VERBS[verb]) if rf"\fB{roff(flag)}" not in section] == []


def test_a_line_begins_with_a_dot_only_if_it_is_a_macro() -> None:
    assert {line.split()[0] for line in PAGE.splitlines() if line.startswith((".", "'"))} == MACROS
