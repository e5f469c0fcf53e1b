"""Python's own HTTP, with a deadline for a whole call: a proxy's answer and a TLS handshake can drip, too."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError

from syncd.aws.wire.timed_call import TimedCall


class _Timed(HTTPConnection):
    """HTTP connection that tells the call of its socket before anything is sent."""

    call: TimedCall | None = None
    _socket: Any = None

    @property
    def sock(self) -> Any:
        """The socket, or None."""
        return self._socket

    @sock.setter
    def sock(self, connected: Any) -> None:
        self._socket = connected
        if connected is not None and self.call is not None:
            self.call.uses(connected)


class _TimedTls(_Timed, HTTPSConnection):
    pass


class TlsConnection(_TimedTls):
    """HTTPS connection that is open within its timeout, also through a proxy, or not at all."""

    def connect(self) -> None:
        """Connect, and shake hands.

        Raises:
            OSError: it cannot, or not in time.
            HTTPException: what the proxy answers is not HTTP.
        """
        assert self.timeout is not None, "it was given one"
        with _within(self.timeout) as self.call:
            super().connect()


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, call: TimedCall) -> None:
        super().__init__()
        self._call = call

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._made(_Timed), req)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._made(_TimedTls), req)

    def _made(self, kind: type[_Timed]) -> Callable[..., HTTPConnection]:
        def made(host: str, **more: Any) -> HTTPConnection:
            connection = kind(host, **more)
            connection.call = self._call
            return connection

        return made


@contextmanager
def answer_to(
    request: urllib.request.Request, *handlers: urllib.request.BaseHandler, seconds: float
) -> Iterator[HTTPResponse]:
    """Send a request, and lend its answer to be read. All of it ends after so many seconds.

    `handlers` are urllib's. The proxy of the environment is used.

    Raises:
        HTTPError: the status is not of success. It is closed by whoever catches it.
        TimeoutError: it was not over by then. What was read may be cut off.
        OSError, HTTPException, ValueError: there is no answer.
    """
    with _within(seconds) as call:
        opener = urllib.request.build_opener(_Handler(call), *handlers)
        with opener.open(request, timeout=seconds) as answer:
            yield answer


@contextmanager
def _within(seconds: float) -> Iterator[TimedCall]:
    call = TimedCall(seconds)
    late = TimeoutError(f"no whole answer within {seconds:g} s")
    try:
        yield call
    except HTTPError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise (late if call.is_late else error) from None
    finally:
        call.close()
    # What the deadline cut off looks as if it had come to its end.
    if call.is_late:
        raise late
