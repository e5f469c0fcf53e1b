"""A stderr that is slow, stuck or gone: no job, no answer, no end and no exit code depends on it."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from faulty import Status
from service import LONGEST_SECONDS, PROGRAM, Service
from waiting import wait_until

from syncd.config.job import Log
from syncd.daemon import logs

B = ACCOUNTS[0]
PIPE_BYTES = 4096


class Pipe:
    """A pipe that holds no more than a few lines."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        fcntl.fcntl(self.writes, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def fill(self) -> None:
        """Leaves no room in it."""
        os.write(self.writes, b"\n" * PIPE_BYTES)

    def lines(self, until: bytes) -> list[bytes]:
        """Reads the lines up to one with this text."""
        with open(self.reads, "rb", closefd=False) as reader:
            found = []
            for line in reader:
                if line.strip():
                    found.append(line.rstrip())
                if until in line:
                    break
            return found

    def read_no_more(self) -> None:
        """Closes the end that is read."""
        os.close(self.reads)
        self.reads = -1

    def close(self) -> None:
        """Closes what is open."""
        for descriptor in {self.reads, self.writes} - {-1}:
            os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with contextlib.closing(Pipe()) as pipe:
        yield pipe


@pytest.fixture
def address(service: Service, held_addresses: list[str]) -> str:
    """Where the daemon is told to listen, since its log does not say."""
    service.configure({"http.listen": held_addresses[0]})
    return held_addresses[0]


def log(now: datetime, number: int = 0) -> Delivery:
    return Trail().log(B, REGIONS[0], now - timedelta(minutes=10), number)


@contextlib.contextmanager
def started(service: Service, pipe: Pipe, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [PROGRAM, *arguments, "--config", str(service.config)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=pipe.writes) as process:
        try:
            yield process
        finally:
            process.kill()


def dropped(address: str) -> float:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=LONGEST_SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("syncd_log_lines_dropped_total "))


@pytest.mark.parametrize("reader", ["stuck", "gone"])
def test_jobs_answers_and_the_end_of_the_daemon_wait_for_no_log_line(
    reader: str, service: Service, address: str, pipe: Pipe, now: datetime
) -> None:
    if reader == "stuck":
        pipe.fill()
    else:
        pipe.read_no_more()
    service.job("account-b")
    service.deliver(log(now))

    with started(service, pipe, "run", "--json") as daemon:
        wait_until(lambda: service.replica("account-b"), seconds=LONGEST_SECONDS, what="the first copy")
        service.deliver(log(now, 1))
        wait_until(lambda: len(service.replica("account-b")) == 2, what="the copy of a later tick")
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=LONGEST_SECONDS) as answer:
            assert answer.status == 200
        assert (dropped(address) > 0) == (reader == "gone")
        daemon.send_signal(signal.SIGTERM)
        document, _ = daemon.communicate(timeout=LONGEST_SECONDS)

    assert daemon.returncode == 0
    assert json.loads(document) == {"exit_code": 0}


@pytest.mark.parametrize(("outcome", "code"), [("ok", 0), ("partial", 3), ("failed", 1)])
def test_a_tick_ends_as_it_would_and_prints_its_document(
    outcome: str, code: int, service: Service, pipe: Pipe, now: datetime
) -> None:
    pipe.fill()
    service.job("account-b")
    service.deliver(log(now))
    if outcome != "ok":
        operation = {"partial": "PutObject", "failed": "AssumeRole"}[outcome]
        service.server.faults.add(operation, Status(403, "AccessDenied", "not authorized"))

    with started(service, pipe, "tick", "--json") as process:
        document, _ = process.communicate(timeout=LONGEST_SECONDS)

    assert process.returncode == code
    assert json.loads(document)["jobs"][0]["outcome"] == outcome


def test_a_configuration_that_cannot_be_used_is_exit_2_with_a_stuck_stderr(service: Service, pipe: Pipe) -> None:
    pipe.fill()
    service.job("account-b", {"every": "soon"})

    with started(service, pipe, "tick") as process:
        assert process.wait(timeout=LONGEST_SECONDS) == 2


def test_a_slow_reader_gets_every_line_in_order(service: Service, pipe: Pipe, now: datetime) -> None:
    service.job("account-b")
    service.deliver(*(log(now, number) for number in range(15)))
    service.server.faults.add("PutObject", Status(403, "AccessDenied", "not authorized"))

    with started(service, pipe, "tick", "--json") as process:
        lines = pipe.lines(until=b"tick.finished")
        process.communicate(timeout=LONGEST_SECONDS)

    told = [json.loads(line)["event"] for line in lines]
    assert told.count("object.failed") == 15
    assert told[-1] == "tick.finished"


def test_lines_that_are_dropped_are_counted_and_told_once_there_is_room(
    pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.fill()
    logs.configure(Log(format="json"))
    queue = logs.LogQueue(pipe.writes, most_bytes=100)

    for number in range(12):
        queue.write(b"line %d of a log\n" % number)

    assert queue.dropped > 0
    assert not queue.drain()
    kept = 12 - queue.dropped
    lines = pipe.lines(until=b"line %d " % (kept - 1))
    assert lines == [b"line %d of a log" % number for number in range(kept)]
    wait_until(queue.drain, what="the end of the queue")
    assert queue.dropped == 12 - kept
    told: list[str] = []
    wait_until(lambda: told.append(capsys.readouterr().err) or "log.dropped" in "".join(told), what="the count")
    assert json.loads("".join(told))["lines"] == 12 - kept
