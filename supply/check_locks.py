"""Compare the hashes of the lock files with those that the configured package index names at this moment.

    python supply/check_locks.py [requirements/runtime.txt ...] [--index URL ...] [--tries N]

A hash that the index does not know means that a file was replaced or withdrawn since it was locked. Whatever cannot be
compared is a failure too: nothing is left out. Without --index it is asked where pip would look.
"""

import argparse
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from locks import FOLDER, read_lock

_SECONDS = 15
"""For a silent index, as long as pip waits."""
_AGAIN_SECONDS = 300
"""After so long nothing is asked a second time, or an index that says nothing at all would hold up a run for hours."""
_AT_A_TIME = 8
_LARGEST_BYTES = 64 * 1024 * 1024
_ACCEPTED = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class UnreadError(Exception):
    """The page of a package could not be read; says why."""


class UnreachedError(UnreadError):
    """The index could not be reached, or was too busy: another time it may."""


def pip_settings() -> Mapping[str, Sequence[str]]:
    """Read the settings of pip: by their names without the section, the words of each."""
    run = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found: dict[str, Sequence[str]] = {}
    for line in run.stdout.splitlines():
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = value.strip("'").split()
    return found


def configured_indexes(settings: Mapping[str, Sequence[str]]) -> list[str]:
    """The indexes that pip would ask."""
    from pip._internal.models.index import PyPI  # noqa: PLC0415  # only if none is named; where pip looks by itself

    return [*settings.get("index-url", [PyPI.simple_url]), *settings.get("extra-index-url", [])]


def known_hashes(index: str, name: str, context: ssl.SSLContext) -> set[str] | None:
    """The SHA-256 that an index names for the files of a package; None if it does not have the package.

    Raises:
        UnreadError: it cannot be asked, or names no hashes.
        UnreachedError: it cannot be reached now.
    """
    url = f"{index.rstrip('/')}/{name}/"
    if url.startswith("file:"):
        url += "index.html"
    request = urllib.request.Request(url, headers={"Accept": _ACCEPTED})  # noqa: S310  # the operator's own index
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS, context=context) as answer:  # noqa: S310
            kind, body = answer.headers.get_content_type(), answer.read(_LARGEST_BYTES)
            # What is left of an answer by HTTP.
            if getattr(answer, "length", None):
                raise UnreachedError("its answer broke off, or is too large")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        kind_of_error = UnreachedError if error.code >= 500 or error.code == 429 else UnreadError
        raise kind_of_error(f"HTTP status {error.code}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, FileNotFoundError):
            return None
        raise UnreachedError(str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise UnreachedError(repr(error)) from error
    found = set(_of_json(body) if kind.endswith("json") else _of_html(body))
    if not found:
        raise UnreadError("its page names no SHA-256")
    return found


def _of_json(body: bytes) -> Iterator[str]:
    try:
        for file in json.loads(body)["files"]:
            if "sha256" in file["hashes"]:
                yield file["hashes"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadError("its page is not as PEP 691 has it") from error


def _of_html(body: bytes) -> Iterator[str]:
    yield from re.findall(r"#sha256=([0-9a-f]{64})", body.decode("utf-8", "replace"))


class Told(NamedTuple):
    """What the indexes tell of one package."""

    hashes: set[str]
    unread: Sequence[str]
    """Why an index could not be asked, in words."""


def told_of(name: str, indexes: Sequence[str], context: ssl.SSLContext, tries: int, until: float) -> Told:
    """Ask each index for a package; one that cannot be reached, up to so many times until then."""
    known: set[str] = set()
    unread: list[str] = []
    for index in indexes:
        try:
            known |= _asked_again(index, name, context, tries, until) or set()
        except UnreadError as error:
            unread.append(f"{name}: an index cannot be compared: {error}")
    return Told(known, unread)


def _asked_again(index: str, name: str, context: ssl.SSLContext, tries: int, until: float) -> set[str] | None:
    for tried in range(tries - 1):
        try:
            return known_hashes(index, name, context)
        except UnreachedError:
            if time.monotonic() > until:
                raise
            time.sleep(2**tried)
    return known_hashes(index, name, context)


def problems_of(lock: Path, told: Mapping[str, Told]) -> tuple[int, list[str]]:
    """How many hashes were compared, and what is wrong, in sentences."""
    compared, problems = 0, []
    for pin in read_lock(lock):
        known, unread = told[pin.name]
        strange = [each for each in pin.hashes if each not in known]
        compared += len(pin.hashes)
        if strange:
            problems += [f"{lock.name}: {words}" for words in unread]
            problems += [
                f"{lock.name}: {pin.name} {pin.version}: no index has a file of sha256:{each}" for each in strange
            ]
    return compared, problems


def main() -> int:
    """Compare; 0 if every hash was found, else 1."""
    parser = argparse.ArgumentParser(description="Compare the hashes of lock files with those of the package index.")
    parser.add_argument("locks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.txt")))
    parser.add_argument("--index", action="append", metavar="URL", help="an index to ask; else those of pip's settings")
    parser.add_argument("--tries", type=int, default=1, help="how often an index that cannot be reached is asked")
    given = parser.parse_args()
    settings = pip_settings()
    certificates = os.environ.get("PIP_CERT") or next(iter(settings.get("cert", ())), None)
    context = ssl.create_default_context(cafile=certificates)
    indexes = given.index or configured_indexes(settings)
    names = sorted({pin.name for lock in given.locks for pin in read_lock(lock)})
    until = time.monotonic() + _AGAIN_SECONDS
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        answers = pool.map(lambda name: told_of(name, indexes, context, given.tries, until), names)
        told = dict(zip(names, answers, strict=True))
    if all(answer.unread and not answer.hashes for answer in told.values()):
        sys.stderr.write(f"no package index can be asked, so nothing was compared: {told[names[0]].unread[0]}\n")
        return 1
    total, problems = 0, []
    for lock in given.locks:
        compared, found = problems_of(lock, told)
        total += compared
        problems += found
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{total} hashes of {len(given.locks)} lock files compared, {len(problems)} problems\n")
    return 1 if problems or not total else 0


if __name__ == "__main__":
    sys.exit(main())
