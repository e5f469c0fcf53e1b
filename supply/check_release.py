"""Check a release with the tools that its users have: the metadata with twine, the bill of materials by its schema.

python supply/check_release.py [dist]
"""

import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from locks import PROJECT


def main() -> int:
    """Check the folder; 0 if all is well."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else PROJECT / "dist"
    packages = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    bills = list(folder.glob("*.cdx.json"))
    if len(packages) != 2 or len(bills) != 1:
        sys.stderr.write(f"{folder} holds no release: {len(packages)} of 2 packages, {len(bills)} bills of materials\n")
        return 1
    code = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, packages)], check=False
    ).returncode
    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(bills[0].read_text(encoding="utf-8"))
    sys.stdout.write(f"{bills[0].name}: {problem or 'a valid CycloneDX 1.5 document'}\n")
    return 1 if code or problem else 0


if __name__ == "__main__":
    sys.exit(main())
