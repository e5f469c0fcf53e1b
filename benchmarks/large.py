"""What large objects cost, beside rclone on the same server in the same run: the figures of docs/performance.md.

    python benchmarks/large.py                 all tables
    python benchmarks/large.py TABLE ROUNDS    one of them: 50mb, none-told, 8mib, tls

Medians, one worker, starts included.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import LARGE_BYTES, Contender, alternate, free_port, peers, responder, streaming, table, wait_for

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from certificates import Authority  # noqa: E402

MIB = 1024**2


@contextlib.contextmanager
def tls(folder: Path, url: str) -> Iterator[tuple[str, Path]]:
    """TLS in front of a server; its URL, and the authorities that trust it."""
    authority, port = Authority(folder), free_port()
    command = [sys.executable, HERE / "tls_front.py", str(port), url.rpartition(":")[2], authority.certificate()]
    process = subprocess.Popen(command)
    try:
        url = f"https://127.0.0.1:{port}"
        wait_for(url, authority.path)
        yield url, authority.path
    finally:
        process.kill()
        process.wait()


def pair(folder: Path, url: str, authorities: Path | None = None) -> list[Contender]:
    """Ours with one worker, and rclone."""
    ours, theirs = streaming(folder, url)[0], peers(url)["rclone, two remotes"]
    if authorities is not None:
        ours.environment = {"AWS_CA_BUNDLE": str(authorities)}
        theirs.command = [*theirs.command, "--ca-cert", str(authorities)]
    return [ours, theirs]


def compared(what: str, objects: int, size: int, rounds: int, *, tells: bool = True, is_tls: bool = False) -> None:
    """Run one table and print it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-bench-")))
        url = stack.enter_context(responder(folder / "responder", objects, size, tells_checksum=tells))
        authorities = None
        if is_tls:
            url, authorities = stack.enter_context(tls(folder, url))
        contenders = pair(folder / "responder", url, authorities)
        alternate(contenders, rounds)
        table(f"Streaming {objects} objects of {what}", contenders, contenders[-1], objects)


def main() -> None:
    """Print the tables that are asked for."""
    asked, rounds = sys.argv[1:2], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    tables = {
        "50mb": lambda: compared("50 MB, checksum told", 60, LARGE_BYTES, rounds),
        "none-told": lambda: compared("50 MB, none told", 60, LARGE_BYTES, rounds, tells=False),
        "8mib": lambda: compared("8 MiB", 300, 8 * MIB, rounds),
        "tls": lambda: compared("50 MB over TLS", 60, LARGE_BYTES, rounds, is_tls=True),
    }
    for name in asked or tables:
        tables[name]()


if __name__ == "__main__":
    main()
