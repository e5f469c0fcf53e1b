"""Records what the pictures show, from real runs on the embedded AWS: `make pictures` runs it.

`recording.json` is what syncd wrote on a terminal, with the times of each line, and `lost.json` the figures of
`make simulate`. The status page goes to docs/assets as Chromium shows it.
"""

import fcntl
import json
import os
import pty
import random
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from png import with_palette

from syncd.cli.demo.embedded import EmbeddedAws, embedded_aws, free_port
from syncd.cli.demo.samples import TrailSpec, public_keys, trail
from syncd.cli.demo.world import World, build_world, deliver, root_client, write_configuration
from syncd.verify.keystore import keys_text
from syncd.verify.rules.keys import Keys, PublicKey

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
ASSETS = PROJECT / "docs" / "assets"
BIN = Path(sys.executable).parent
COLUMNS, ROWS = 84, 30
WIDTH = 1000
DAY = timedelta(days=1)
PAGE_DAYS, PAGE_SHARE = 120, 0.1
TICKS_SECONDS = 60


def main() -> None:
    """Record everything."""
    with embedded_aws() as aws, tempfile.TemporaryDirectory(prefix="syncd-") as directory:
        _write("recording.json", {"columns": COLUMNS, "scenes": _terminal(aws, Path(directory))})
    with embedded_aws() as aws, tempfile.TemporaryDirectory(prefix="syncd-") as directory:
        _page(aws, Path(directory))
    _write("lost.json", {"simulated": _simulated()})


def _terminal(aws: EmbeddedAws, directory: Path) -> list[dict[str, Any]]:
    """Check, plan, tick, prove and look: the first minutes of a job, then a role that its owner takes away."""
    world = build_world(aws.url)
    config = write_configuration(world, directory)
    now = datetime.now(UTC)
    spec = TrailSpec(world.bucket, _accounts(world), ("us-east-1", "eu-west-1"), _hour(now - 2 * DAY), logs_per_hour=1)
    deliver(world, trail(spec, now))
    keys = directory / "keys.json"
    keys.write_text(keys_text(_keys(spec)))
    environment = {"SYNCD_CONFIG": str(config)}
    scenes = [
        _scene("syncd check account-b", environment),
        _scene("syncd plan", environment),
        _scene("syncd tick", environment),
        _scene("syncd verify account-b --keys keys.json", environment, cwd=directory),
    ]
    _take_away(world, "account-c")
    _scene("syncd tick account-c", environment)
    return [*scenes, _scene("syncd status", environment)]


def _page(aws: EmbeddedAws, directory: Path) -> None:
    """Run the daemon on four months of logs, with a role that was taken away and a log that somebody had written."""
    world = build_world(aws.url)
    config = write_configuration(world, directory)
    now = datetime.now(UTC)
    begins = _hour(now - PAGE_DAYS * DAY)
    spec = TrailSpec(world.bucket, _accounts(world), ("us-east-1",), begins, logs_per_hour=1, has_digests=False)
    drawn = random.Random(1)  # noqa: S311 the same logs each time
    logs = [log for log in trail(spec, now) if drawn.random() < PAGE_SHARE]
    fresh = logs[-30:]
    deliver(world, logs[:-30])
    victim = world.consumers[0]
    key = next(log.key for log in logs if victim.account_id in log.key and f"{now - 20 * DAY:/%Y/%m/}" in log.key)
    with root_client(world.url, victim.account_id, "s3") as s3:
        s3.put_object(Bucket=victim.bucket, Key=key, Body=b"written by somebody else")
    address = f"127.0.0.1:{free_port()}"
    config.write_text(config.read_text().replace('listen = ""', f'listen = "{address}"'))
    for job in (directory / "jobs.d").iterdir():
        text = job.read_text().replace('every = "5m"', 'every = "10s"')
        job.write_text(text.replace('start = "31d"', f'start = "{PAGE_DAYS - 10}d"'))
    with _daemon(config):
        for number in range(6):
            time.sleep(TICKS_SECONDS / 6)
            deliver(world, fresh[5 * number : 5 * number + 5])
            if number == 3:
                _take_away(world, "account-c")
        time.sleep(TICKS_SECONDS / 3)
        for name, path, height in (
            ("page-light", "/", 790),
            ("page-dark", "/", 790),
            ("job-light", "/jobs/account-b", 880),
        ):
            _shoot(f"http://{address}{path}", ASSETS / f"{name}.png", height, is_light=name.endswith("light"))


def _scene(command: str, environment: Mapping[str, str], cwd: Path | None = None) -> dict[str, Any]:
    """Run a command on a terminal of its own. Returns what it wrote there, with the seconds of each piece."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    program, *arguments = command.split()
    began_at = time.monotonic()
    running = subprocess.Popen(  # noqa: S603 our own program
        [BIN / program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**_environment(), "TERM": "xterm-256color", **environment},
        cwd=cwd,
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            text = os.read(ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        pieces.append([round(time.monotonic() - began_at, 2), text.decode().replace("\r\n", "\n")])
    os.close(ours)
    running.wait()
    return {"command": command, "seconds": round(time.monotonic() - began_at, 2), "pieces": pieces}


@contextmanager
def _daemon(config: Path) -> Iterator[None]:
    with (config.parent / "log").open("w") as log:
        running = subprocess.Popen(  # noqa: S603 our own program
            [BIN / "syncd", "run", "--config", config], stdout=log, stderr=log, env=_environment()
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait()


def _shoot(url: str, path: Path, height: int, *, is_light: bool) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(  # noqa: S603 a browser, on our own page
            [  # noqa: S607 wherever it is installed
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={WIDTH},{height}",
                f"--blink-settings=preferredColorScheme={int(is_light)}",
                f"--screenshot={path}",
                url,
            ],
            check=True,
            capture_output=True,
        )
    path.write_bytes(with_palette(path.read_bytes()))


def _simulated() -> list[dict[str, Any]]:
    """Return what each cursor loses in sixty days, as `make simulate` prints it."""
    ran = subprocess.run(
        [sys.executable, "-m", "simulation"], cwd=PROJECT / "tests", check=True, capture_output=True, text=True
    )
    rows = re.findall(r"^(\S.*?)\s{2,}([\d,]+)\s+[\d,]+\s+[\d.]+$", ran.stdout, re.MULTILINE)
    objects = re.search(r"([\d,]+) objects", ran.stdout)
    assert objects is not None
    return [{"cursor": name, "lost": _number(lost), "of": _number(objects[1])} for name, lost in rows]


def _take_away(world: World, name: str) -> None:
    """Delete the policy of a consumer's role, as its owner may at any time."""
    role = world.consumer(name).role_arn.rpartition("/")[2]
    with root_client(world.url, world.account_id, "iam") as iam:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)


def _keys(spec: TrailSpec) -> Keys:
    first, last = (spec.begins - 15 * DAY).timestamp(), (spec.begins + 15 * DAY).timestamp()
    return Keys(
        PublicKey(region, key.fingerprint, key.public_der, first, last) for region, key in public_keys(spec).items()
    )


def _accounts(world: World) -> tuple[str, ...]:
    return (world.account_id, *(consumer.account_id for consumer in world.consumers if consumer.accounts))


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SYNCD_"))}


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _write(name: str, document: object) -> None:
    (HERE / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
