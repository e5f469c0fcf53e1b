"""What a proof costs: `syncd verify` by reading, by hashes kept while logs were copied, and the AWS CLI's own validator.

    make bench                            100,000 logs, about fifteen minutes, after the copies
    python benchmarks/verify.py --quick   fewer

All of it is against one server in one run, the tests' own in this process, which holds everything in memory. Its GETs bind,
so reading is compared with the rate of a copy. The state is written as a streamed copy leaves it. The CLI checks a part of the
source, since it refuses a replica, and is compared per log. A tenth of the logs shows whether memory grows.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bench import BIN, Contender

HERE = Path(__file__).parent
sys.path += [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "verify")]
from chains import known_keys  # noqa: E402
from faulty import FaultyS3, Principal  # noqa: E402
from key_server import lists_keys  # noqa: E402

from syncd.cli.demo.samples import TrailSpec, trail  # noqa: E402
from syncd.config import files  # noqa: E402
from syncd.copy.hashes.content import content_hash  # noqa: E402
from syncd.ledger.ledger import LedgerFile  # noqa: E402
from syncd.model.objects import Copied, LogObject, Outcome, Shard, Transfer  # noqa: E402
from syncd.tick.scope import replica_of  # noqa: E402
from syncd.verify.rules.keys import Keys  # noqa: E402

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 30 * 24
RECORDED_AT_ONCE = 1000


@dataclass
class Proved:
    """One way to prove, and its runs."""

    name: str
    contender: Contender
    logs: int

    def rate(self) -> float:
        return self.logs / self.contender.median("seconds")


class Served(NamedTuple):
    """What the clients have to know of the servers."""

    url: str
    keys_url: str
    user: Principal
    logs: int


@contextlib.contextmanager
def serving(folder: Path, spec: TrailSpec) -> Iterator[tuple[Served, Callable[[], None]]]:
    """The servers, in a process of their own: a client is told to have had the memory of the process that began it.

    Yields what they are, and what empties the bucket of the copies.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve, args=(folder, spec, theirs))
    process.start()
    try:

        def again() -> None:
            ours.send("again")
            ours.recv()

        yield ours.recv(), again
    finally:
        process.kill()
        process.join()


def serve(folder: Path, spec: TrailSpec, told: Any) -> None:
    with FaultyS3() as server, lists_keys(public_keys_of(spec)) as keys_url:
        user = server.identities.add_user(ACCOUNT, "bench")
        for bucket in ("source", "replica", "copy"):
            server.create_bucket(bucket, account_id=ACCOUNT)
        config, _ = (configured(folder / bucket, server, user, keys_url, bucket) for bucket in ("replica", "copy"))
        told.send(Served(server.url, keys_url, user, deliver(server, spec, config)))
        while told.recv():
            server.forget_requests()
            server.create_bucket("copy", account_id=ACCOUNT)
            told.send("done")


def deliver(server: FaultyS3, spec: TrailSpec, config: Path) -> int:
    """Put the trail at the source and into its replica, and write the state that a streamed copy leaves.

    Returns how many logs there are.
    """
    (job,) = files.load(config).jobs
    begins = spec.begins.timestamp()
    now = begins + HOURS * 3600
    counts = {True: 0, False: 0}
    with LedgerFile(config.parent / "state", now=lambda: now).open(replica_of(job), job.name) as ledger:
        outcomes: list[Outcome] = []
        for item in trail(spec, spec.begins + timedelta(hours=HOURS)):
            is_log = "/CloudTrail/" in item.key
            counts[is_log] += 1
            put = server.put("source", item.key, item.body, metadata=item.metadata)
            server.put("replica", item.key, item.body, metadata=item.metadata)
            listed = LogObject(item.key, put.etag, len(item.body), now)
            prefix = item.key.rsplit("/", 4)[0] + "/"
            transfer = Transfer(Shard(prefix, ACCOUNT, prefix.split("/")[2], REGION), listed, item.key)
            outcomes.append(Copied(transfer, put.etag, content_hash(item.body)))
            if len(outcomes) == RECORDED_AT_ONCE:
                ledger.record(outcomes, [], now=now)
                outcomes.clear()
        ledger.record(outcomes, [], now=now)
    return counts[True]


def public_keys_of(spec: TrailSpec) -> Keys:
    """The trail's one key, valid for all its time: CloudTrail's own change each 30 days."""
    last = spec.begins.timestamp() + (HOURS + 24) * 3600
    return Keys(key._replace(ends=last) for key in known_keys(spec).all())


