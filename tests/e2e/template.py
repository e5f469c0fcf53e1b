"""A process that has loaded the program, and forks for each run: what a start loads is loaded once for a test process.

Started as `python template.py DESCRIPTOR`, a socket on which each message is a run: JSON with arguments, folder and
environment, and the descriptors of stdout, stderr and status. The status gets two numbers: the PID, and the exit code.
"""

import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
import threading

import structlog  # noqa: F401  # which the program loads late
from boto3.session import Session  # noqa: F401

import syncd.cli.running.verbs
import syncd.cli.screen.output
import syncd.cli.screen.tables
import syncd.cli.terminal.verbs
import syncd.config.files
import syncd.job.verbs  # noqa: F401
from syncd.__main__ import main

NUMBER = struct.Struct("i")
_LONGEST_MESSAGE = 256 * 1024


def serve(channel: socket.socket) -> None:
    """Starts runs until the other side ends. Returns in each child, and then."""
    ends: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not channel:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _tell_end(*ends.pop(key.fd))
                    continue
                message, descriptors, _, _ = socket.recv_fds(channel, _LONGEST_MESSAGE, 3)
                if not message:
                    return
                pid = os.fork()
                if not pid:
                    for number, (_, status) in ends.items():
                        os.close(number)
                        os.close(status)
                    _become(json.loads(message), *descriptors)
                    channel.close()
                    main()
                    return
                out, err, status = descriptors
                os.close(out)
                os.close(err)
                os.write(status, NUMBER.pack(pid))
                ends[watched := os.pidfd_open(pid)] = pid, status
                selector.register(watched, selectors.EVENT_READ)


def _tell_end(pid: int, status: int) -> None:
    _, ended = os.waitpid(pid, 0)
    try:
        os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(ended)))
    except BrokenPipeError:
        pass
    finally:
        os.close(status)


def _become(run: "dict[str, list[str] | dict[str, str] | str]", out: int, err: int, status: int) -> None:
    os.close(status)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(str(run["folder"]))
    os.environ.clear()
    os.environ.update(dict(run["environment"]))
    sys.argv = list(run["arguments"])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


if __name__ == "__main__":
    assert threading.active_count() == 1
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as _channel:
        serve(_channel)
