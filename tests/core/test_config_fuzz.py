"""Whatever stands in a file, the answer is a value or a list of sentences."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncd.config.job import JOB, SETTINGS, Job, Settings
from syncd.config.problems import examine
from syncd.config.table import Table, keys_of, table_in

WORDS = [
    "*",
    "5m",
    "128MiB",
    "",
    "us-east-1",
    "o-exampleorgid",
    "111111111111",
    "http://h",
    "0 3 * * *",
    "a:b:c",
    "[::1]:1",
]
SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.text(max_size=8),
    st.sampled_from(WORDS),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=8), SCALARS, max_size=3))


def documents(table: type[Table]) -> st.SearchStrategy[dict[str, Any]]:
    inner = {key: table_in(field) for key, field in keys_of(table).items()}
    known = st.fixed_dictionaries(
        {},
        optional={
            key: VALUES if below is None else st.one_of(documents(below), VALUES) for key, below in inner.items()
        },
    )
    return st.tuples(st.dictionaries(st.text(max_size=8), VALUES, max_size=2), known).map(
        lambda both: both[0] | both[1]
    )


@given(documents(Job))
def test_any_job_is_a_value_or_sentences(document: dict[str, Any]) -> None:
    job, findings = examine(JOB, document)

    assert bool(findings) is not isinstance(job, Job)


@given(documents(Settings))
def test_any_settings_are_a_value_or_sentences(document: dict[str, Any]) -> None:
    settings, findings = examine(SETTINGS, document)

    assert bool(findings) is not isinstance(settings, Settings)
    assert all(message and "nput should" not in message for _, message in findings)