def configured(folder: Path, server: FaultyS3, user: Principal, keys_url: str, bucket: str) -> Path:
    """A configuration of one job that verifies continuously, so that its copies hash what they write."""
    folder.mkdir(parents=True)
    (folder / "credentials").write_text(
        f"[default]\naws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret_access_key}\n"
    )
    (folder / "syncd.toml").write_text(
        f'state_dir = "{folder}/state"\njobs = ["job.toml"]\n[log]\nlevel = "error"\n[http]\nlisten = ""\n'
    )
    (folder / "job.toml").write_text(
        f'name = "bench"\nstart = "beginning"\nverify = "continuous"\n[consumer]\naccount_id = "{ACCOUNT}"\n'
        f'credentials_file = "{folder}/credentials"\n[source]\naccount_id = "{ACCOUNT}"\nbucket = "source"\n'
        f'region = "{REGION}"\n[destination]\nbucket = "{bucket}"\nregion = "{REGION}"\ncopy = "stream"\n'
        f'[endpoints]\ns3 = "{server.url}"\ncloudtrail = "{keys_url}"\n'
    )
    return folder / "syncd.toml"


def syncd(name: str, config: Path, *verb: str, fresh: Path | None = None) -> Contender:
    return Contender(name, [str(BIN / "syncd"), *verb, "--json", "--config", str(config)], fresh=fresh)


def cli(server: Served, spec: TrailSpec, hours: float) -> Contender:
    """The AWS CLI at the source, over the newest hours."""
    last = spec.begins + timedelta(hours=HOURS)
    command = [
        *(str(BIN / "aws"), "cloudtrail", "validate-logs", "--s3-bucket", "source", "--region", REGION),
        *("--trail-arn", f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{spec.name}"),
        *("--start-time", (last - timedelta(hours=hours)).isoformat(), "--end-time", last.isoformat()),
    ]
    environment = {
        "AWS_ACCESS_KEY_ID": server.user.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.user.secret_access_key,
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_ENDPOINT_URL_CLOUDTRAIL": server.keys_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return Contender("aws cloudtrail validate-logs", command, environment)


def proved(contender: Contender) -> dict[str, Any]:
    """The proof that one more run comes to."""
    ran = subprocess.run(contender.command, capture_output=True, text=True, check=False)
    (document,) = json.loads(ran.stdout)["jobs"]
    if document["verdict"] != "proved":
        raise SystemExit(f"{contender.name}: {document}"[:3000])
    return dict(document)


def validated(contender: Contender) -> int:
    """How many logs the CLI checks in one more run."""
    ran = subprocess.run(
        contender.command,
        env=contender.environment | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"([0-9]+)/([0-9]+) log files valid", ran.stdout)
    assert found is not None, ran.stdout + ran.stderr
    assert found[1] == found[2], ran.stdout
    return int(found[1])


def table(ways: list[Proved], against: Proved) -> None:
    print(f"\n{'':46}{'logs':>9}{'seconds':>9}{'logs/s':>9}{'peak MB':>9}{'rate ratio':>12}")
    for way in ways:
        contender = way.contender
        print(
            f"{way.name:46}{way.logs:>9,}{contender.median('seconds'):>9.1f}{way.rate():>9,.0f}"
            f"{contender.median('peak_mb'):>9.0f}{way.rate() / against.rate():>12.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--logs", type=int, default=100_000)
    parser.add_argument("--cli", type=int, default=5_000, help="logs that the CLI checks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="5,000 logs, of which the CLI checks 500, once")
    asked = parser.parse_args()
    if asked.quick:
        asked.logs, asked.cli, asked.rounds = 5_000, 500, 1
    begins = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    spec = TrailSpec("source", [ACCOUNT], [REGION], begins, logs_per_hour=max(1, round(asked.logs / HOURS)))
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as name, serving(Path(name), spec) as (told, again):
        config, copied = (Path(name) / bucket / "syncd.toml" for bucket in ("replica", "copy"))
        logs = told.logs
        print(f"{logs:,} logs and their digests are at the source and in the replica", flush=True)
        tenth = f"{spec.begins + timedelta(hours=HOURS * 0.9):%Y-%m-%d}"
        copying = syncd("copy", copied, "catch-up", "--from", tenth, fresh=copied.parent / "state")
        kept, read = syncd("kept", config, "verify"), syncd("read", config, "verify", "--read-data")
        kept_tenth = syncd("kept", config, "verify", "--from", tenth)
        read_tenth = syncd("read", config, "verify", "--read-data", "--from", tenth)
        validator = cli(told, spec, HOURS * asked.cli / logs)
        (of_all, of_tenth), checked = (proved(kept), proved(kept_tenth)), validated(validator)
        assert of_all["logs_read"] == of_tenth["logs_read"] == 0
        for _ in range(asked.rounds):
            for contender in (copying, kept, read, kept_tenth, read_tenth, validator):
                contender.run()
                again()
        ways = [
            Proved("a streamed copy of the newest tenth", copying, of_tenth["logs"]),
            Proved("syncd verify --read-data", read, of_all["logs"]),
            Proved("syncd verify --read-data, the newest tenth", read_tenth, of_tenth["logs"]),
            Proved("syncd verify, hashes kept while copying", kept, of_all["logs"]),
            Proved("the same, the newest tenth", kept_tenth, of_tenth["logs"]),
            Proved("aws cloudtrail validate-logs at the source", validator, checked),
        ]
        table(ways, ways[-1])


if __name__ == "__main__":
    main()
