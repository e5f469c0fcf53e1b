"""Write the software bill of materials of an installation, from its lock file: CycloneDX 1.5, the same for the same lock.

python supply/sbom.py [requirements/runtime.txt] [--output dist/syncd.cdx.json]
"""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locks import FOLDER, PROJECT, Pin, by_name, read_lock


def bill(pins: Sequence[Pin], version: str) -> dict[str, Any]:
    """Make the document."""
    product = {
        "type": "application",
        "bom-ref": f"pkg:pypi/syncd@{version}",
        "name": "syncd",
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "purl": f"pkg:pypi/syncd@{version}",
    }
    components = [_component(pin) for pin in sorted(pins, key=lambda pin: (pin.name, pin.version))]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
        "dependencies": _dependencies(pins, product["purl"]),
    }
    # By content, so that two builds of one lock file have one bill.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return {**document, "serialNumber": f"urn:uuid:{serial}"}


def _component(pin: Pin) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": _purl(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": _purl(pin),
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": each} for each in sorted(pin.hashes)],
    }
    return component | ({"properties": [{"name": "syncd:marker", "value": pin.marker}]} if pin.marker else {})


def _dependencies(pins: Sequence[Pin], product: str) -> list[dict[str, Any]]:
    named = by_name(pins)
    needs: dict[str, set[str]] = {product: set(), **{_purl(pin): set() for pin in pins}}
    for pin in pins:
        for parent in pin.parents:
            for user in [product] if parent == "syncd" else map(_purl, named.get(parent, ())):
                needs[user].add(_purl(pin))
    return [{"ref": ref, "dependsOn": sorted(found)} for ref, found in sorted(needs.items())]


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


def main() -> int:
    """Write the bill; 0."""
    parser = argparse.ArgumentParser(description="The software bill of materials of a lock file, as CycloneDX.")
    parser.add_argument("lock", nargs="?", type=Path, default=FOLDER / "runtime.txt")
    parser.add_argument("--output", type=Path, help="the file to write; else it is printed")
    given = parser.parse_args()
    found = re.search(r'__version__ = "([^"]+)"', (PROJECT / "syncd" / "__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("syncd/__init__.py names no version")
    text = json.dumps(bill(read_lock(given.lock), found[1]), indent=2) + "\n"
    if given.output is None:
        sys.stdout.write(text)
    else:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
