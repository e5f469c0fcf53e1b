"""Build the Debian package: `make deb` writes dist/syncd_VERSION_ARCHITECTURE.deb.

    python supply/deb.py [--output dist]

The package brings its Python packages along, from the lock file, in /opt/syncd, and runs on the system's Python. Two builds
of one commit with one lock file are the same file, byte for byte.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from locks import PROJECT

from syncd.cli.terminal.completion import script

PYTHON = "/usr/bin/python3"
HOME = "opt/syncd"
_UNITS = "usr/lib/systemd/system"
_LAUNCHER = f"""#!/{HOME}/bin/python3 -I
import sys

from syncd.__main__ import main

sys.exit(main())
"""
_TMPFILES = """# The configuration, which root writes and the user syncd reads.
d /etc/syncd 0750 root syncd -
d /etc/syncd/jobs.d 0750 root syncd -
d /etc/syncd/catch-up 0750 root syncd -
z /etc/syncd/syncd.toml 0640 root syncd -
# The consumer's credentials. Empty: an instance's role.
f /etc/syncd/credentials 0640 root syncd -
# The state. The service makes it too; a verb may come first.
d /var/lib/syncd 0750 syncd syncd -
"""
_SCRIPTS = {
    "postinst": """#!/bin/sh
set -e
if [ "$1" = configure ]; then
    systemd-sysusers syncd.conf
    systemd-tmpfiles --create syncd.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # An upgrade restarts what runs. A first installation starts nothing: no job is configured yet.
        [ -z "$2" ] || systemctl try-restart syncd.service 'syncd@*.service'
    fi
fi
""",
    "prerm": """#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop syncd.service 'syncd@*.service' syncd-tick.timer
fi
""",
    "postrm": """#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
if [ "$1" = purge ]; then
    rm -rf /var/lib/syncd
    rm -f /etc/syncd/credentials
    # Jobs that somebody wrote stay.
    for folder in /etc/syncd/catch-up /etc/syncd/jobs.d /etc/syncd; do
        [ ! -d "$folder" ] || rmdir --ignore-fail-on-non-empty "$folder"
    done
fi
""",
}


def main() -> None:
    """Build the package."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--output", type=Path, default=PROJECT / "dist", help="the folder for the package")
    output: Path = options.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    os.environ["SOURCE_DATE_EPOCH"] = _said("git", "-C", PROJECT, "log", "-1", "--format=%ct")
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        _environment(root / HOME)
        _program(root)
        _documents(root)
        _control(root)
        architecture = _said("dpkg", "--print-architecture")
        package = output / f"syncd_{_version()}_{architecture}.deb"
        _run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z9", "--build", root, package)
    sys.stdout.write(f"{package}\n")


def _environment(home: Path) -> None:
    """Make a virtual environment of the system's Python, with what the lock file names, and syncd."""
    version = _said(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    _write(
        home / "pyvenv.cfg",
        f"home = {Path(PYTHON).parent}\ninclude-system-site-packages = false\nversion = {version}\n",
    )
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(PYTHON)
    target = home / "lib" / f"python{version}" / "site-packages"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    pip += ("--target", str(target), "--python-version", version, "--only-binary", ":all:")
    _run(*pip, "--require-hashes", "--requirement", PROJECT / "requirements" / "runtime.txt")
    # Programs of the libraries; nobody calls them.
    shutil.rmtree(target / "bin", ignore_errors=True)
    with tempfile.TemporaryDirectory() as wheels:
        _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels, cwd=PROJECT)
        # By its name rather than its path, which pip would record.
        _run(*pip, "--no-deps", "--no-index", "--find-links", wheels, f"syncd=={_version()}")
    shutil.rmtree(target / "bin", ignore_errors=True)
    _run(
        PYTHON,
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        home,
        "-p",
        f"/{HOME}",
        target,
    )


def _program(root: Path) -> None:
    """Write the command, the units, the user, the configuration and the completions."""
    _write(root / "usr/bin/syncd", _LAUNCHER, mode=0o755)
    systemd = PROJECT / "deploy" / "systemd"
    for path in sorted([*systemd.glob("*.service"), *systemd.glob("*.timer")]):
        _write(root / _UNITS / path.name, path.read_text().replace("/usr/local/bin/syncd", "/usr/bin/syncd"))
    _write(root / "usr/lib/sysusers.d/syncd.conf", (systemd / "syncd.sysusers.conf").read_text())
    _write(root / "usr/lib/tmpfiles.d/syncd.conf", _TMPFILES)
    _write(root / "etc/syncd/syncd.toml", (PROJECT / "config" / "syncd.toml").read_text())
    for shell, path in {
        "bash": "usr/share/bash-completion/completions/syncd",
        "zsh": "usr/share/zsh/vendor-completions/_syncd",
        "fish": "usr/share/fish/vendor_completions.d/syncd.fish",
    }.items():
        _write(root / path, script(shell))


def _documents(root: Path) -> None:
    """Write the manual page, the licence, the changelog and the examples."""
    documents = root / "usr/share/doc/syncd"
    manual = _said(sys.executable, PROJECT / "tools" / "manpage.py")
    for path, text in (
        (root / "usr/share/man/man1/syncd.1.gz", f"{manual}\n"),
        (documents / "changelog.gz", (PROJECT / "CHANGELOG.md").read_text()),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    _write(documents / "copyright", (PROJECT / "LICENSE").read_text())
    for path in _examples():
        _write(documents / "examples" / path.relative_to(PROJECT), path.read_text())


def _examples() -> Iterator[Path]:
    for folder in ("config/jobs.d", "deploy/alerts", "deploy/grafana"):
        yield from sorted(path for path in (PROJECT / folder).iterdir() if path.is_file())
    yield from sorted((PROJECT / "deploy" / "systemd").glob("syncd@.*.conf"))


def _control(root: Path) -> None:
    """Write what dpkg has to know: dependencies, configuration files and scripts."""
    major, minor = _said(PYTHON, "-c", "import sys; print(*sys.version_info[:2])").split()
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    fields = {
        "Package": "syncd",
        "Version": _version(),
        "Architecture": _said("dpkg", "--print-architecture"),
        "Maintainer": f"{os.environ.get('DEBFULLNAME', 'syncd')} <{os.environ.get('DEBEMAIL', 'root@localhost')}>",
        "Installed-Size": str(size),
        # Compiled parts fit one minor version of Python.
        "Depends": f"python3 (>= {major}.{minor}), python3 (<< {major}.{int(minor) + 1}), ca-certificates, systemd",
        "Section": "admin",
        "Priority": "optional",
        "Description": "replicate CloudTrail logs into your own bucket\n"
        " syncd copies CloudTrail logs from another account's bucket into yours, and can show that\n"
        " none is missing.",
    }
    _write(root / "DEBIAN/control", "".join(f"{name}: {value}\n" for name, value in fields.items()))
    _write(root / "DEBIAN/conffiles", "/etc/syncd/syncd.toml\n")
    for name, text in _SCRIPTS.items():
        _write(root / "DEBIAN" / name, text, mode=0o755)


def _version() -> str:
    found = re.search(r'^__version__ = "([^"]+)"', (PROJECT / "syncd" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("syncd/__init__.py names no version")
    return found[1]


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _run(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(word) for word in command], check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def _said(*command: object) -> str:
    run = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return run.stdout.strip()


if __name__ == "__main__":
    main()
