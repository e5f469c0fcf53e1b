"""Build everything of a release into dist/: sdist, wheel, Debian package, Helm chart, bill of materials, notes, checksums.

    python supply/release.py [--output dist] [--url https://HOST/OWNER/syncd] [--without-deb]

Two builds of one commit with the same lock files and the same URL are the same files, byte for byte.
"""

import argparse
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from locks import PROJECT
from project_urls import VARIABLE

CHART = PROJECT / "deploy" / "helm" / "syncd"
CHECKSUMS = "SHA256SUMS"


def main() -> int:
    """Build the release; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=PROJECT / "dist", help="the folder, which is made or has to be empty"
    )
    parser.add_argument("--url", default="", help="where the project is hosted, for the metadata of sdist and wheel")
    parser.add_argument("--without-deb", action="store_true", help="leave the Debian package out; it needs dpkg-deb")
    given = parser.parse_args()
    output: Path = given.output
    output.mkdir(parents=True, exist_ok=True)
    if strangers := sorted(path.name for path in output.iterdir()):
        parser.error(f"{output} is not empty ({', '.join(strangers)}); name another folder, or empty this one")
    os.environ["SOURCE_DATE_EPOCH"] = _said("git", "-C", PROJECT, "log", "-1", "--format=%ct")
    os.environ[VARIABLE] = given.url
    os.umask(0o022)
    _run(sys.executable, "-m", "hatchling", "build", "--directory", output.absolute())
    if not given.without_deb:
        _run(sys.executable, PROJECT / "supply" / "deb.py", "--output", output)
    _run(sys.executable, PROJECT / "supply" / "sbom.py", "--output", output / f"syncd-{version()}.cdx.json")
    chart(output)
    (output / "RELEASE_NOTES.md").write_text(notes((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), version()))
    built = sorted(path for path in output.iterdir() if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in built)
    (output / CHECKSUMS).write_text(sums)
    sys.stdout.write(sums)
    return 0


def version() -> str:
    """Read the version of the package."""
    found = re.search(r'^__version__ = "([^"]+)"', (PROJECT / "syncd" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("syncd/__init__.py names no version")
    return found[1]


def notes(changelog: str, number: str) -> str:
    """Return the notes of a version: its section of the changelog, or what is unreleased."""
    sections = dict(re.findall(r"^## (\S+).*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL))
    text = sections.get(number) or sections.get("Unreleased")
    if not text or not text.strip():
        raise SystemExit(f"CHANGELOG.md says nothing of {number}, and nothing is unreleased")
    return (
        f"# syncd {number}\n\n{text.strip()}\n\n## Files\n\n"
        f"`sha256sum --check {CHECKSUMS}` checks them. The bill of materials is `syncd-{number}.cdx.json` (CycloneDX).\n"
        "[Upgrade and rollback](docs/upgrade.md) say what to do besides.\n"
    )


def chart(output: Path) -> Path:
    """Pack the Helm chart as `helm package` does, without the time of the day in it."""
    number = re.search(r"^version: (\S+)$", (CHART / "Chart.yaml").read_text(), re.MULTILINE)
    if number is None:
        raise SystemExit("Chart.yaml names no version")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in _chart_files():
            entry = tarfile.TarInfo(f"syncd/{path.relative_to(CHART)}")
            entry.size, entry.mtime, entry.mode = path.stat().st_size, int(os.environ["SOURCE_DATE_EPOCH"]), 0o644
            with path.open("rb") as file:
                archive.addfile(entry, file)
    target = output / f"syncd-chart-{number[1]}.tgz"
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return target


def _chart_files() -> Sequence[Path]:
    """Return the files that are in git: others may be somebody's values, with secrets."""
    names = _said("git", "-C", PROJECT, "ls-files", "--", CHART).splitlines()
    # Helm reads Chart.yaml first.
    return sorted((PROJECT / name for name in names), key=lambda path: (path.name != "Chart.yaml", path))


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)


def _said(*command: object) -> str:
    run = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return run.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
