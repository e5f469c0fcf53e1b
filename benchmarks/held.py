"""What it costs to look at a job with as many objects in quarantine as a job may have: seconds and memory, held to targets.

    python benchmarks/held.py [OBJECTS]       exit 1 where a target is missed

Every object has the longest key that S3 allows and the longest answer that the state keeps. A verb is a program of its
own, whose start is in the figure. What the daemon answers is asked three times, and the slowest counts.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import ACCOUNT, BIN, CONSUMER
from scale import Measure

from syncd.config.files import load
from syncd.ledger.ledger import LedgerFile
from syncd.model.objects import Failed, LogObject, Shard, ShardState, Transfer
from syncd.tick.scope import replica_of

OBJECTS = 100_000
RECORDED_AT_ONCE = 1000
SHARD = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/", ACCOUNT, "CloudTrail", "us-east-1")
VERBS = {
    ("status",): 4000.0,
    ("status", "--json"): 4000.0,
    ("ledger", "quarantine", "list"): 40_000.0,
    ("ledger", "quarantine", "list", "--json"): 15_000.0,
}
"""And how many milliseconds each may take."""
PATHS = {"/readyz": 100.0, "/metrics": 100.0, "/": 100.0, "/jobs/held": 4000.0}
VERB_MIB, DAEMON_MIB = 128.0, 512.0


def configured(folder: Path) -> Path:
    """Write the configuration of a job whose servers do not answer."""
    (folder / "jobs.d").mkdir()
    (folder / "credentials").write_text("[default]\naws_access_key_id = AKX\naws_secret_access_key = s\n")
    (folder / "syncd.toml").write_text(
        f'state_dir = "{folder}/state"\njobs = ["jobs.d/*.toml"]\n[log]\nlevel = "error"\n'
        '[http]\nlisten = "127.0.0.1:18931"\n'
    )
    (folder / "jobs.d" / "held.toml").write_text(
        f'name = "held"\nstart = "beginning"\n[consumer]\naccount_id = "{CONSUMER}"\n'
        f'credentials_file = "{folder}/credentials"\n[source]\naccount_id = "{ACCOUNT}"\nbucket = "src"\n'
        f'region = "us-east-1"\naccounts = ["{ACCOUNT}"]\nregions = ["us-east-1"]\nkinds = ["CloudTrail"]\n'
        f'[source.role]\narn = "arn:aws:iam::{ACCOUNT}:role/Test"\n'
        '[destination]\nbucket = "dst"\nregion = "us-east-1"\n'
        '[endpoints]\ns3 = "http://127.0.0.1:1"\nsts = "http://127.0.0.1:1"\n'
    )
    return folder / "syncd.toml"


def hold(config: Path, objects: int) -> None:
    """Put so many objects into quarantine, of a shard that was listed a minute ago."""
    now = time.time()
    (job,) = load(config).jobs
    file = LedgerFile(load(config).settings.state_dir, now=lambda: now)
    with file.open(replica_of(job), job.name) as ledger:
        ledger.set_start(now - 86400)
        state = ShardState(
            shard=SHARD,
            frontier=now - 120,
            listed_at=now - 60,
            recent_at=now - 60,
            deep_done_at=now - 60,
            complete_from=now - 86400,
            complete_until=now - 3600,
            newest_arrival=now - 120,
            layout="cloudtrail",
        )
        ledger.save_shards([state], discovered_at=now - 60)
        for first in range(0, objects, RECORDED_AT_ONCE):
            numbers = range(first, min(objects, first + RECORDED_AT_ONCE))
            ledger.record([_failed(number, now - 3600 + first / RECORDED_AT_ONCE) for number in numbers], [], now=now)


def _failed(number: int, at: float) -> Failed:
    moment = time.gmtime(at)
    name = f"{ACCOUNT}_CloudTrail_us-east-1_{time.strftime('%Y%m%dT%H%MZ', moment)}_{number:016}"
    key = f"{SHARD.prefix}{time.strftime('%Y/%m/%d', moment)}/{name}"
    key += "x" * (1024 - len(".json.gz") - len(key)) + ".json.gz"
    item = LogObject(key, f"{number:032x}", 300, at)
    return Failed(Transfer(SHARD, item, key), "access_denied", "GetObject: " + "y" * 1989)


def of_verb(config: Path, verb: Sequence[str]) -> tuple[float, float]:
    """Milliseconds and MiB of a program that is run to its end."""
    began = time.perf_counter()
    process = subprocess.Popen([BIN / "syncd", *verb, "--config", config], stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return (time.perf_counter() - began) * 1000, usage.ru_maxrss / 1024


def measures(config: Path) -> Iterator[Measure]:
    for verb, most in VERBS.items():
        milliseconds, mib = of_verb(config, verb)
        yield Measure(" ".join(verb), milliseconds, "ms", at_most=most)
        yield Measure("  memory", mib, "MiB", at_most=VERB_MIB)
    with subprocess.Popen([BIN / "syncd", "run", "--config", config], stderr=subprocess.DEVNULL) as daemon:
        try:
            _when_ticked()
            for path, most in PATHS.items():
                yield Measure(path, max(_asked(path)[0] for _ in range(3)), "ms", at_most=most)
            yield Measure("  memory of the daemon", _peak_mib(daemon.pid), "MiB", at_most=DAEMON_MIB)
        finally:
            daemon.kill()


def _asked(path: str) -> tuple[float, bytes]:
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:18931{path}", timeout=60) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    return (time.perf_counter() - began) * 1000, body


def _when_ticked() -> None:
    """Wait until the daemon knows how the job stands after a tick."""
    while True:
        with contextlib.suppress(OSError):
            jobs = json.loads(_asked("/readyz")[1])["jobs"]
            if jobs and any("last tick failed" in why for why in jobs[0]["why"]):
                return
        time.sleep(0.2)


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> int:
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    missed = 0
    with tempfile.TemporaryDirectory(prefix="syncd-held-") as directory:
        config = configured(Path(directory))
        hold(config, objects)
        print(f"{objects:,} objects in quarantine", flush=True)
        for measure in measures(config):
            print(measure, flush=True)
            missed += not measure.is_met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
