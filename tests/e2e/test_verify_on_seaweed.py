"""The proof on a store that keeps a tree and that others wrote: SeaweedFS on both sides."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builders import ACCOUNTS, toml
from chains import known_keys
from key_server import lists_keys
from program import LONGEST_SECONDS, Ran, running
from servers import MakeClient, S3Server

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text

ACCOUNT, REGION = ACCOUNTS[0], "us-east-1"


def test_a_trail_is_copied_and_proved_in_passing_and_afterwards(
    seaweed: S3Server, make_client: MakeClient, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    source, destination = seaweed.fresh_bucket_name(), seaweed.fresh_bucket_name()
    client = make_client(seaweed.url, access_key_id=seaweed.access_key_id, secret_access_key=seaweed.secret_access_key)
    for name in (source, destination):
        client.create_bucket(Bucket=name)
    spec = TrailSpec(
        source, [ACCOUNT], [REGION], (now - timedelta(hours=30)).replace(minute=0, second=0), logs_per_hour=1
    )
    items = list(trail(spec, now - timedelta(minutes=40)))
    for item in items:
        client.put_object(Bucket=source, Key=item.key, Body=item.body, Metadata=dict(item.metadata))
    insight = f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/{REGION}/{now:%Y/%m/%d}/insight.json.gz"
    client.put_object(Bucket=source, Key=insight, Body=b"")
    (tmp_path / "keys.json").write_text(keys_text(known_keys(spec)))

    def syncd(*arguments: str) -> Ran:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
        named = (*arguments, "--json", "--config", str(tmp_path / "syncd.toml"))
        with running(named, folder=tmp_path, environment=environment) as process:
            return process.ended(seconds=LONGEST_SECONDS)

    with lists_keys(known_keys(spec)) as url:
        configure(tmp_path, seaweed, url, source, destination)
        ticks = [syncd("tick") for _ in range(2)]
    verified, read = (syncd("verify", "--keys", str(tmp_path / "keys.json"), *more) for more in ((), ("--read-data",)))
    # A day that has just begun has no digest yet.
    latest = syncd("verify", "--from", f"{now - timedelta(hours=3):%Y-%m-%d}")
    compared = syncd("verify", "--against", "source")
    dry = syncd("prune-source", "job", "--older-than", "2")

    copied = [(tick.code, tick.job["copied"], tick.job["unproved"]) for tick in ticks]
    assert copied == [(0, len(items) + 1, []), (0, 0, [])], ticks
    for ran in (verified, read, latest):
        assert (ran.code, ran.job["verdict"], ran.job["extra"]) == (0, "proved", []), ran
    assert ticks[0].job["proved_until"] == verified.job["proved_until"] == latest.job["proved_until"]
    assert (compared.code, compared.job["objects"]) == (0, len(items) + 1), compared
    assert dry.code == 0, dry


def configure(folder: Path, server: S3Server, keys_url: str, source: str, destination: str) -> None:
    """A job that reads and writes as itself: SeaweedFS has one account."""
    secret = f"aws_access_key_id = {server.access_key_id}\naws_secret_access_key = {server.secret_access_key}\n"
    (folder / "credentials").write_text(f"[storage]\n{secret}")
    table: dict[str, Any] = {
        "name": "job",
        "verify": "continuous",
        "consumer": {"account_id": ACCOUNT, "profile": "storage", "credentials_file": str(folder / "credentials")},
        "source": {"account_id": ACCOUNT, "bucket": source, "region": REGION, "kinds": "*"},
        "destination": {"bucket": destination, "region": REGION, "prefix": "copies/"},
        "endpoints": {"s3": server.url, "cloudtrail": keys_url},
    }
    (folder / "job.toml").write_text(toml(table))
    settings = {"state_dir": folder / "state", "jobs": ["job.toml"], "http": {"listen": ""}}
    (folder / "syncd.toml").write_text(toml(settings))
