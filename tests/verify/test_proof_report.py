"""Which report a report names as the one before it."""

import json
from pathlib import Path

import pytest

from syncd.verify.evidence.report import write_files


def previous(folder: Path, job: str, first: str | None, last: str) -> str | None:
    """The file that a report of a span names."""
    document = {"job": job, "from": first, "to": last}
    (written, *_) = write_files(folder, "verify", document, lambda _: "")
    named = json.loads(written.read_text())["previous_report"]
    return named and str(named["file"])


def test_a_report_names_the_one_of_its_job_that_ends_before_it_also_if_it_is_made_again(tmp_path: Path) -> None:
    """A report that was made again would name a later one, which names it: neither could be believed."""
    autumn = "2026-10-01T00:00:00Z"
    spans = [(None, "2026-09-01T00:00:00Z"), ("2026-08-01T00:00:00Z", autumn), (None, "2026-11-01T00:00:00Z")]
    names = [f"syncd-verify-a-{span}.json" for span in ("beginning_20260901T000000Z", "2026-08-01_20261001T000000Z")]

    told = [previous(tmp_path, "a", *span) for span in spans]
    previous(tmp_path, "a-b", None, autumn)
    again = [previous(tmp_path, "a", *span) for span in spans]

    assert told == again == [None, *names]


@pytest.mark.parametrize("first", [None, "2026-01-01T00:00:00Z"])
def test_reports_that_end_in_the_same_second_are_chained(tmp_path: Path, first: str | None) -> None:
    end, second = "2026-10-01T00:00:00Z", "2026-02-01T00:00:00Z"
    name = f"syncd-verify-a-{(first or 'beginning')[:10]}_20261001T000000Z.json"

    told = [previous(tmp_path, "a", start, end) for start in (first, second)]
    again = [previous(tmp_path, "a", start, end) for start in (first, second)]

    assert told == again == [None, name]


def test_each_report_is_named_by_one_whatever_their_spans(tmp_path: Path) -> None:
    september, october = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"
    spans = [(None, september), *((f"2026-09-0{day}T00:00:00Z", september) for day in (3, 2, 1)), (None, october)]

    told = [previous(tmp_path, "a", *span) for span in spans]

    names = [path.name for path in tmp_path.glob("*.json")]
    assert told[0] is None
    assert sorted(name for name in told if name) == sorted(
        set(names) - {"syncd-verify-a-beginning_20261101T000000Z.json"}
    )


def test_a_lost_report_that_is_made_again_makes_no_circle(tmp_path: Path) -> None:
    end = "2026-10-01T00:00:00Z"
    previous(tmp_path, "a", "2026-09-03T00:00:00Z", end)
    previous(tmp_path, "a", "2026-09-02T00:00:00Z", end)
    (tmp_path / "syncd-verify-a-2026-09-03_20261001T000000Z.json").unlink()

    assert previous(tmp_path, "a", "2026-09-03T00:00:00Z", end) is None


def test_a_report_whose_predecessor_is_lost_names_the_one_before_that(tmp_path: Path) -> None:
    ends = [f"2026-{month}-01T00:00:00Z" for month in ("09", "10", "11")]
    for end in ends:
        previous(tmp_path, "a", None, end)
    (tmp_path / "syncd-verify-a-beginning_20261001T000000Z.json").unlink()

    assert previous(tmp_path, "a", None, ends[2]) == "syncd-verify-a-beginning_20260901T000000Z.json"


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"previous_report": {"file": "gone.json"}}'])
def test_a_damaged_report_is_made_again(tmp_path: Path, damaged: bytes) -> None:
    end = "2026-10-01T00:00:00Z"
    previous(tmp_path, "a", None, end)
    (tmp_path / "syncd-verify-a-beginning_20261001T000000Z.json").write_bytes(damaged)

    assert previous(tmp_path, "a", None, end) is None
