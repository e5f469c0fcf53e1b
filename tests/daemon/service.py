"""`syncd run` as a process: its configuration, its log as it is written, its page, and systemd's end of the socket."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from builders import Delivery, changed, deliver, job_table, profiles, toml
from faulty import FaultyS3
from waiting import wait_until

PROGRAM = str(Path(sys.executable).parent / "syncd")
LONGEST_SECONDS = 40.0


class Service:
    """A world on a server, and a folder with configuration and state."""

    def __init__(self, server: FaultyS3, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.world = server.world()
        self.config = folder / "syncd.toml"
        self.state = folder / "state"
        self.credentials = folder / "credentials"
        (folder / "jobs.d").mkdir()
        self.credentials.write_text(profiles(self.world))
        self.configure({})

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Writes syncd.toml, with dotted keys changed or removed (None)."""
        table = {"state_dir": self.state, "jobs": ["jobs.d/*.toml"], "http": {"listen": "127.0.0.1:0"}}
        self.config.write_text(toml(changed(table, changes)))

    def job(self, name: str, changes: Mapping[str, Any] | None = None, *, file: str = "") -> Path:
        """Writes the job file of a consumer of the world, which ticks each second unless it is changed."""
        table = job_table(self.world, self.world.consumer(name), self.credentials, self.server.url)
        path = self.folder / "jobs.d" / f"{file or name}.toml"
        ahead = path.with_suffix(".new")
        ahead.write_text(toml(changed(table, {"every": "1s", **(changes or {})})))
        ahead.rename(path)
        return path

    def deliver(self, *deliveries: Delivery) -> list[str]:
        """New objects in the trail's bucket; their keys."""
        return deliver(self.server, self.world.bucket, deliveries)

    def replica(self, name: str) -> list[str]:
        """The keys in a consumer's bucket."""
        return self.server.keys(self.world.consumer(name).bucket)

    def ticks(self, name: str) -> int:
        """How often the job has assumed its role."""
        arn = self.world.consumer(name).role_arn
        return sum(request.form.get("RoleArn") == arn for request in self.server.requests)

    def assumes(self, name: str) -> Callable[[Any], bool]:
        """Which requests assume the job's role, for faults."""
        arn = self.world.consumer(name).role_arn
        return lambda request: request.form.get("RoleArn") == arn

    @contextlib.contextmanager
    def running(self, environment: Mapping[str, str] | None = None) -> Iterator["Running"]:
        """Runs the daemon; what is still running at the end is killed."""
        with subprocess.Popen(
            [PROGRAM, "run", "--config", self.config],
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            running = Running(process)
            try:
                yield running
            finally:
                if process.poll() is None:
                    process.kill()
                running.join()

    def status(self) -> tuple[int, Any]:
        """The exit code and the document of `syncd status`."""
        ran = subprocess.run(
            [PROGRAM, "status", "--json", "--config", self.config],
            stdout=subprocess.PIPE,
            check=False,
            timeout=LONGEST_SECONDS,
        )
        return ran.returncode, json.loads(ran.stdout)


class Running:
    """A daemon under way."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def events(self) -> list[Any]:
        """What it has logged so far."""
        return [json.loads(line) for line in list(self._lines)]

    def told(self, event: str, **facts: Any) -> list[Any]:
        """Those of its events that have this name and these facts."""
        return [item for item in self.events if item["event"] == event and facts.items() <= item.items()]

    def wait_for(self, event: str, *, times: int = 1, seconds: float = LONGEST_SECONDS, **facts: Any) -> Any:
        """Waits until an event was logged, so many times; the last of them."""
        what = f"{event} {facts} in {self._lines[-8:]}"
        wait_until(lambda: len(self.told(event, **facts)) >= times, seconds=seconds, what=what)
        return self.told(event, **facts)[times - 1]

    def send(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def stopped(self, number: int = signal.SIGTERM, *, seconds: float = LONGEST_SECONDS) -> int:
        """Asks it to end; the exit code. Raises subprocess.TimeoutExpired where it does not."""
        self.send(number)
        return self.ended(seconds=seconds)

    def ended(self, *, seconds: float = LONGEST_SECONDS) -> int:
        """Waits for its end; the exit code."""
        code = self._process.wait(timeout=seconds)
        self.join()
        return code

    def join(self) -> None:
        """Waits for the last line of the log."""
        self._reader.join()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of what it answers over HTTP."""
        address = self.wait_for("http.listening")["address"]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=LONGEST_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """One sample of /metrics, named with its labels as Prometheus writes it; 0.0 where there is none."""
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines())
        return next((float(value) for sample, _, value in lines if sample == name), 0.0)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)


class ServiceManager:
    """systemd's end of the notification socket."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="syncd-notify-"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._folder / "notify"))
        self.messages: list[list[str]] = []
        self._marks: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def environment(self) -> dict[str, str]:
        """What systemd puts into a service's environment."""
        return {"NOTIFY_SOCKET": str(self._folder / "notify")}

    def received(self, assignment: str) -> list[list[str]]:
        """The messages with a line that begins with it, of all that were sent so far."""
        self._mark("mark")
        self._marks.get()
        return [message for message in list(self.messages) if any(line.startswith(assignment) for line in message)]

    def wait_for(self, assignment: str, *, times: int = 1) -> list[str]:
        """Waits until it was received, so many times; the last of these messages."""
        wait_until(lambda: len(self.received(assignment)) >= times, seconds=LONGEST_SECONDS, what=assignment)
        return self.received(assignment)[times - 1]

    def close(self) -> None:
        """Listens no more."""
        self._mark("")
        self._reader.join()
        self._socket.close()
        shutil.rmtree(self._folder)

    def _mark(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), str(self._folder / "notify"))

    def _read(self) -> None:
        # In the order in which they were sent, so that all before a mark have been read when it is.
        while message := self._socket.recv(65536).decode():
            if message == "mark":
                self._marks.put(message)
            else:
                self.messages.append(message.split("\n"))
