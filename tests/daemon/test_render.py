"""Templates escape what they are given, and miss nothing silently."""

import pytest
from jinja2 import UndefinedError
from job_health import NOW

from syncd.daemon.web.render import ago, minute, render

VALUES = {
    "title": "<t>",
    "path": "/",
    "refresh": True,
    "now": NOW,
    "headline": "a\u202eb <script>",
    "summary": "\x1b[2J",
    "has_search": True,
    "words": '"><img src=x>',
    "caption": "",
    "rows": (),
    "notes": (),
    "page": 1,
    "last_page": 2,
}


def test_a_value_is_escaped_and_what_cannot_be_seen_is_written_as_an_escape() -> None:
    page = render("overview.html", **VALUES)

    assert "<title>&lt;t&gt;</title>" in page
    assert "<h1>a\\u202eb &lt;script&gt;</h1>" in page
    assert '<p class="soft">\\x1b[2J</p>' in page
    assert 'value="&#34;&gt;&lt;img src=x&gt;"' in page
    assert "q=%22%3E%3Cimg+src%3Dx%3E&amp;page=2" in page


@pytest.mark.parametrize("name", ["headline", "words", "now"])
def test_a_value_that_is_missing_is_a_defect_and_no_blank(name: str) -> None:
    with pytest.raises(UndefinedError):
        render("overview.html", **{key: value for key, value in VALUES.items() if key != name})


def test_the_style_is_in_the_page() -> None:
    assert '"Segoe UI"' in render("overview.html", **VALUES)


def test_an_instant_that_never_was_is_never() -> None:
    assert (ago(0.0, NOW), minute(0.0)) == ("never", "-")
