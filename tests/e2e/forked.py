"""Runs of the program that a template forks (template.py), seen like a subprocess.Popen."""

import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from template import NUMBER

# What a start reads before anything else: such a run is a process of its own.
_OF_THE_START = ("LC_", "LANG", "LD_", "MALLOC_", "PYTHON", "TZ")
_LANG = "C.UTF-8"


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a run with this environment may be forked. EVERY_PAIR=1 runs all as processes of their own."""
    special = {name for name in environment if name.startswith(_OF_THE_START)} - {"LANG"}
    return not special and environment.get("LANG") == _LANG and not os.environ.get("EVERY_PAIR")


@functools.cache
def _template() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """Return the channel to the template, and the process, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("template.py")), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={"PATH": os.environ["PATH"], "LANG": _LANG, "AWS_EC2_METADATA_DISABLED": "true"},
            stdin=subprocess.DEVNULL,
        )
    return ours, process


class Forked:
    """A run under way. Its streams are pipes, and its stdin has ended."""

    def __init__(self, arguments: list[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self._out, out = os.pipe()
        self._err, err = os.pipe()
        self._status, status = os.pipe()
        run = {"arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        try:
            socket.send_fds(_template()[0], [json.dumps(run).encode()], [out, err, status])
        finally:
            for descriptor in (out, err, status):
                os.close(descriptor)
        self.pid = self._number()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._status, selectors.EVENT_READ)
            return self.wait() if self.returncode is None and selector.select(0) else self.returncode

    def wait(self) -> int:
        """Waits for the end; returns the exit code."""
        if self.returncode is None:
            self.returncode = self._number()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Reads both streams to their ends. Raises subprocess.TimeoutExpired."""
        ends_at = time.monotonic() + timeout
        read: dict[int, bytes] = {self._out: b"", self._err: b""}
        with selectors.DefaultSelector() as selector:
            for descriptor in (*read, self._status):
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                found = selector.select(ends_at - time.monotonic())
                if not found:
                    raise subprocess.TimeoutExpired("syncd", timeout)
                for key, _ in found:
                    data = b"" if key.fd == self._status else os.read(key.fd, 65536)
                    if data:
                        read[key.fd] += data
                    else:
                        selector.unregister(key.fd)
        self.wait()
        return read[self._out].decode(), read[self._err].decode()

    def close(self) -> None:
        """Closes the pipes."""
        for descriptor in (self._out, self._err, self._status):
            os.close(descriptor)

    def _number(self) -> int:
        number: int
        (number,) = NUMBER.unpack(os.read(self._status, NUMBER.size))
        return number
