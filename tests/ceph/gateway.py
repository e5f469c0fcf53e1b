"""Ceph's S3 gateway on loopback: one monitor, one store in memory and one gateway, from the packages of the machine.

A real server in C++ that tells owners of buckets apart and evaluates their policies. They end with this process.
"""

import contextlib
import http.client
import os
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from syncd.cli.demo.embedded import HOST, free_port
from syncd.cli.demo.guard import serving

# radosgw asks for an encrypted connection to the monitor unless `ms mon client mode` says otherwise, and answers in 44 ms
# rather than 2 without tcp_nodelay.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = v2:{host}:{monitor_port}/0
mon initial members = a
public addr = {host}
cluster addr = {host}
ms bind ipv6 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
mon warn on pool no redundancy = false
mon allow pool size one = true
mon max pg per osd = 2000
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
log file = {folder}/$name.log
keyring = {folder}/keyring
setuser match path = {folder}
[mon]
mon data = {folder}/mon
mon osd crush smoke test = false
mon data avail crit = 1
mon data avail warn = 2
auth allow insecure global id reclaim = true
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
[client.rgw]
rgw frontends = beast endpoint={host}:{port} tcp_nodelay=1
rgw data = {folder}/rgw
rgw enable usage log = false
rgw enable ops log = false
rgw dynamic resharding = false
"""


@dataclass(frozen=True)
class Gateway:
    """A running gateway; each user is an owner of buckets of his own."""

    url: str
    folder: Path

    def add_user(self, name: str) -> tuple[str, str]:
        """Access key and secret of a new user, whose ARN is `arn:aws:iam:::user/NAME`."""
        keys = (f"{name.upper():0<20}", f"secret-of-{name}")
        command = ["radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}"]
        _run([*command, f"--access-key={keys[0]}", f"--secret-key={keys[1]}"], self.folder)
        return keys


@contextlib.contextmanager
def ceph_gateway() -> Iterator[Gateway]:
    """Takes some ten seconds to start."""
    with tempfile.TemporaryDirectory(prefix="syncd-ceph-") as name, contextlib.ExitStack() as stack:
        folder, port, monitor_port, fsid = Path(name), free_port(), free_port(), str(uuid.uuid4())
        text = _CONFIGURATION.format(folder=folder, host=HOST, port=port, monitor_port=monitor_port, fsid=fsid)
        (folder / "ceph.conf").write_text(text)
        for part in ("mon", "osd", "rgw"):
            (folder / part).mkdir()
        _prepare_monitor(folder, f"[v2:{HOST}:{monitor_port}]", fsid)
        stack.enter_context(_daemon(folder, "ceph-mon", "-i", "a", is_ready=lambda: _is_true(folder, "mon", "stat")))
        identity = str(uuid.uuid4())
        _run(["ceph", "osd", "new", identity], folder)
        _run(["ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity], folder)
        stack.enter_context(_daemon(folder, "ceph-osd", "-i", "0", is_ready=lambda: _is_up(folder)))
        stack.enter_context(_daemon(folder, "radosgw", "-n", "client.rgw", is_ready=lambda: _answers(port)))
        yield Gateway(f"http://{HOST}:{port}", folder)


def _prepare_monitor(folder: Path, address: str, fsid: str) -> None:
    keyring, everything = str(folder / "keyring"), "allow *"
    caps = ["--cap", "mon", everything]
    _run(["ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *caps], folder)
    _run(["ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps, "--cap", "osd", everything], folder)
    _run(["monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(folder / "monmap")], folder)
    _run(["ceph-mon", "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"), "--keyring", keyring], folder)


@contextlib.contextmanager
def _daemon(folder: Path, program: str, *arguments: str, is_ready: Callable[[], bool]) -> Iterator[None]:
    place = Path(tempfile.mkdtemp(prefix=f"syncd-{program}-"))
    command = [program, "-c", str(folder / "ceph.conf"), *arguments, "-f"]
    # What is in memory is worth no graceful end, and the store hangs in one once its monitor is gone.
    with serving(
        command, directory=place, environment=os.environ, is_ready=is_ready, start_seconds=60, grace_seconds=0
    ):
        yield


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "CEPH_CONF": str(folder / "ceph.conf")}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


def _is_true(folder: Path, *words: str) -> bool:
    try:
        _run(["ceph", "--connect-timeout", "2", *words], folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False
    return True


def _is_up(folder: Path) -> bool:
    return "1 up" in _run(["ceph", "osd", "stat"], folder)


def _answers(port: int) -> bool:
    try:
        with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
