"""The Debian package on a copy of this machine: installed, run, upgraded, removed and purged. `make packages` runs it.

The copy is an overlay of the root file system, whose changes are gone with its mount namespace. It takes root.
"""

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import FaultyS3
from stage import Stage

PROJECT = Path(__file__).parents[2]
COPY = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
for folder in proc dev sys; do mount --rbind "/$folder" "$1/root/$folder"; done
mkdir "$1/root/out"
mount --bind "$2" "$1/root/out"
exec chroot "$1/root" /bin/bash /out/steps.sh
"""
STEPS = r"""
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PYTHONPATH=/nowhere AWS_EC2_METADATA_DISABLED=true
step() { name=$1; shift; "$@" > "/out/$name.stdout" 2> "/out/$name.stderr"; echo $? > "/out/$name.code"; }
as_syncd() { runuser -u syncd -- "$@"; }
rm -f /usr/local/bin/syncd

step install dpkg --install /out/syncd.deb
step modes stat --format '%a %U:%G %n' /etc/syncd /etc/syncd/syncd.toml /etc/syncd/credentials /var/lib/syncd
step version as_syncd syncd --version
step manual man --where syncd
step units systemd-analyze verify /usr/lib/systemd/system/syncd.service /usr/lib/systemd/system/syncd-tick.service
step files dpkg --verify syncd

install --group=syncd --mode=0640 /out/account-z.toml /etc/syncd/jobs.d/
install --group=syncd --mode=0640 /out/credentials /etc/syncd/credentials
sed -i 's/^listen = .*/listen = ""/' /etc/syncd/syncd.toml
step validate as_syncd syncd config validate
step tick as_syncd syncd tick --json
step complete bash -c 'source /usr/share/bash-completion/completions/syncd
    COMP_WORDS=(syncd tick ""); COMP_CWORD=2; _syncd_completion syncd; echo "${COMPREPLY[@]}"'
step run as_syncd timeout --preserve-status --signal=TERM 15 syncd run

step upgrade dpkg --install /out/syncd.deb
step kept grep -c '^listen = ""' /etc/syncd/syncd.toml
step status as_syncd syncd status

step remove dpkg --remove syncd
step left ls /usr/bin/syncd /opt/syncd
step purge dpkg --purge syncd
step purged ls /var/lib/syncd /etc/syncd/syncd.toml /etc/syncd/credentials
step jobs ls /etc/syncd/jobs.d
"""


class Step(NamedTuple):
    """What a step wrote, and how it ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run([sys.executable, PROJECT / "supply" / "deb.py", "--output", folder], check=True)
    (found,) = folder.glob("*.deb")
    return found


def steps_of(folder: Path) -> Mapping[str, Step]:
    """Every step that was taken, by name."""
    return {
        path.stem: Step(
            int(path.read_text()), path.with_suffix(".stdout").read_text(), path.with_suffix(".stderr").read_text()
        )
        for path in folder.glob("*.code")
    }


@pytest.mark.needs_tool("dpkg-deb")
def test_the_package_installs_runs_upgrades_and_leaves_nothing_behind(
    package: Path, faulty: FaultyS3, tmp_path: Path
) -> None:
    stage = Stage(faulty, tmp_path / "stage")
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], datetime.now(UTC) - timedelta(minutes=5))])
    job = stage.job().read_text().replace(str(stage.credentials), "/etc/syncd/credentials")
    (out := tmp_path / "out").mkdir()
    (tmp_path / "copy").mkdir()
    for name, text in (("account-z.toml", job), ("credentials", stage.credentials.read_text()), ("steps.sh", STEPS)):
        (out / name).write_text(text)
    (out / "syncd.deb").write_bytes(package.read_bytes())

    subprocess.run(["unshare", "--mount", "sh", "-c", COPY, "sh", tmp_path / "copy", out], check=True)

    steps = steps_of(out)
    expected = dict.fromkeys(steps, 0) | {"left": 2, "purged": 2}
    assert {name: step.code for name, step in steps.items()} == expected, steps
    assert steps["modes"].stdout.splitlines() == [
        "750 root:syncd /etc/syncd",
        "640 root:syncd /etc/syncd/syncd.toml",
        "640 root:syncd /etc/syncd/credentials",
        "750 syncd:syncd /var/lib/syncd",
    ]
    assert steps["manual"].stdout == "/usr/share/man/man1/syncd.1.gz\n"
    assert steps["units"].stderr == steps["files"].stdout == ""
    assert stage.replica() == stage.source()
    assert steps["complete"].stdout == "account-z\n"
    assert "daemon.started" in steps["run"].stderr
    assert steps["jobs"].stdout == "account-z.toml\n"
