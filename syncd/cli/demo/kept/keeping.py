"""A demo that keeps running: its daemon with the status page, and how another process finds it."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from syncd.cli.demo.embedded import HOST, free_port
from syncd.cli.demo.world import Consumer, World, write_configuration
from syncd.config import files
from syncd.daemon import service
from syncd.model import events
from syncd.model.errors import SyncdError

PREFIX = "syncd-demo-"
"""The begin of the name of a demo's folder, in the directory for temporary files."""
EVERY = "10s"
_RECORD = "kept.json"
_CLOCK = "clock"


class NoDemo(SyncdError):
    """An answer to a verb that needs a demo that runs on."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: run `syncd demo --keep` in another terminal, and leave it running")


@dataclass(frozen=True)
class Kept:
    """A demo that keeps running."""

    world: World
    config: Path
    """The configuration of its daemon."""
    stateless: Path
    """The configuration of the same jobs, with no state yet."""
    page: str
    """The address of its status page."""
    pid: int

    @property
    def folder(self) -> Path:
        """The folder of everything."""
        return self.config.parent


def prepared(world: World, config: Path) -> Kept:
    """Give the demo's jobs a short interval and a status page, and leave a note for other processes."""
    listen = f"{HOST}:{free_port()}"
    write_configuration(world, config.parent, every=EVERY, settings=_settings(listen))
    again = write_configuration(world, config.parent / "no-state", settings=_settings(f"{HOST}:{free_port()}"))
    kept = Kept(world, config, again, f"http://{listen}/", os.getpid())
    note = {**asdict(kept), "config": str(config), "stateless": str(again)}
    (kept.folder / _RECORD).write_text(json.dumps(note), encoding="utf-8")
    return kept


def serve(kept: Kept, *, tell: Callable[..., None], on_started: Callable[[], None]) -> None:
    """Run the demo's daemon until SIGINT or SIGTERM. Its clock is wrong while a file says so."""

    def tell_and_start(event: str, **facts: Any) -> None:
        tell(event, **facts)
        if event == events.DAEMON_STARTED:
            on_started()

    service.run(files.load(kept.config), now=lambda: time.time() + _clock_error(kept), tell=tell_and_start)


def set_clock(kept: Kept, seconds: float) -> None:
    """Set the clock of the demo's daemon this many seconds ahead of the right time."""
    new = kept.folder / f"{_CLOCK}.new"
    new.write_text(str(seconds), encoding="utf-8")
    new.replace(kept.folder / _CLOCK)


def find(config: Path | None, environ: Mapping[str, str]) -> Kept:
    """Return the demo of that configuration, or else the newest of this user's that runs.

    Raises:
        NoDemo: there is none.
    """
    if config is not None:
        kept = _read(config.parent)
        if kept is None:
            raise NoDemo(f"{config} is not of a demo that runs")
        return kept
    named = environ.get("SYNCD_CONFIG")
    kept = (_read(Path(named).parent) if named else None) or next(_running(), None)
    if kept is None:
        raise NoDemo("no demo of yours keeps running")
    return kept


def _running() -> Iterator[Kept]:
    folders = list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_RECORD}"))
    with suppress(FileNotFoundError):  # a demo that ended meanwhile
        folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders:
        if (kept := _read(path.parent)) is not None:
            yield kept


def _read(folder: Path) -> Kept | None:
    """Return the demo in a folder of this user, or None if none runs."""
    try:
        if folder.stat().st_uid != os.geteuid():
            return None
        note = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        os.kill(note["pid"], 0)
    except (OSError, ValueError):
        return None
    world = note["world"]
    consumers = tuple(Consumer(**{**item, "accounts": tuple(item["accounts"])}) for item in world["consumers"])
    return Kept(
        World(**{**world, "consumers": consumers}),
        Path(note["config"]),
        Path(note["stateless"]),
        note["page"],
        note["pid"],
    )


def _settings(listen: str) -> str:
    return f"""\
[http]
listen = "{listen}"

[defaults]
objective = "2h"

[defaults.listing]
recent_every = "{EVERY}"
"""


def _clock_error(kept: Kept) -> float:
    try:
        return float((kept.folder / _CLOCK).read_text(encoding="utf-8"))
    except OSError:
        return 0.0
