"""A proof as a person sees it."""

from typing import Any

from rich.text import Text

from syncd.cli.screen.drawing import plain_console
from syncd.model.escaping import safe_key, safe_line

_SHOWN = 20
_SPANS_SHOWN = 12
_LISTS = (
    ("in the replica, named by no digest", "extra"),
    ("beside an altered replica, as the digest names them", "vouched_beside"),
    ("copied after the newest digest, which the next one may name", "in_flight"),
    ("healed from the source", "healed"),
    ("named by a digest, and on neither side", "missing_at_source"),
    ("claimed by the horizon, and missing in the replica", "horizon_contradicted"),
)


def show_proof(document: dict[str, Any]) -> None:
    """Print what a person sees of a proof."""
    console = plain_console()
    console.print(Text(f"{document['job']}: {document['verdict']}", style="bold"))
    if (error := document["error"]) is not None:
        console.print(Text(f"  {error['reason']}: {safe_line(error['detail'])}"))
        console.print(Text(f"  what to do: {safe_line(error['remedy'])}"))
        return
    _show_counts(console, document)
    for chain in document["chains"]:
        _show_chain(console, chain)
    for place in document["places"]:
        after = place["after_newest_digest"]
        if after is not None:
            words = after["problems"][0]["detail"]
            console.print(Text(f"  {place['account']} {place['region']}: after {after['from']}: {safe_line(words)}"))
        for kind, count in place["uncovered_kinds"].items():
            words = f"no digest names any of its {count:,} objects of kind {safe_line(kind)}"
            console.print(Text(f"  {place['account']} {place['region']}: {words}"))
    for title, field in _LISTS:
        if document[f"{field}_count"]:
            console.print(Text(f"  {document[f'{field}_count']:,} {title}:"))
            for key in document[field][:_SHOWN]:
                console.print(Text(f"    {safe_key(key)}"))
    _show_conflicts(console, document)
    _show_repairs(console, document)
    if document["keys_error"]:
        console.print(Text(f"  public keys: {safe_line(document['keys_error'])}"))


def _show_counts(console: Any, document: dict[str, Any]) -> None:
    console.print(
        Text(
            f"  {document['digests']:,} digests and {document['logs']:,} logs compared in"
            f" {document['duration_seconds']:.1f} s; proved until {document['proved_until'] or 'never'}"
        )
    )
    if kept := document["logs_hashed_while_copied"]:
        console.print(
            Text(
                f"  {document['logs_read']:,} logs read, {kept:,} by hashes kept while they were copied (--read-data reads all)"
            )
        )
    console.print(Text(f"  covers {document['covers']}"))


def _show_conflicts(console: Any, document: dict[str, Any]) -> None:
    for item in document["conflicts"][:_SHOWN]:
        console.print(Text(f"  {safe_key(item['key'])}: the digest vouches for {item['vouched']}"))
        for side in ("digest", "replica", "source"):
            console.print(Text(f"    {side}: SHA-256 {item[f'{side}_sha256'] or 'none'}"))


def _show_repairs(console: Any, document: dict[str, Any]) -> None:
    for item in document["repaired"][:_SHOWN]:
        words = f"replaced ({item['how']}) as {safe_key(item['written'])}"
        words += f", version {item['version_id']}" if item["version_id"] else ""
        words += f"; the altered one stays as version {item['kept_version']}" if item["kept_version"] else ""
        words += f"; {safe_line(item['detail'])}" if item["detail"] else ""
        console.print(Text(f"  {safe_key(item['key'])}: {words}"))
    for item in document["not_repaired"][:_SHOWN]:
        console.print(Text(f"  {safe_key(item['key'])}: not replaced: {item['reason']}: {safe_line(item['detail'])}"))


def _show_chain(console: Any, chain: dict[str, Any]) -> None:
    kind = " (backfill)" if chain["is_backfill"] else ""
    console.print(Text(f"  {chain['account']} {chain['region']} trail {safe_line(chain['trail'])}{kind}"))
    for span in chain["spans"][:_SPANS_SHOWN]:
        words = f"{span['digests']:,} digests, {span['logs']:,} logs"
        mark = "" if span["verdict"] in ("proved", "backfill") else "  <--"
        console.print(Text(f"    {span['from']} .. {span['to']}  {span['verdict']}: {words}{mark}"))
        for problem in span["problems"][:_SHOWN]:
            key = f" {safe_key(problem['key'])}:" if problem["key"] else ""
            console.print(Text(f"      {problem['reason']}:{key} {safe_line(problem['detail'])}"))
    if len(chain["spans"]) > _SPANS_SHOWN:
        console.print(Text(f"    and {len(chain['spans']) - _SPANS_SHOWN} spans more; --json has all"))
