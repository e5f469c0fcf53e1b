"""A comparison as a document, and as files for an auditor."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syncd import __version__
from syncd.job.report import utc
from syncd.model.keys.stamps import DAY_SECONDS, day_start
from syncd.verify.evidence.report import rendered, write_files
from syncd.verify.rules.verdict import Verdict
from syncd.verify.source.days import Day
from syncd.verify.source.probing import Reads
from syncd.verify.source.results import Compared

COVERS = "what the source lists now: whether it had more, or other objects before, no comparison tells"
# These differ from run to run, whatever both sides hold.
_OF_THE_RUN = ("requests", "duration_seconds")


def compared_document(found: Compared) -> dict[str, Any]:
    """Return one entry of `jobs` in the JSON of `syncd verify --against source`."""
    whole, error = Day(), found.error
    for day in found.days.values():
        whole.add(day)
    return {
        "job": found.job,
        "verdict": found.verdict,
        "against": "source",
        "covers": COVERS,
        "from": utc(day_start(found.asked.window.first)) if found.asked.window.first else None,
        "to": utc(found.asked.last),
        "proved_until": utc(found.proved_until),
        "complete_from": utc(found.complete_from),
        "complete_until": utc(found.complete_until),
        "read_data": found.asked.reads is Reads.ALWAYS,
        "objects": whole.objects,
        "bytes": whole.size_bytes,
        "evidence": {evidence.value: count for evidence, count in sorted(whole.evidence.items())},
        "problems": {flaw.value: count for flaw, count in sorted(whole.flaws.items())},
        "spans": list(_spans(found)),
        "extra_count": found.extra_count,
        "extra": sorted(found.extra),
        "gone_at_source": found.gone_at_source,
        "vouched_beside": found.vouched_beside,
        "left_out": found.left_out,
        "not_copied_yet": found.not_copied_yet,
        "uncovered": sorted(found.uncovered),
        "requests": dict(sorted(found.requests.items())),
        "duration_seconds": round(found.duration_seconds, 3),
        "error": None if error is None else {"reason": error.reason, "detail": error.detail, "remedy": error.remedy},
    }


def _spans(found: Compared) -> Iterator[dict[str, Any]]:
    for name, day in found.by_day().items():
        findings = sorted(day.findings, key=lambda finding: (finding.key, finding.flaw))
        yield {
            "from": utc(day_start(name)),
            "to": utc(min(day_start(name) + DAY_SECONDS, found.asked.last)),
            "verdict": (Verdict.PROVED if day.is_proved else Verdict.UNPROVED).value,
            "objects": day.objects,
            "bytes": day.size_bytes,
            "evidence": {evidence.value: count for evidence, count in sorted(day.evidence.items())},
            "problems": [{"reason": item.flaw.value, "detail": item.detail, "key": item.key} for item in findings],
            "problem_count": day.flaws.total(),
        }


def write_comparison(folder: Path, found: Compared) -> list[Path]:
    """Write the report of a comparison, and the sums of all reports in the folder. Returns what was written.

    Raises:
        OSError: a file cannot be written.
    """
    document = {field: value for field, value in compared_document(found).items() if field not in _OF_THE_RUN}
    return write_files(folder, "verify-source", {"syncd": __version__, **document}, page)


def page(document: dict[str, Any]) -> str:
    """Return the report as HTML for people."""
    return rendered("syncd.verify.source", "comparison.html", found=document)
