"""Evidence: a proof as files for an auditor. The same replica gives the same files, to the byte.

`SHA256SUMS` is what `sha256sum --check` reads. Each report has the hash of the one before, so that none can be taken away
unseen.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from syncd import __version__
from syncd.verify.evidence.document import proof_document
from syncd.verify.proof import Proof

SUMS = "SHA256SUMS"
_SPAN = re.compile(r"(beginning|[0-9]{4}-[0-9]{2}-[0-9]{2})_([0-9]{8}T[0-9]{6}Z)")
# These differ from run to run, whatever the replica is.
_OF_THE_RUN = (
    "requests",
    "duration_seconds",
    "healed",
    "healed_count",
    "conflicts",
    "horizon_contradicted",
    "horizon_contradicted_count",
)


def write_report(folder: Path, proof: Proof) -> list[Path]:
    """Write the report of a proof, and the sums of all reports and bundles in the folder. Returns what was written.

    Raises:
        OSError: a file cannot be written.
    """
    return write_files(folder, "verify", report(proof), page)


def write_files(
    folder: Path, kind: str, document: dict[str, Any], render: Callable[[dict[str, Any]], str]
) -> list[Path]:
    """Write a report of a kind as JSON and HTML, and the sums of all reports and bundles. Returns what was written.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    span = f"{(document['from'] or 'beginning')[:10]}_{document['to'].replace(':', '').replace('-', '')}"
    stem = f"syncd-{kind}-{document['job']}"
    name = f"{stem}-{span}"
    before = _before(folder, stem, span)
    document["previous_report"] = {"file": before.name, "sha256": _sha256(before)} if before else None
    written = [folder / f"{name}.json", folder / f"{name}.html"]
    written[0].write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    written[1].write_text(render(document), encoding="utf-8")
    reports = sorted([*folder.glob("syncd-*.json"), *folder.glob("syncd-*.html"), *folder.glob("*.tar.gz")])
    sums = folder / SUMS
    sums.write_text("".join(f"{_sha256(path)}  {path.name}\n" for path in reports), encoding="utf-8")
    return [*written, sums]


def _before(folder: Path, stem: str, span: str) -> Path | None:
    """Return the newest report of this job that ends before a span does, or with it, and that no other names.

    A report that is made again names the same one again. None names one that leads to it.
    """
    own, end = f"{stem}-{span}.json", (_order(span) or ("", ""))[0]
    named = {path.name: _named(path) for path in folder.glob(f"{stem}-*.json")}
    orders = {name: _order(name.removeprefix(f"{stem}-").removesuffix(".json")) for name in named}
    earlier = {
        name: order for name, order in orders.items() if order and order[0] <= end and not _leads(named, name, own)
    }
    if named.get(own) in earlier:
        return folder / named[own]
    free = earlier.keys() - {named[name] for name in earlier}
    return folder / max(free or earlier, key=earlier.__getitem__) if earlier else None


def _named(path: Path) -> str:
    """Return the file that a report names as the one before. Empty if there is none."""
    try:
        return str(json.loads(path.read_bytes())["previous_report"]["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _leads(named: Mapping[str, str], name: str, own: str) -> bool:
    """Return True if a report is this one, or names one that leads to it."""
    seen: set[str] = set()
    while name and name != own and name not in seen:
        seen.add(name)
        name = named.get(name, "")
    return name == own


def _order(span: str) -> tuple[str, str] | None:
    match = _SPAN.fullmatch(span)
    return (match[2], match[1]) if match else None


def report(proof: Proof) -> dict[str, Any]:
    """Return the report of a proof as JSON has it."""
    document = {field: value for field, value in proof_document(proof).items() if field not in _OF_THE_RUN}
    digests = [
        {"key": span.digest_key, "sha256": span.sha256 or None, "verdict": span.verdict.value}
        for span in proof.spans()
        if span.digest_key
    ]
    return {"syncd": __version__, **document, "digest_files": sorted(digests, key=lambda entry: entry["key"] or "")}


def page(document: dict[str, Any]) -> str:
    """Return the report as HTML for people."""
    return rendered("syncd.verify.evidence", "report.html", proof=document, exceptions=exceptions(document))


def rendered(package: str, name: str, **values: Any) -> str:
    """Return a template of a package, filled in."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8")).render(**values)


def exceptions(document: dict[str, Any]) -> Sequence[tuple[str, dict[str, Any]]]:
    """Return the spans that are not proved, each with its chain's name."""
    return [
        (f"{chain['account']} {chain['region']} {chain['trail']}", span)
        for chain in document["chains"]
        for span in chain["spans"]
        if span["verdict"] not in ("proved", "backfill")
    ]


def _sha256(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
