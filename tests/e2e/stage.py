"""Everything around one run of the program: a server, a configuration as operators write it, and the program itself."""

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builders import Delivery, changed, content, deliver, job_table, profiles, toml
from faulty import FaultyS3, StoredObject
from faulty.store import Bucket
from program import LONGEST_SECONDS, Ran, Running, running

_EACH_KEY = {
    "every": "5m",
    "start": "31d",
    "source.prefix": "",
    "source.regions": "*",
    "source.kinds": ["CloudTrail", "CloudTrail-Digest"],
    "source.role.duration": "1h",
    "destination.prefix": "",
}


class WatchedBucket(Bucket):
    """A bucket that counts what is written to each key, and remembers what was destroyed."""

    def __init__(self, name: str, account_id: str, region: str) -> None:
        super().__init__(name, account_id, region)
        self.writes: Counter[str] = Counter()
        self.destroyed: list[str] = []

    def put(self, key: str, item: StoredObject) -> None:
        self.writes[key] += 1
        if key in self.objects:
            self.destroyed.append(key)
        super().put(key, item)

    def delete(self, key: str) -> None:
        self.destroyed.append(key)
        super().delete(key)


class Stage:
    """A world on a server, and a folder with the configuration, the credentials and the state of `syncd`."""

    def __init__(self, server: FaultyS3, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.world = server.world()
        self.config = folder / "etc" / "syncd.toml"
        self.state = folder / "state"
        self.credentials = folder / "etc" / "credentials"
        (folder / "etc" / "jobs.d").mkdir(parents=True)
        (folder / "home").mkdir()
        for consumer in self.world.consumers:
            self._watch(consumer.bucket, consumer.account_id)
        self.credentials.write_text(profiles(self.world))
        self.configure({})

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Writes syncd.toml, with dotted keys changed or removed (None)."""
        table = {"state_dir": self.state, "jobs": ["jobs.d/*.toml"], "http": {"listen": ""}}
        self.config.write_text(toml(changed(table, changes)))

    def job(self, name: str = "account-z", changes: Mapping[str, Any] | None = None, *, file: str = "") -> Path:
        """Writes the job file of a consumer of the world, with dotted keys changed or removed (None)."""
        consumer = self.world.consumer(name)
        path = self.config.parent / "jobs.d" / f"{file or name}.toml"
        table = job_table(self.world, consumer, self.credentials, self.server.url)
        path.write_text(
            toml(changed(table, {**_EACH_KEY, "source.role.session_name": f"syncd-{name}", **(changes or {})}))
        )
        return path

    def deliver(self, deliveries: Iterable[Delivery], *, checksum_algorithm: str | None = None) -> list[str]:
        """New objects in the trail's bucket; their keys."""
        return deliver(self.server, self.world.bucket, deliveries, checksum_algorithm=checksum_algorithm)

    def source(self) -> dict[str, tuple[object, ...]]:
        """What the trail's bucket holds."""
        return content(self.server.objects(self.world.bucket))

    def replica(self, name: str = "account-z", *, prefix: str = "") -> dict[str, tuple[object, ...]]:
        """What a consumer's bucket holds, by the key of the source."""
        return content(self.server.objects(self.world.consumer(name).bucket), strip=prefix)

    def watched(self, name: str = "account-z") -> WatchedBucket:
        """A consumer's bucket."""
        bucket = self.server.storage.buckets[self.world.consumer(name).bucket]
        assert isinstance(bucket, WatchedBucket)
        return bucket

    def requests(self, *operations: str) -> int:
        """How many requests of these operations came."""
        return sum(self.server.count(operation) for operation in operations)

    def operations(self) -> Counter[str]:
        """How many requests of each operation came."""
        return Counter(request.operation for request in self.server.requests)

    @property
    def is_deserted(self) -> bool:
        """Whether no client is connected any more: what those that died had sent has been dealt with."""
        assert self.server._http is not None
        return self.server._http.is_deserted

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the surrounding environment but where programs are; on AWS's side only what a test adds."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            **more,
        }

    def syncd(
        self, *arguments: str, seconds: float = LONGEST_SECONDS, with_config: bool = True, **environment: str
    ) -> Ran:
        """Runs the program to its end."""
        with self.start(*arguments, with_config=with_config, **environment) as process:
            return process.ended(seconds=seconds)

    def start(
        self, *arguments: str, with_config: bool = True, **environment: str
    ) -> contextlib.AbstractContextManager[Running]:
        """Starts the program, in a folder where no configuration lies."""
        named = ("--config", str(self.config)) if with_config else ()
        folder = self.folder / "home"
        return running((*arguments, *named), folder=folder, environment=self.environment(**environment))

    def state_is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong in any state file but those that were moved aside as corrupt."""
        files = [path for path in self.state.iterdir() if path.is_file() and path.read_bytes()[:6] == b"SQLite"]
        files = [path for path in files if ".corrupt-" not in path.name]
        return bool(files) and all(_integrity(path) == "ok" for path in files)

    def _watch(self, bucket: str, account_id: str) -> None:
        self.server.storage.buckets[bucket] = WatchedBucket(bucket, account_id, self.world.region)


def _integrity(path: Path) -> str:
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
            return str(answer)
    except sqlite3.DatabaseError as error:
        return str(error)
