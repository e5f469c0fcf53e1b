"""Calls of URLs that are secrets: no message repeats them."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from syncd import __version__
from syncd.aws.wire.timed_http import answer_to
from syncd.config.addresses import check_heartbeat
from syncd.config.tables.webhooks import JOB_IN_URL, Address

CALL_SECONDS = 10.0
_LONGEST_FILE = 4096
_READ_BYTES = 1024
# Of refusals, only these may be over soon.
_MAY_PASS = frozenset({"HTTP 429", "HTTP 500", "HTTP 502", "HTTP 503", "HTTP 504"})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A refusal of redirects, which would turn a POST into a GET of somebody else's choice."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request."""


def read(address: Address, *, job: str, is_shared: bool = False) -> str:
    """Return the URL that an address stands for, with the job's name in it.

    Raises:
        ValueError: the file cannot be read, or holds no such URL. It does not say what the file holds.
    """
    text = read_text(address)
    if is_shared and JOB_IN_URL not in text:
        raise ValueError(f"several jobs have the file, and the URL in it has no {JOB_IN_URL}")
    return check_heartbeat(text).replace(JOB_IN_URL, job)


def read_text(address: Address) -> str:
    """Return what an address holds, without white space around it. Raises ValueError if its file cannot be read."""
    if address.file is None:
        return address.text or ""
    try:
        with address.file.open("rb") as file:
            text = file.read(_LONGEST_FILE).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"its file cannot be read: {type(error).__name__}") from None
    if not text:
        raise ValueError("its file is empty")
    return text


def failure_of(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, seconds: float = CALL_SECONDS
) -> str | None:
    """Call a URL: POST if there is a body. Returns why that failed, without the URL, or None.

    The whole call ends after so many seconds, also if the other side sends a byte now and then.
    """
    sent = {"User-Agent": f"syncd/{__version__}", **(headers or {})}
    request = urllib.request.Request(url, data=body, headers=sent)  # noqa: S310 - http or https, as the configuration checks
    handlers = [] if body is None else [_NoRedirects()]
    try:
        with answer_to(request, *handlers, seconds=seconds) as answer:
            answer.read(_READ_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        return type(error).__name__
    return None


def may_pass(failure: str) -> bool:
    """Return whether it is worth trying once more."""
    return failure in _MAY_PASS or not failure.startswith("HTTP ")
