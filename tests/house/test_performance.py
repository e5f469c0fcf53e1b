"""docs/performance.md and its chart are drawn from figures, not written."""

from xml.etree import ElementTree as ET

import performance


def test_page_and_chart_are_what_the_figures_come_to() -> None:
    assert performance.page() == performance.PATH.read_text(), "python tools/performance.py"
    assert performance.chart() == performance.CHART.read_text(), "python tools/performance.py"


def test_the_chart_shows_each_figure() -> None:
    shown = [element.text for element in ET.fromstring(performance.chart()).iter() if element.text]

    assert [
        each for each in performance.FIGURES if f"{each.now:.2f}" not in shown or each.now <= 0 or not each.by
    ] == []
