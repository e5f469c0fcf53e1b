"""`syncd verify --against source`: what a person sees of a comparison."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.text import Text

from syncd.cli.screen.drawing import plain_console
from syncd.config.job import Configuration, Job
from syncd.daemon import logs
from syncd.model.escaping import safe_key, safe_line
from syncd.model.objects import Window

_SHOWN = 20
_SPANS_SHOWN = 31
_COUNTED = {
    "gone_at_source": "replicas of objects that the source has let go of",
    "vouched_beside": "replacements that a repair wrote beside altered replicas",
    "left_out": "objects that the job leaves out",
    "not_copied_yet": "objects beyond the horizon, not copied yet",
}


def verify_against_source(
    configuration: Configuration,
    jobs: list[Job],
    *,
    window: Window,
    read_data: bool,
    report: Path | None,
    as_json: bool,
    on_progress: Any,
) -> int:
    """Compare, print, and return the exit code."""
    from syncd.verify.source.document import compared_document
    from syncd.verify.source.probing import Reads
    from syncd.verify.source.results import Asked
    from syncd.verify.source.session import compare

    asked = Asked(window=window, now=time.time(), reads=Reads.ALWAYS if read_data else Reads.NEVER)
    done = compare(configuration, jobs, asked, report, now=time.time, tell=logs.event_logger(), on_progress=on_progress)
    documents = [compared_document(found) for found in done.found]
    if as_json:
        sys.stdout.write(json.dumps({"jobs": documents}) + "\n")
    else:
        for document in documents:
            show_comparison(document)
    return done.exit_code


def show_comparison(document: dict[str, Any]) -> None:
    """Print one job's comparison."""
    console = plain_console()
    console.print(Text(f"{document['job']} against its source: {document['verdict']}", style="bold"))
    if (error := document["error"]) is not None:
        console.print(Text(f"  {error['reason']}: {safe_line(error['detail'])}"))
        console.print(Text(f"  what to do: {safe_line(error['remedy'])}"))
        return
    evidence = ", ".join(f"{count:,} by {name.replace('_', ' ')}" for name, count in document["evidence"].items())
    console.print(
        Text(
            f"  {document['objects']:,} objects compared in {document['duration_seconds']:.1f} s; proved until"
            f" {document['proved_until'] or 'never'}{f'; {evidence}' if evidence else ''}"
        )
    )
    console.print(Text(f"  covers {document['covers']}"))
    for span in document["spans"][-_SPANS_SHOWN:]:
        mark = "" if span["verdict"] == "proved" else "  <--"
        console.print(Text(f"    {span['from'][:10]}  {span['verdict']}: {span['objects']:,} objects{mark}"))
        for problem in span["problems"][:_SHOWN]:
            words = f"{problem['reason']}: {safe_key(problem['key'])}: {safe_line(problem['detail'])}"
            console.print(Text(f"      {words}"))
    if len(document["spans"]) > _SPANS_SHOWN:
        console.print(Text(f"    and {len(document['spans']) - _SPANS_SHOWN} days before; --json has all"))
    if document["extra_count"]:
        console.print(Text(f"  {document['extra_count']:,} extra: only in the replica, and not known to the ledger:"))
        for key in document["extra"][:_SHOWN]:
            console.print(Text(f"    {safe_key(key)}"))
    for field, words in _COUNTED.items():
        if document[field]:
            console.print(Text(f"  {document[field]:,} {words}"))
    for folder in document["uncovered"][:_SHOWN]:
        console.print(Text(f"  uncovered: {safe_key(folder)}"))
