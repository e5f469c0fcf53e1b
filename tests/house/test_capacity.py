"""docs/capacity.md is reckoned, not written."""

import capacity


def test_the_page_is_what_the_figures_come_to() -> None:
    assert capacity.page() == capacity.PATH.read_text(), "python tools/capacity.py"


def test_every_figure_says_how_it_is_measured() -> None:
    assert [figure for figure in capacity.FIGURES if not (figure.what and figure.by and figure.value > 0)] == []
