"""What copying costs: syncd and its peers, in turn, against the same server in the same run.

    make bench                          everything, a few minutes
    python benchmarks/bench.py --quick  fewer objects and rounds

Each command is a process of its own, timed from its start to its end with the kernel's own accounting of CPU and
memory, its children's included. The runs alternate, and medians are compared: absolute times mean little on a shared
machine. The responder answers from memory and stores nothing, so that what is measured is the client; SeaweedFS, a
real store, is the second server.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from awscrt.checksums import crc64nvme

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from servers import seaweed_server  # noqa: E402

BIN = Path(os.environ.get("BENCH_BIN", Path(sys.executable).parent))
ACCOUNT, CONSUMER = "111122223333", "222222222222"
LARGE_BYTES = 50 * 1024 * 1024


@dataclass(frozen=True)
class Run:
    """One command, once."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass
class Contender:
    """One command, as often as it was run."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    fresh: Path | None = None
    runs: list[Run] = field(default_factory=list)

    def run(self) -> None:
        if self.fresh is not None:
            shutil.rmtree(self.fresh, ignore_errors=True)
        began = time.monotonic()
        process = subprocess.Popen(
            self.command,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{self.name} ended with {os.waitstatus_to_exitcode(status)}: {told.decode()[-2000:]}")
        peak = usage.ru_maxrss / 1024
        self.runs.append(Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak))

    def median(self, of: str) -> float:
        return statistics.median(getattr(run, of) for run in self.runs)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def responder(folder: Path, objects: int, size: int, *more: str, tells_checksum: bool = True) -> Iterator[str]:
    """The responder with so many objects of one size; its URL. S3 tells each object's checksum to those who ask.

    `more` is as it says itself.
    """
    folder.mkdir(exist_ok=True)
    program = folder / "responder"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "responder.c"], check=True)
    etag, crc = hashlib.md5(), 0
    block = bytes((index * 7 + 13) & 255 for index in range(256)) * 4096
    for start in range(0, size, len(block)):
        # In pieces, since a child's peak begins with what its parent held.
        etag.update(block[: size - start])
        crc = crc64nvme(block[: size - start], crc)
    told = base64.b64encode(crc.to_bytes(8)).decode() if tells_checksum else ""
    port = free_port()
    process = subprocess.Popen([program, str(port), str(objects), str(size), etag.hexdigest(), told, *more])
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield url
    finally:
        process.kill()
        process.wait()


def wait_for(url: str, authorities: Path | None = None) -> None:
    """Wait until the responder answers."""
    context = None if authorities is None else ssl.create_default_context(cafile=authorities)
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{url}/__stats", context=context):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def counted(url: str) -> dict[str, int]:
    """What the responder has answered since it was last asked."""
    with urllib.request.urlopen(f"{url}/__stats") as answer:
        found: dict[str, int] = json.load(answer)
        return found


def syncd(
    folder: Path,
    url: str,
    name: str,
    *,
    copy: str,
    workers: int,
    verb: Sequence[str],
    keys: tuple[str, str] | None = None,
) -> Contender:
    """Ours, with a state of its own; with `keys` it reads by the consumer's own identity, else by a role."""
    home = folder / name.replace(" ", "-").replace(",", "")
    (home / "jobs.d").mkdir(parents=True)
    access_key, secret = keys or ("AKX", "s")
    (home / "credentials").write_text(
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\n"
    )
    role = "" if keys else f'[source.role]\narn = "arn:aws:iam::{ACCOUNT}:role/Test"\n'
    sts = "" if keys else f'sts = "{url}"\n'
    (home / "syncd.toml").write_text(
        f'state_dir = "{home}/state"\njobs = ["jobs.d/*.toml"]\n[log]\nlevel = "error"\n[http]\nlisten = ""\n'
        f"[engine]\nworkers = {workers}\n"
    )
    (home / "jobs.d" / "bench.toml").write_text(
        f'name = "bench"\nstart = "beginning"\n[consumer]\naccount_id = "{CONSUMER}"\n'
        f'credentials_file = "{home}/credentials"\n[source]\naccount_id = "{ACCOUNT}"\nbucket = "src"\n'
        f'region = "us-east-1"\naccounts = ["{ACCOUNT}"]\nregions = ["us-east-1"]\nkinds = ["CloudTrail"]\n'
        f'{role}[destination]\nbucket = "dst"\nregion = "us-east-1"\ncopy = "{copy}"\n'
        f'[endpoints]\ns3 = "{url}"\n{sts}'
    )
    command = [str(BIN / "syncd"), *verb, "--json", "--config", str(home / "syncd.toml")]
    fresh = home / "state" if verb[0] == "catch-up" else None
    return Contender(name, command, fresh=fresh)


