"""A proof as a document: spans of one verdict joined, everything in a fixed order. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from syncd.job.report import utc
from syncd.verify.proof import Proof, Repaired
from syncd.verify.rules.digest import ChainName
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Finding, Span

LISTED = 1000
"""Keys of a list in a document; the counts are of all."""
COVERS = "delivery, not recording: what CloudTrail delivered is here unaltered; what it did not record, no digest tells"


def proof_document(proof: Proof) -> dict[str, Any]:
    """Return one entry of `jobs` in the JSON of `syncd verify`."""
    spans = list(proof.spans())
    findings = [finding for span in spans for finding in span.problems]
    extra = [key for place in proof.places for key in place.extra]
    in_flight = [key for place in proof.places for key in place.in_flight]
    error = proof.error
    return {
        "job": proof.job,
        "verdict": proof.verdict,
        "covers": COVERS,
        "from": utc(proof.asked.first),
        "to": utc(proof.asked.last),
        "proved_until": utc(proof.proved_until),
        "digests": sum(1 for span in spans if span.digest_key),
        "logs": sum(place.logs for place in proof.places),
        "logs_read": sum(place.logs_read for place in proof.places),
        "logs_hashed_while_copied": sum(place.logs - place.logs_read for place in proof.places),
        "log_bytes": sum(place.log_bytes for place in proof.places),
        "problems": dict(sorted(_counted(finding.flaw for finding in findings).items())),
        "extra_count": len(extra),
        "extra": extra[:LISTED],
        "in_flight_count": len(in_flight),
        "in_flight": in_flight[:LISTED],
        "healed_count": len(proof.healed),
        "healed": sorted(proof.healed)[:LISTED],
        "missing_at_source_count": len(proof.missing_at_source),
        "missing_at_source": sorted(proof.missing_at_source)[:LISTED],
        "horizon_contradicted_count": len(proof.contradicted),
        "horizon_contradicted": sorted(proof.contradicted)[:LISTED],
        "conflicts": [
            {
                "key": item.key,
                "digest_sha256": item.digest,
                "replica_sha256": item.replica or None,
                "source_sha256": item.source or None,
                "vouched": item.vouched,
            }
            for item in proof.conflicts[:LISTED]
        ],
        **_repairs(proof),
        "chains": [document for place in proof.places for document in _chains(place)],
        "places": [_place(place) for place in proof.places],
        "keys": sorted({span.fingerprint for span in spans if span.fingerprint}),
        "keys_error": proof.keys_error or None,
        "requests": dict(sorted(proof.requests.items())),
        "duration_seconds": round(proof.duration_seconds, 3),
        "error": None if error is None else {"reason": error.reason, "detail": error.detail, "remedy": error.remedy},
    }


def _repairs(proof: Proof) -> dict[str, Any]:
    """Return what `--repair` did, and what it wrote beside replicas before."""
    beside = sorted(key for place in proof.places for key in place.beside)
    return {
        "vouched_beside_count": len(beside),
        "vouched_beside": beside[:LISTED],
        "repaired_count": len(proof.repaired),
        "repaired": [_repaired(item) for item in sorted(proof.repaired)[:LISTED]],
        "not_repaired_count": len(proof.not_repaired),
        "not_repaired": [item._asdict() for item in sorted(proof.not_repaired)[:LISTED]],
    }


def _repaired(item: Repaired) -> dict[str, Any]:
    found = item._asdict()
    return found | {name: found[name] or None for name in ("version_id", "kept_version", "detail")}


def joined(spans: Sequence[Span]) -> Iterator[dict[str, Any]]:
    """Yield spans as documents, neighbours that are good for the same reason as one."""
    run: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        is_next = run and not run[-1].problems and (span.verdict, span.start) == (run[-1].verdict, run[-1].end)
        if run and (span.problems or not is_next):
            yield _span(run)
            run = []
        run.append(span)
    if run:
        yield _span(run)


def _span(run: Sequence[Span]) -> dict[str, Any]:
    return {
        "from": utc(run[0].start),
        "to": utc(run[-1].end),
        "verdict": run[0].verdict.value,
        "digests": sum(1 for span in run if span.digest_key),
        "logs": sum(span.logs for span in run),
        "digest": run[0].digest_key if len(run) == 1 and run[0].digest_key else None,
        "problems": [_finding(finding) for finding in run[0].problems[:LISTED]],
        "problem_count": len(run[0].problems),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"reason": finding.flaw.value, "detail": finding.detail, "key": finding.key or None}


def _chains(place: PlaceResult) -> Iterator[dict[str, Any]]:
    for name, spans in place.chains.items():
        yield {**_name(name), "spans": list(joined(spans))}


def _name(name: ChainName) -> dict[str, Any]:
    return {
        "account": name.account,
        "region": name.region,
        "trail": name.trail,
        "home_region": name.home_region,
        "is_backfill": name.is_backfill,
    }


def _place(place: PlaceResult) -> dict[str, Any]:
    tail = place.tail
    return {
        "account": place.place.account,
        "region": place.place.region,
        "newest_digest": utc(place.newest_end),
        "after_newest_digest": None if tail is None else next(joined([tail])),
        "uncovered_kinds": dict(sorted(place.uncovered.items())),
    }


def _counted(items: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        counts[str(item)] = counts.get(str(item), 0) + 1
    return counts
