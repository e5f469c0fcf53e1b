"""The status page as a real browser shows it, by day and by night."""

import subprocess
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.daemon.board import JobBoard
from syncd.daemon.ticks.pauses import Pauses
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.daemon.web.server import WebServer
from syncd.daemon.web.site import Site
from syncd.job.health.freshness import Deadline, Look, Promise
from syncd.job.health.health import JobHealth, Pulse
from syncd.ledger.ledger import LedgerFile
from syncd.model.reports import JobError, TickReport

NOW = 1_795_500_000.0
WIDTH, HEIGHT = 1200, 700
LIGHT, DARK = (255, 255, 255), (18, 24, 30)
REFUSED = JobError(reason="access_denied", detail="AssumeRole by x: AccessDenied <no>", remedy="mend the trust policy")
FINE = JobHealth(
    job="account-b",
    promise=Promise(objective=900.0, lateness=1800.0, period=300.0, idle_every=900.0, discovery_every=3600.0),
    last=TickReport(job="account-b", outcome="ok", mode="stream", started_at=NOW - 62, duration_seconds=2.0),
    pulses=[Pulse(NOW - 300 * back, 1.0, 10 * back, "ok") for back in range(20, 0, -1)],
    complete_until=NOW - 1862,
    deadline=Deadline(NOW + 838, None),
    look=Look(NOW - 62, NOW - 200, 0),
)
LATE = replace(
    FINE,
    job="third-party-z",
    last=TickReport(job="third-party-z", outcome="failed", started_at=NOW - 90, duration_seconds=0.1, error=REFUSED),
    complete_until=NOW - 9000,
    deadline=Deadline(NOW - 6300, None),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    pauses = Pauses(monotonic=time.monotonic)
    board = JobBoard(now=lambda: NOW, pauses=pauses)
    board.put(FINE)
    board.put(LATE)
    site = Site(
        board,
        Metrics(lambda: Gauges(now=NOW, healths=board.healths())),
        LedgerFile(tmp_path, now=lambda: NOW),
        find_job=lambda _: None,
        stuck_reason=lambda: None,
        unready_reason=lambda: None,
        now=lambda: NOW,
    )
    web_server = WebServer(("127.0.0.1", 0), site.answer)
    yield web_server
    web_server.close()


def browse(tool: Path, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs the browser, without a window and without anything that it does on its own account."""
    return subprocess.run(
        [
            tool,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={WIDTH},{HEIGHT}",
            "--enable-logging=stderr",
            *options,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=folder,
    )


def first_pixel(png: bytes) -> tuple[int, ...]:
    """The upper left pixel; in the first row of a PNG no filter changes the first one."""
    rows, position = b"", 8
    while position < len(png):
        length = int.from_bytes(png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            rows += png[position + 8 : position + 8 + length]
        position += length + 12
    return tuple(zlib.decompress(rows)[1:4])


def size(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


@pytest.mark.needs_tool("chromium")
def test_a_browser_shows_the_page_without_complaint(server: WebServer, tool: Path, tmp_path: Path) -> None:
    run = browse(tool, tmp_path, "--dump-dom", f"http://{server.address}/")

    assert "needs attention: 1 late" in run.stdout
    assert run.stdout.index("third-party-z") < run.stdout.index("account-b")
    assert "AssumeRole by x: AccessDenied &lt;no&gt;" in run.stdout
    assert run.stdout.count("<svg") == 2
    assert "CONSOLE" not in run.stderr


@pytest.mark.needs_tool("chromium")
@pytest.mark.parametrize(("scheme", "ground"), [(1, LIGHT), (0, DARK)], ids=["light", "dark"])
def test_the_page_follows_the_readers_light_and_dark(
    server: WebServer, tool: Path, tmp_path: Path, scheme: int, ground: tuple[int, ...]
) -> None:
    browse(
        tool,
        tmp_path,
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--screenshot={tmp_path / 'page.png'}",
        f"http://{server.address}/",
    )

    png = (tmp_path / "page.png").read_bytes()
    assert size(png) == (WIDTH, HEIGHT)
    assert first_pixel(png) == ground
    # A blank page of this size is smaller by far.
    assert len(png) > 20_000