def streaming(folder: Path, url: str, *, keys: tuple[str, str] | None = None) -> list[Contender]:
    """Ours with one worker and with two."""
    verb = ["catch-up", "--from", "2026-01-01"]
    return [
        syncd(folder, url, f"syncd stream, {workers}", copy="stream", workers=number, verb=verb, keys=keys)
        for number, workers in ((1, "one worker"), (2, "two workers"))
    ]


def peers(url: str, *, destination: str = "dst", keys: tuple[str, str] = ("AKX", "s")) -> dict[str, Contender]:
    """The tools that people come from."""
    access_key, secret = keys
    environment = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret}
    environment |= {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    remote = {
        f"RCLONE_CONFIG_{name}_{key}": value
        for name in ("SRC", "DST")
        for key, value in {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ACCESS_KEY_ID": access_key,
            "SECRET_ACCESS_KEY": secret,
            "REGION": "us-east-1",
            "ENDPOINT": url,
            "FORCE_PATH_STYLE": "true",
            "LIST_VERSION": "2",
        }.items()
    } | {"RCLONE_CONFIG": "/nonexistent"}
    s5cmd = [str(BIN / "s5cmd"), "--endpoint-url", url, "--numworkers", "64"]
    rclone = [
        str(BIN / "rclone"),
        "copy",
        "--transfers",
        "16",
        "--checkers",
        "16",
        "--s3-no-check-bucket",
        "--s3-no-head",
    ]
    rclone += ["--s3-no-head-object", "--no-traverse"]
    return {
        "s5cmd cp": Contender("s5cmd cp", [*s5cmd, "cp", "s3://src/*", f"s3://{destination}/"], environment),
        "s5cmd sync": Contender("s5cmd sync", [*s5cmd, "sync", "s3://src/*", f"s3://{destination}/"], environment),
        "rclone, two remotes": Contender("rclone, two remotes", [*rclone, "src:src", f"dst:{destination}"], remote),
        "aws s3 sync": Contender(
            "aws s3 sync",
            [
                str(BIN / "aws"),
                "--endpoint-url",
                url,
                "s3",
                "sync",
                "s3://src",
                f"s3://{destination}",
                "--only-show-errors",
            ],
            environment,
        ),
    }


def alternate(contenders: Sequence[Contender], rounds: int) -> None:
    """One round after the other, each contender once in each."""
    for _ in range(rounds):
        for contender in contenders:
            contender.run()


def table(title: str, contenders: Sequence[Contender], against: Contender, objects: int) -> None:
    """Medians, and their ratios to one of the contenders."""
    print(f"\n{title}")
    print(f"{'':34}{'objects/s':>11}{'µs CPU each':>13}{'peak MB':>9}{'rate ratio':>12}{'CPU ratio':>11}")
    for contender in contenders:
        seconds, cpu = contender.median("seconds"), contender.median("cpu_seconds")
        print(
            f"{contender.name:34}{objects / seconds:>11,.0f}{cpu / objects * 1e6:>13.0f}"
            f"{contender.median('peak_mb'):>9.0f}{against.median('seconds') / seconds:>12.2f}"
            f"{cpu / against.median('cpu_seconds'):>11.2f}"
        )


def small_objects(folder: Path, *, objects: int, rounds: int, with_slow: bool) -> None:
    verb = ["catch-up", "--from", "2026-01-01"]
    with responder(folder, objects, 2048) as url:
        ours = [
            syncd(folder, url, "syncd server-side, one worker", copy="server-side", workers=1, verb=verb),
            syncd(folder, url, "syncd server-side, two workers", copy="server-side", workers=2, verb=verb),
        ]
        theirs = peers(url)
        fast = [*ours, theirs["s5cmd cp"]]
        alternate(fast, rounds)
        if with_slow:
            alternate([theirs["s5cmd sync"]], 1)
            fast.append(theirs["s5cmd sync"])
        table(
            f"Server-side, {objects:,} objects of 2 KB, the process's start included", fast, theirs["s5cmd cp"], objects
        )
        counted(url)
        ours[0].run()
        print(f"requests of one run: {counted(url)}")

        contenders = [*streaming(folder, url), theirs["rclone, two remotes"]]
        alternate(contenders, rounds)
        table(
            f"Streaming between two credentials, {objects:,} objects of 2 KB",
            contenders,
            theirs["rclone, two remotes"],
            objects,
        )
        counted(url)
        contenders[0].run()
        print(f"requests of one run: {counted(url)}")


def large_objects(folder: Path, *, objects: int, rounds: int) -> None:
    """What of the clients' own cost decides: rclone hashes nothing, we hash every byte."""
    with responder(folder, objects, LARGE_BYTES) as url:
        contenders = [*streaming(folder, url), peers(url)["rclone, two remotes"]]
        alternate(contenders, rounds)
        table(f"Streaming {objects} objects of 50 MB", contenders, contenders[-1], objects)


def idle_tick(folder: Path, *, objects: int, rounds: int) -> None:
    """What a tick costs when nothing is new, beside what the peers do to find that out."""
    with responder(folder, objects, 2048) as url:
        ours = syncd(folder, url, "syncd tick", copy="server-side", workers=1, verb=["tick"])
        ours.run()
        ours.runs.clear()
        # A bucket of another name than `dst` holds what the source holds, so that the peers find nothing to copy.
        theirs = list(peers(url, destination="mirror").values())
        print(f"\nNothing new, {objects:,} objects of history")
        print(f"{'':34}{'s CPU':>8}{'LISTs':>8}{'other requests':>16}")
        for contender in (ours, *(peer for peer in theirs if peer.name in ("s5cmd sync", "aws s3 sync"))):
            counted(url)
            alternate([contender], rounds)
            found = {name: count // rounds for name, count in counted(url).items()}
            others = sum(found.values()) - found["list"]
            print(f"{contender.name:34}{contender.median('cpu_seconds'):>8.2f}{found['list']:>8}{others:>16}")


def real_store(folder: Path, *, objects: int, size: int, what: str, rounds: int) -> None:
    """The same against SeaweedFS, which stores what it is given: it is the bottleneck, and the figures say so."""
    with seaweed_server() as server:
        pair = (server.access_key_id, server.secret_access_key)
        keys = {"aws_access_key_id": pair[0], "aws_secret_access_key": pair[1]}
        client = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **keys)
        for bucket in ("src", "dst"):
            client.create_bucket(Bucket=bucket)
        shard = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/01/01"
        body = os.urandom(size)
        for number in range(objects):
            name = f"{ACCOUNT}_CloudTrail_us-east-1_20260101T{number % 24:02}00Z_{number:016}.json.gz"
            client.put_object(Bucket="src", Key=f"{shard}/{name}", Body=body)
        contenders = [*streaming(folder, server.url, keys=pair), peers(server.url, keys=pair)["rclone, two remotes"]]
        for _ in range(rounds):
            for contender in contenders:
                for page in client.get_paginator("list_objects_v2").paginate(Bucket="dst"):
                    for item in page.get("Contents", []):
                        client.delete_object(Bucket="dst", Key=item["Key"])
                contender.run()
        client.close()
        title = f"Streaming {objects:,} objects of {what} on a real store, SeaweedFS"
        table(title, contenders, contenders[-1], objects)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    many, rounds = (8_000, 1) if quick else (40_000, 3)
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as name:
        tables = iter(Path(name) / f"table-{number}" for number in range(5))
        small_objects(next(tables), objects=many, rounds=2 if quick else 5, with_slow=not quick)
        large_objects(next(tables), objects=20 if quick else 60, rounds=rounds)
        idle_tick(next(tables), objects=many, rounds=rounds)
        real_store(next(tables), objects=1_000, size=2048, what="2 KB", rounds=rounds)
        real_store(next(tables), objects=20, size=LARGE_BYTES, what="50 MB", rounds=rounds)


if __name__ == "__main__":
    main()
